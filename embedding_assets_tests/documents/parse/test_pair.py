import json
from pathlib import Path

import pytest

from embedding_assets.documents.document import (
    Block,
    DamagedDocumentError,
    EmptyDocumentError,
    Kind,
    Page,
    UnresolvedPageError,
)
from embedding_assets.documents.parse.pair import (
    PairText,
    find_pairs,
    read_pair,
    read_pair_document,
)
from embedding_assets.errors import InputError, InputNotFoundError

REAL = Path(__file__).parents[4] / "shared" / "data" / "paged-texts"
PAGES = "id,pg_num\na,0\nb,1\nc,2\n"


def pair(folder, texts, pages=PAGES):
    content = texts if isinstance(texts, (str, bytes)) else json.dumps(texts)
    for name, data in (("pages_1.csv", pages), ("texts_1.json", content)):
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return folder


def entry(text, *pages):
    return {"text": text, "pages": list(pages)}


def test_texts_come_in_the_order_of_the_file_with_the_numbers_of_their_pages(tmp_path):
    pair(tmp_path, [entry("Rice", "c", "a"), entry("", "b"), entry("Soup"), entry("Rice", "b")])
    assert read_pair(tmp_path, "1") == [
        PairText("Rice", (2, 0)),
        PairText("", (1,)),
        PairText("Soup", ()),
        PairText("Rice", (1,)),
    ]


def test_document_has_the_texts_by_page_and_all_pages(tmp_path):
    pair(tmp_path, [entry("Rice", "b", "a"), entry(" "), entry("Soup", "a"), entry("Fish", "a")])
    document = read_pair_document(tmp_path, "1")
    assert document.blocks == (
        Block(Kind.PARAGRAPH, "Soup", pages=(0,)),
        Block(Kind.PARAGRAPH, "Fish", pages=(0,)),
        Block(Kind.PARAGRAPH, "Rice", pages=(0, 1)),
    )
    assert document.pages == (Page(0, characters=12), Page(1, characters=4), Page(2))
    assert (document.format, document.pages_without_text) == ("pair", (2,))


@pytest.mark.parametrize(
    "pages",
    [
        b"\xef\xbb\xbf" + PAGES.encode(),
        PAGES.replace("\n", "\r\n"),
        'pg_num, id, note\n 0, a, cover\n1,"b",\n2,c,"x, y"\n',
        "id,pg_num\n\na,0\nb,1\nb,1\nc,2\n\n",
    ],
    ids=["byte order mark", "CRLF", "quotes, other columns", "blank lines, repeated row"],
)
def test_page_tables_of_all_programs_are_read(tmp_path, pages):
    pair(tmp_path, [entry("Rice", "a", "b", "c")], pages)
    assert read_pair(tmp_path, "1") == [PairText("Rice", (0, 1, 2))]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_of_the_texts_are_no_part_of_them(tmp_path, encoding):
    pair(tmp_path, '[{"text": "Crème", "pages": ["a"]}]'.encode(encoding))
    assert read_pair(tmp_path, "1") == [PairText("Crème", (0,))]


def test_half_a_character_becomes_the_replacement_character(tmp_path):
    pair(tmp_path, r'[{"text": "a\ud83d b\ud83c\udf72", "pages": []}]')
    assert read_pair(tmp_path, "1") == [PairText("a� b🍲", ())]


def test_repeated_page_of_a_text_is_named_once(tmp_path):
    pair(tmp_path, [entry("Rice", "b", "a", "b")])
    assert read_pair(tmp_path, "1") == [PairText("Rice", (1, 0))]


