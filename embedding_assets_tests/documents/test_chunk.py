from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.documents.chunk import (
    ChunkLimits,
    chunk_document,
    chunk_documents,
    token_counter,
)
from embedding_assets.documents.document import Block, Box, Document, Kind
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model


def words(texts):
    return np.array([len(text.replace(" > ", " ").split()) for text in texts], dtype=np.int32)


def title(text):
    return Block(Kind.TITLE, text)


def heading(text, level=1, **more):
    return Block(Kind.HEADING, text, level, **more)


def paragraph(text, **more):
    return Block(Kind.PARAGRAPH, text, **more)


def item(text, marker="-", **more):
    return Block(Kind.LIST_ITEM, text, 1, marker, **more)


def table(text, **more):
    return Block(Kind.TABLE, text, **more)


def numbered(start, stop):
    return " ".join(f"w{number}" for number in range(start, stop))


def chunks(*blocks, size=20, overlap=0, count=words, doc_id="menu.pdf"):
    document = Document("pdf", blocks)
    return chunk_document(document, doc_id, count, ChunkLimits(size, overlap))


def texts(*blocks, **options):
    return [chunk.text for chunk in chunks(*blocks, **options)]


def ids(*blocks, **options):
    return [chunk.chunk_id for chunk in chunks(*blocks, **options)]


def test_small_blocks_of_a_section_are_put_together_up_to_the_limit():
    found = texts(
        paragraph(numbered(0, 8)), paragraph(numbered(8, 16)), paragraph(numbered(16, 24))
    )
    assert found == [f"{numbered(0, 8)}\n\n{numbered(8, 16)}", numbered(16, 24)]


def test_no_chunk_crosses_a_heading_and_each_carries_its_path():
    found = chunks(
        title("Handbook"),
        paragraph("Read me."),
        heading("Pay"),
        paragraph("Weekly."),
        heading("Tips", 2),
        paragraph("All yours."),
        heading("Leave"),
        paragraph("Ask us."),
    )
    assert [(chunk.heading_path, chunk.text) for chunk in found] == [
        (("Handbook",), "Read me."),
        (("Handbook", "Pay"), "Weekly."),
        (("Handbook", "Pay", "Tips"), "All yours."),
        (("Handbook", "Leave"), "Ask us."),
    ]
    assert found[2].text_for_embedding == "Handbook > Pay > Tips\nAll yours."
    assert [chunk.position for chunk in found] == [0, 1, 2, 3]


def test_tokens_are_those_of_the_text_with_its_headings_and_never_above_the_limit():
    found = chunks(heading("Long pay rules"), paragraph(numbered(0, 60)))
    assert [chunk.tokens for chunk in found] == [20, 20, 20, 12]
    assert all(chunk.tokens == words([chunk.text_for_embedding])[0] for chunk in found)


def test_heading_without_text_below_it_is_a_chunk_of_its_own():
    found = chunks(heading("Part"), heading("Empty", 2), heading("Last", 2), paragraph("Text."))
    assert [(chunk.kind, chunk.heading_path, chunk.text) for chunk in found] == [
        (Kind.HEADING, ("Part",), "Empty"),
        (Kind.PARAGRAPH, ("Part", "Last"), "Text."),
    ]


def test_heading_that_is_too_long_for_a_path_is_text():
    long = numbered(0, 8)
    found = chunks(heading("Part"), heading(long, 2), paragraph("Text."))
    assert [(chunk.heading_path, chunk.text) for chunk in found] == [
        (("Part",), f"{long}\n\nText.")
    ]


def test_deep_path_keeps_the_innermost_headings_and_loses_none():
    found = chunks(heading("a b c", 1), heading("d e f", 2), heading("g h", 3), paragraph("Text."))
    assert [(chunk.heading_path, chunk.text) for chunk in found] == [
        ((), "a b c"),
        (("d e f", "g h"), "Text."),
    ]


def test_list_stays_together_where_it_fits():
    found = texts(paragraph(numbered(0, 14)), item("one a b"), item("two c d"), paragraph("end"))
    assert found == [numbered(0, 14), "- one a b\n- two c d\n\nend"]


def test_long_list_is_cut_between_items():
    found = texts(*(item(numbered(0, 8), f"{number}.") for number in range(3)))
    assert found == [f"0. {numbered(0, 8)}\n1. {numbered(0, 8)}", f"2. {numbered(0, 8)}"]


def test_table_is_a_chunk_of_its_own_with_its_caption():
    rows = "| a | b |\n|---|---|\n| c | d |"
    found = chunks(
        paragraph("before"), Block(Kind.CAPTION, "Fees"), table(rows), paragraph("after"), size=30
    )
    assert [(chunk.kind, chunk.text) for chunk in found] == [
        (Kind.PARAGRAPH, "before"),
        (Kind.TABLE, f"Fees\n\n{rows}"),
        (Kind.PARAGRAPH, "after"),
    ]


