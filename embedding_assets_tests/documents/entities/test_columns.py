from collections import Counter

import pytest

from embedding_assets.documents.entities.columns import read_columns
from embedding_assets.documents.entities.labelled import Example, Span
from embedding_assets.errors import InputNotFoundError, UnreadableInputError


def read(tmp_path, content):
    path = tmp_path / "labelled.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(read_columns(path, Counter()))


def spans(*places):
    return tuple(Span(*place) for place in places)


def test_the_last_column_is_the_tag_and_a_begin_within_an_entity_parts_two(tmp_path):
    content = (
        "Oslo NNP - B-LOC\nBergen NNP - B-LOC\nis VBZ - O\n\nAcme NNP - B-ORG\nInc NNP - I-ORG\n"
    )
    assert read(tmp_path, content) == [
        Example(("Oslo", "Bergen", "is"), spans((0, 1, "LOC"), (1, 2, "LOC"))),
        Example(("Acme", "Inc"), spans((0, 2, "ORG"))),
    ]


def test_an_inside_without_a_begin_begins_an_entity(tmp_path):
    content = "by O\nSilicon I-ORG\nValley I-ORG\nBank I-LOC\n"
    [example] = read(tmp_path, content)
    assert example.spans == spans((1, 3, "ORG"), (3, 4, "LOC"))


@pytest.mark.parametrize(
    "tags",
    [
        ["S-PER", "O", "B-ORG", "I-ORG", "E-ORG"],
        ["U-PER", "O", "B-ORG", "I-ORG", "L-ORG"],
        ["PER", "O", "ORG", "ORG", "ORG"],
        ["b-PER", "o", "b-ORG", "i-ORG", "i-ORG"],
    ],
    ids=["BIOES", "BILOU", "bare", "lower case"],
)
def test_every_scheme_of_tags_means_the_same(tmp_path, tags):
    [example] = read(tmp_path, "".join(f"word\t{tag}\n" for tag in tags))
    assert example.spans == spans((0, 1, "PER"), (2, 5, "ORG"))


def test_tabs_part_columns_before_spaces_do(tmp_path):
    [example] = read(tmp_path, "New York\tB-LOC\r\nis nice\tO\r\n")
    assert example == Example(("New York", "is nice"), spans((0, 1, "LOC")))


def test_document_starts_and_comments_part_sentences(tmp_path):
    content = "-DOCSTART- -X- O O\n\n# id 7\nA O\n# text = A b\n# O\n#tag B-X\n"
    assert read(tmp_path, content) == [
        Example(("A",), ()),
        Example(("#", "#tag"), spans((1, 2, "X"))),
    ]


def test_a_word_with_a_sign_and_a_bare_label_is_a_comment_until_the_label_is_known(tmp_path):
    path, notes = tmp_path / "labelled.txt", Counter()
    path.write_text("#first ORG\nAcme ORG\n#acme ORG\n#all about ORG\n#id 7\nin O\n")
    assert list(read_columns(path, notes)) == [
        Example(("Acme", "#acme"), spans((0, 2, "ORG"))),
        Example(("in",), ()),
    ]
    assert notes == {"lines like `#word LABEL` taken for comments": 3}


def test_a_line_with_one_column_is_named(tmp_path):
    with pytest.raises(UnreadableInputError, match=r"Line 2 of .*labelled.txt has one column"):
        read(tmp_path, "Acme B-ORG\nInc\n")


def test_a_line_without_end_is_not_read_into_memory(tmp_path):
    with pytest.raises(UnreadableInputError, match="Line 1 .* longer than 1,000,000"):
        read(tmp_path, b"a" * 3_000_000)


def test_bytes_that_are_no_text_are_named(tmp_path):
    with pytest.raises(UnreadableInputError, match="no UTF-8"):
        read(tmp_path, b"\xff\xfeA O\n")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="nothing.txt does not exist"):
        list(read_columns(tmp_path / "nothing.txt", Counter()))


def test_a_file_without_empty_lines_is_cut(tmp_path):
    assert [len(each.words) for each in read(tmp_path, "a O\n" * 2_500)] == [1_000, 1_000, 500]


def test_a_treebank_has_no_entities_and_is_named(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("# text = Acme\n1\tAcme\tAcme\tPROPN\tNNP\t_\t0\troot\t_\tSpaceAfter=No\n")
    with pytest.raises(UnreadableInputError, match="Line 2 of .* is CoNLL-U, which has no column"):
        list(read_columns(path, Counter()))
    path.write_text("Acme\tB-ORG\n")
    assert list(read_columns(path, Counter())) == [Example(("Acme",), spans((0, 1, "ORG")))]