def test_unresolved_page_is_named_with_the_text(tmp_path):
    pair(tmp_path, [entry("Rice", "a"), entry("Soup", "b", "3f-0")])
    with pytest.raises(UnresolvedPageError, match=r"texts_1.json, entry 1 names the page '3f-0'"):
        read_pair(tmp_path, "1")


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ('[{"text": "Rice",\n "pages": ["a"}]', r"not JSON \(Expecting.*line 2"),
        (b'[{"text": "\xff"}]', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"text": "Rice"}', "holds a dict, not a list"),
        ("[[]]", "entry 0 has no text"),
        ('[{"pages": []}]', "entry 0 has no text"),
        ('[{"text": null, "pages": []}]', "entry 0 has no text"),
        ('[{"text": "Rice"}]', "entry 0 has no list of page ids"),
        ('[{"text": "Rice", "pages": "a"}]', "entry 0 has no list of page ids"),
        ('[{"text": "Rice", "pages": [0]}]', "entry 0 has no list of page ids"),
    ],
)
def test_damaged_texts_are_named_with_their_place(tmp_path, texts, problem):
    pair(tmp_path, texts)
    with pytest.raises(DamagedDocumentError, match=problem):
        read_pair(tmp_path, "1")


@pytest.mark.parametrize(
    ("pages", "problem"),
    [
        ("id;pg_num\na;0\n", "it has the columns id;pg_num"),
        ("id,pg_num\na,0\nb,two\n", "line 3 has the page number 'two'"),
        ("id,pg_num\na,1.0\n", "line 2 has the page number '1.0'"),
        ("id,pg_num\na,9999999999\n", "line 2 has the page number '9999999999'"),
        ("id,pg_num\na\n", "line 2 has the page number ''"),
        ("id,pg_num\n,0\n", "line 2 has no page id"),
        ("id,pg_num\na,0\nb,1\na,2\n", "line 4 gives page a the number 2, an earlier one 0"),
        ('id,pg_num\n"a,0\n', "line 2: unexpected end"),
        (b"id,pg_num\n\xff,0\n", "not UTF-8"),
    ],
)
def test_damaged_page_tables_are_named_with_the_line(tmp_path, pages, problem):
    pair(tmp_path, [], pages)
    with pytest.raises(DamagedDocumentError, match=problem):
        read_pair(tmp_path, "1")


@pytest.mark.parametrize("half", ["pages_1.csv", "texts_1.json"])
def test_halves_without_content_are_empty_documents(tmp_path, half):
    (pair(tmp_path, []) / half).write_bytes(b"\n")
    with pytest.raises(EmptyDocumentError, match=half):
        read_pair(tmp_path, "1")


@pytest.mark.parametrize(
    ("halves", "problem"),
    [
        (["pages_1.csv"], "texts_1.json is not in"),
        (["texts_1.json"], "pages_1.csv is not in"),
        ([], "pages_1.csv and texts_1.json are not in"),
    ],
)
def test_missing_halves_are_named(tmp_path, halves, problem):
    for name in halves:
        (tmp_path / name).touch()
    with pytest.raises(InputNotFoundError, match=problem):
        read_pair(tmp_path, "1")


@pytest.mark.parametrize("doc_id", ["", "../1", "a/b", "/etc/passwd", "1\0"])
def test_ids_never_lead_out_of_the_folder(tmp_path, doc_id):
    with pytest.raises(InputError, match="is not the id of a pair"):
        read_pair(tmp_path, doc_id)


def test_pairs_are_found_by_either_half(tmp_path):
    for name in ("pages_b 2.csv", "texts_b 2.json", "texts_ü.json", "pages_c.csv", "pages_.csv"):
        (tmp_path / name).touch()
    (tmp_path / "pages_d.csv.tmp").touch()
    assert find_pairs(tmp_path) == ["b 2", "c", "ü"]


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data beside the checkout")
@pytest.mark.parametrize(
    ("doc_id", "texts", "pages", "without_text"),
    [("fedreg-2020-17221", 206, 15, 0), ("i1040nr", 201, 50, 0), ("irm-2-3", 1002, 400, 2)],
)
def test_real_pairs_are_read_whole(doc_id, texts, pages, without_text):
    document = read_pair_document(REAL, doc_id)
    assert len(read_pair(REAL, doc_id)) == len(document.blocks) == texts
    assert (len(document.pages), len(document.pages_without_text)) == (pages, without_text)