def test_large_table_is_cut_between_rows_under_its_caption_and_header():
    head = "| a | b |\n|---|---|\n"
    rows = [f"| {number} | x |\n" for number in range(3)]
    found = texts(Block(Kind.CAPTION, "Fees"), table((head + "".join(rows)).strip()), size=17)
    assert found == [
        f"Fees\n\n{head}{rows[0]}{rows[1]}".strip(),
        f"Fees\n\n{head}{rows[2]}".strip(),
    ]


def test_chunk_has_the_pages_and_boxes_of_its_blocks_alone():
    first, second, third = (Box(page, 1.0, 2.0, 3.0, 4.0) for page in (4, 5, 6))
    found = chunks(
        paragraph(numbered(0, 9), pages=(5, 6), boxes=(second, third)),
        paragraph(numbered(9, 18), pages=(5,), boxes=(first, second)),
        paragraph(numbered(0, 30), pages=(6,), boxes=(third,)),
    )
    assert [(chunk.pages, chunk.boxes) for chunk in found] == [
        ((5, 6), (second, third, first)),
        ((6,), (third,)),
        ((6,), (third,)),
    ]


def test_blocks_are_put_together_over_two_pages_at_most():
    found = chunks(*(paragraph(f"p{page}", pages=(page,)) for page in range(5)))
    assert [chunk.pages for chunk in found] == [(0, 1), (2, 3), (4,)]


def test_block_on_many_pages_takes_in_others_of_those_pages_only():
    found = chunks(
        paragraph("a", pages=(1, 2, 3)), paragraph("b", pages=(2, 3)), paragraph("c", pages=(4,))
    )
    assert [chunk.text for chunk in found] == ["a\n\nb", "c"]


def test_every_part_of_a_long_paragraph_keeps_all_pages_that_it_stands_on():
    found = chunks(paragraph(numbered(0, 45), pages=(1, 2)))
    assert [chunk.pages for chunk in found] == [(1, 2)] * 3


def test_chunks_overlap_by_whole_sentences_inside_a_section_only():
    text = "A b c d e f. G h i j. K l m n. O p q r. S t u v."
    found = texts(
        heading("h"), paragraph(text), heading("i"), paragraph("next one"), size=20, overlap=5
    )
    assert found == ["A b c d e f. G h i j. K l m n.", "K l m n. O p q r. S t u v.", "next one"]


def test_overlap_keeps_the_limit_and_leaves_tables_alone():
    found = chunks(
        paragraph(numbered(0, 50)), table("| a |"), paragraph("end of it"), size=20, overlap=5
    )
    assert [chunk.tokens for chunk in found] == [15, 20, 20, 10, 3, 3]
    assert [chunk.text for chunk in found][-2:] == ["| a |", "end of it"]


def test_ids_depend_on_document_headings_and_text():
    [base] = ids(heading("h"), paragraph("text"))
    others = [
        *ids(heading("h"), paragraph("text"), doc_id="other.pdf"),
        *ids(heading("g"), paragraph("text")),
        *ids(heading("h"), paragraph("texts")),
    ]
    assert len({base, *others}) == 4
    assert ids(heading("h"), paragraph("text", pages=(7,))) == [base]


def test_equal_passages_have_ids_of_their_own():
    found = ids(*[heading("h"), paragraph("same")] * 3)
    assert len(set(found)) == 3
    assert ids(*[heading("h"), paragraph("same")] * 2) == found[:2]


def test_change_in_one_section_leaves_the_chunks_of_the_others():
    sections = [
        [heading(f"h{name}"), paragraph(numbered(name, name + 50)), item("one"), table("| x |")]
        for name in range(5)
    ]
    before = set(ids(*sum(sections, [])))
    changed = [*sections]
    changed[2] = [heading("h2"), paragraph("New words here. " + numbered(2, 52))]
    after = set(ids(*sum(changed, [])))
    untouched = set(ids(*sum(sections[:2] + sections[3:], [])))
    assert before & after == untouched
    assert len(before - untouched) == len(before) / 5


def test_paragraph_put_before_a_long_one_does_not_move_its_cuts():
    long = paragraph(numbered(0, 90))
    before = set(ids(long))
    assert before < set(ids(paragraph("New."), long))


def test_prompt_of_the_model_is_counted_once_in_each_chunk():
    def with_prompt(many):
        return words(many) + 4

    found = chunks(heading("h"), *map(paragraph, "abcdefghijklmnopqrst"), count=with_prompt)
    assert [chunk.tokens for chunk in found] == [20, 10]


def test_passages_stay_in_the_limit_when_tokens_do_not_add_up():
    def costly(many):
        return np.array([len(text.split()) + text.count("\n\n") * 3 for text in many])

    found = chunks(*(paragraph(f"p{number} q r") for number in range(20)), count=costly)
    assert max(chunk.tokens for chunk in found) <= 20
    assert sum(len(chunk.text.split()) for chunk in found) == 60


def test_document_without_text_has_no_chunks():
    assert chunks() == []
    assert chunks(paragraph(" \n ")) == []


@pytest.mark.parametrize(("tokens", "overlap"), [(15, 0), (100, 26), (100, -1)])
def test_impossible_limits_are_refused(tokens, overlap):
    with pytest.raises(ValueError, match=str(tokens if overlap == 0 else overlap)):
        ChunkLimits(tokens, overlap)


KINDS = [kind for kind in Kind if kind is not Kind.TABLE]
TEXTS = st.text(alphabet="abc .\n", min_size=1, max_size=120).filter(str.strip)
TABLES = st.integers(1, 12).map(
    lambda rows: "| k | v |\n|---|---|\n" + "\n".join(f"| r{row} | x |" for row in range(rows))
)
BLOCKS = st.one_of(
    st.builds(Block, st.sampled_from(KINDS), TEXTS, st.integers(0, 3)),
    st.builds(table, TABLES),
)


@given(st.lists(BLOCKS, max_size=12), st.integers(16, 40), st.integers(0, 4))
def test_every_word_is_in_a_chunk_or_its_headings_and_no_chunk_is_too_large(blocks, size, overlap):
    found = chunks(*blocks, size=size, overlap=overlap, count=HashingEncoder().count_tokens)
    shown = {word for chunk in found for word in chunk.text_for_embedding.split()}
    assert {word for block in blocks for word in block.text.split()} <= shown
    assert all(chunk.tokens <= size for chunk in found)
    assert len({chunk.chunk_id for chunk in found}) == len(found)


@pytest.fixture(scope="module")
def count():
    return token_counter(resolve_model(DEFAULT_MODEL, Path("unused")))


def test_chunks_fill_the_window_of_the_packaged_model(count):
    sentence = "Couriers deliver crème brûlée to the harbour within 25 minutes. "
    found = chunks(heading("Delivery"), paragraph(sentence * 200), size=254, count=count)
    assert all(chunk.tokens <= 254 for chunk in found)
    assert all(chunk.tokens > 230 for chunk in found[:-1])
    assert " ".join(chunk.text for chunk in found) == (sentence * 200).strip()
    assert [chunk.tokens for chunk in found] == count(
        [chunk.text_for_embedding for chunk in found]
    ).tolist()


WORDS = st.text(alphabet="ab .,!>-\n'é。今😀A1", min_size=1, max_size=150).filter(str.strip)
MIXED = st.one_of(
    st.builds(Block, st.sampled_from(KINDS), WORDS, st.integers(0, 3), st.sampled_from(["", "•"])),
    st.builds(table, TABLES),
)


@given(st.lists(MIXED, max_size=8), st.integers(16, 40), st.integers(0, 4))
def test_tokens_are_those_of_the_packaged_model(count, blocks, size, overlap):
    found = chunks(*blocks, size=size, overlap=overlap, count=count)
    expected = count([chunk.text_for_embedding for chunk in found])
    assert [chunk.tokens for chunk in found] == expected.tolist()
    assert all(chunk.tokens <= size for chunk in found)


def test_text_is_counted_once_where_tokens_add_up(count):
    counted = []

    def recorded(many):
        counted.extend(many)
        return count(many)

    [chunk] = chunks(heading("Pay"), paragraph("Hours."), paragraph("Tips."), count=recorded)
    assert chunk.text_for_embedding == "Pay\nHours.\n\nTips."
    assert [text for text in counted if "Tips" in text] == ["Tips."]


def test_documents_together_have_the_chunks_that_they_have_alone(count):
    documents = [
        (name, Document("json", (heading(name), paragraph(numbered(0, size)), table("| x |"))))
        for name, size in (("a", 3), ("b", 900), ("c", 0), ("d", 40))
    ]
    documents.append(("empty", Document("json", ())))
    alone = [chunk_document(document, name, count, ChunkLimits()) for name, document in documents]
    assert chunk_documents(documents, count, ChunkLimits()) == alone
    assert chunk_documents([], count, ChunkLimits()) == []


def test_tokens_beyond_128_are_counted(count):
    assert count(["menu " * 1000, "", "menu"]).tolist() == [1000, 0, 1]


def test_blocks_that_are_equal_are_joined_alike_whether_one_object_or_two():
    block = paragraph("same")
    assert texts(block, block) == texts(block, replace(block)) == ["same\n\nsame"]
