import codecs
import json
from pathlib import Path

import pytest

from embedding_assets.documents.document import (
    Block,
    Box,
    DamagedDocumentError,
    EmptyDocumentError,
    Kind,
    Page,
    RefusedDocumentError,
)
from embedding_assets.documents.parse import json_load
from embedding_assets.documents.parse.json_file import read_json
from embedding_assets.errors import InputNotFoundError

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "json"
needs_data = pytest.mark.skipif(
    not FOLDER.exists(), reason="needs ../shared/data beside the checkout"
)


@pytest.fixture
def read(tmp_path):
    """Reads a value, or a text or bytes as they are, from a file."""

    def read(content):
        path = tmp_path / "a.json"
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_json(path)

    return read


def texts(document):
    return [block.text for block in document.blocks]


@pytest.mark.parametrize("content", [b"", b" \n\t", codecs.BOM_UTF8])
def test_a_file_without_a_value_is_empty(read, content):
    with pytest.raises(EmptyDocumentError, match="a.json has"):
        read(content)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ('{\n  "a": 1,\n  oops\n}', "line 3, column 3"),
        ('{"a": "cut', "line 1, column 7"),
        ('{"a": 1} rest', "line 1, column 10"),
        ('{"a": 1}\n{"b": }', "line 2, column 7"),
        ("plain words", "line 1, column 1"),
    ],
)
def test_malformed_json_is_damaged_at_its_line_and_column(read, content, place):
    with pytest.raises(DamagedDocumentError, match=place):
        read(content)


def test_bytes_that_are_no_text_are_damaged(read):
    with pytest.raises(DamagedDocumentError, match="utf-8 text: .* at byte 6"):
        read(b'{"a":"\xff\xfe"}')


@pytest.mark.parametrize("levels", [65, 100, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_nested_too_deep_is_refused(read, levels, opening, closing):
    with pytest.raises(RefusedDocumentError, match="more than 64 levels"):
        read(opening * levels + '"deep"' + closing * levels)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_json_of_64_levels_is_read(read, opening, closing):
    assert "deep" in texts(read(opening * 64 + '"deep"' + closing * 64))[-1]


def test_json_lines_of_64_levels_are_read_and_deeper_ones_refused(read):
    line = "[" * 64 + '"deep"' + "]" * 64
    assert texts(read(f"{line}\n{line}")) == ["deep\ndeep"]
    with pytest.raises(RefusedDocumentError):
        read(f"{line}\n[{line}]")


def test_a_file_that_is_too_large_is_refused(read, monkeypatch):
    monkeypatch.setattr(json_load, "_MAX_BYTES", 10)
    with pytest.raises(RefusedDocumentError, match="more than 10 bytes"):
        read({"text": "longer than that"})


def test_a_file_that_vanished_is_not_there(tmp_path):
    with pytest.raises(InputNotFoundError):
        read_json(tmp_path / "gone.json")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(read, encoding):
    assert texts(read('{"text": "Grüße, 世界"}'.encode(encoding))) == ["Grüße, 世界"]


def test_characters_that_no_store_takes_are_replaced(read):
    document = read(r'{"text": "a\u0000b \ud800 c \ud83d\ude00", "k\udfff": "v"}')
    assert texts(document) == ["a�b � c 😀", "k�: v"]


def test_numbers_stay_as_they_are_written(read):
    content = '{"a": 1.10, "b": NaN, "c": -Infinity, "d": 1e999, "e": ' + "9" * 5_000 + "}"
    (text,) = texts(read(content))
    assert text == "a: 1.10\nb: NaN\nc: -Infinity\nd: 1e999\ne: " + "9" * 5_000


def test_no_value_of_a_repeated_key_is_lost(read):
    assert texts(read('{"a": "one", "a": "two", "b": "three"}')) == ["a: one, two\nb: three"]


def test_plain_json_keeps_the_order_of_the_file(read):
    document = read(
        {
            "id": 7,
            "title": "The lake",
            "url": "https://example.org/a/long/address",
            "open": True,
            "owner": None,
            "tags": ["swim", "sun"],
            "body": "First paragraph of the text.\nIts second line.\n\nSecond paragraph.",
            "note": "Bring a towel and some water.",
            "place": {"town": "Rome", "geo": {"lat": 41.9}},
            "tips": ["Come early in the morning, really.", "Mind the ducks near the shore."],
        }
    )
    assert document.title == "The lake"
    assert document.blocks == (
        Block(Kind.TITLE, "The lake"),
        Block(
            Kind.PARAGRAPH,
            "id: 7\nurl: https://example.org/a/long/address\nopen: true\ntags: swim, sun",
        ),
        Block(Kind.PARAGRAPH, "First paragraph of the text.\nIts second line."),
        Block(Kind.PARAGRAPH, "Second paragraph."),
        Block(Kind.PARAGRAPH, "note: Bring a towel and some water."),
        Block(Kind.HEADING, "place", 1),
        Block(Kind.PARAGRAPH, "town: Rome"),
        Block(Kind.HEADING, "geo", 2),
        Block(Kind.PARAGRAPH, "lat: 41.9"),
        Block(Kind.HEADING, "tips", 1),
        Block(Kind.LIST_ITEM, "Come early in the morning, really.", 1),
        Block(Kind.LIST_ITEM, "Mind the ducks near the shore.", 1),
    )


def test_records_of_a_list_have_their_titles_and_pages(read):
    document = read(
        [
            {"name": "One", "text": "Alpha.", "page": 3},
            {"text": "Beta.", "page_number": 1},
            {"stars": 5, "good": False},
            {"stars": 4},
        ]
    )
    assert document.blocks == (
        Block(Kind.HEADING, "One", 1, pages=(3,)),
        Block(Kind.PARAGRAPH, "Alpha.", pages=(3,)),
        Block(Kind.PARAGRAPH, "page: 3", pages=(3,)),
        Block(Kind.PARAGRAPH, "Beta.", pages=(1,)),
        Block(Kind.PARAGRAPH, "page_number: 1", pages=(1,)),
        Block(Kind.PARAGRAPH, "stars: 5\ngood: false"),
        Block(Kind.PARAGRAPH, "stars: 4"),
    )
    assert [(page.number, page.characters) for page in document.pages] == [(1, 19), (3, 16)]


def test_a_key_that_only_says_text_gives_no_heading(read):
    document = read({"paragraphs": ["One two three four five.", "Six seven eight nine ten."]})
    assert [block.kind for block in document.blocks] == [Kind.PARAGRAPH, Kind.PARAGRAPH]


def test_prose_without_blanks_is_a_paragraph(read):
    prose = "これは空白のない長い文章ですので段落になります。"
    assert texts(read({"a": 1, "注": prose})) == ["a: 1", f"注: {prose}"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [('"a text"', ["a text"]), (7, ["7"]), (["a", 1, None], ["a, 1"]), ({}, []), ([], [])],
)
def test_any_value_is_a_document(read, value, expected):
    assert texts(read(value)) == expected


def test_json_lines_are_records(read):
    document = read('{"title": "A", "text": "One."}\n\n{"title": "B", "text": "Two."}\n')
    assert texts(document) == ["A", "One.", "B", "Two."]


def element(kind, text, **metadata):
    return {"type": kind, "element_id": "x", "text": text, "metadata": metadata}


def test_elements_are_blocks_and_page_headers_are_left_out(read):
    html = "<table><tr><th colspan=2>wide</th></tr><tr><td rowspan=2>tall</td><td>a</td></tr>"
    html += "<tr><td>b</td></tr></table>"
    document = read(
        [
            element("Header", "left out", page_number=1),
            element("Title", "The title", page_number=1, languages=["eng"]),
            element("Title", "Below", page_number=1, category_depth=1),
            element("ListItem", "an item", page_number=2, category_depth=2),
            element("CompositeElement", "One.\n\nTwo.", page_number=2),
            element("Table", "wide tall a b", text_as_html=html),
            element("Table", "no html"),
            element("FigureCaption", "Figure 1"),
            element("CodeSnippet", "  x = 1\n"),
            element("PageBreak", ""),
            element("Footer", "left out too"),
        ]
    )
    assert document.title == "The title"
    assert document.blocks == (
        Block(Kind.HEADING, "The title", 1, pages=(1,)),
        Block(Kind.HEADING, "Below", 2, pages=(1,)),
        Block(Kind.LIST_ITEM, "an item", 3, pages=(2,)),
        Block(Kind.PARAGRAPH, "One.", pages=(2,)),
        Block(Kind.PARAGRAPH, "Two.", pages=(2,)),
        Block(Kind.TABLE, "| wide | wide |\n| --- | --- |\n| tall | a |\n| tall | b |"),
        Block(Kind.TABLE, "no html"),
        Block(Kind.CAPTION, "Figure 1"),
        Block(Kind.CODE, "  x = 1"),
    )


@pytest.mark.parametrize(
    ("system", "box"), [("PixelSpace", (10, 20, 60, 40)), ("PointSpace", (10, 160, 60, 180))]
)
def test_the_box_of_an_element_is_measured_from_the_top_left(read, system, box):
    where = {
        "points": [[10, 20], [10, 40], [60, 40], [60, 20]],
        "system": system,
        "layout_width": 100,
        "layout_height": 200,
    }
    document = read([element("Text", "words", page_number=4, coordinates=where)])
    assert document.blocks[0].boxes == (Box(4, *box),)
    assert document.pages == (Page(4, 100, 200, 5),)


def test_an_element_without_a_usable_place_has_no_box(read):
    places = [{"points": None}, {"points": [[1]], "layout_width": 9, "layout_height": 9}, "there"]
    document = read([element("Text", "words", page_number=1, coordinates=it) for it in places])
    assert [block.boxes for block in document.blocks] == [(), (), ()]


def docling(texts=(), body=None, **others):
    children = [f"#/texts/{place}" for place in range(len(texts))] if body is None else body
    return {
        "schema_name": "DoclingDocument",
        "body": {"children": refs(children), "label": "unspecified"},
        "texts": list(texts),
        **others,
    }


def refs(targets):
    return [{"$ref": target} for target in targets]


def node(label, text="", **more):
    return {"label": label, "text": text, "children": [], **more}


def test_a_docling_document_is_read_in_the_order_of_its_references(read):
    document = read(
        docling(
            [
                node("text", "last"),
                node("title", "The title", children=refs(["#/texts/2", "#/groups/0"])),
                node("section_header", "A section", level=2),
                node("list_item", "outer", enumerated=True, children=refs(["#/groups/1"])),
                node("list_item", "inner", marker="-"),
                node("page_header", "left out"),
                node("text", "left out too", content_layer="furniture"),
                node("list_item", "", enumerated=True, children=refs(["#/groups/2"])),
                node("text", "bold"),
                node("text", "and plain"),
                node("checkbox_selected", "done"),
                node("formula", "a^2"),
                node("code", "  x = 1\n"),
                node("caption", "Table 1"),
                node("text", "a cell"),
                node("footnote", "a note"),
            ],
            body=[f"#/texts/{place}" for place in (1, 5, 6)]
            + ["#/tables/0", "#/pictures/0", "#/nowhere/1", "#/texts/99", "no pointer"]
            + ["#/texts/10", "#/texts/11", "#/texts/12", "#/texts/0", "#/texts/0", "#/body"],
            groups=[
                node("list", children=refs(["#/texts/3", "#/texts/7"])),
                node("list", children=refs(["#/texts/4"])),
                node("inline", children=refs(["#/texts/8", "#/texts/9"])),
            ],
            tables=[
                node(
                    "table",
                    captions=refs(["#/texts/13"]),
                    children=refs(["#/texts/13", "#/texts/14"]),
                    footnotes=refs(["#/texts/15"]),
                    data={"grid": [[{"text": "a"}, {"text": "b"}], [{"text": "a cell"}, {}]]},
                )
            ],
            pictures=[node("picture")],
        )
    )
    assert document.title == "The title"
    assert document.blocks == (
        Block(Kind.TITLE, "The title"),
        Block(Kind.HEADING, "A section", 2),
        Block(Kind.LIST_ITEM, "outer", 1, "1."),
        Block(Kind.LIST_ITEM, "inner", 2, "-"),
        Block(Kind.LIST_ITEM, "bold and plain", 1, "2."),
        Block(Kind.CAPTION, "Table 1"),
        Block(Kind.TABLE, "| a | b |\n| --- | --- |\n| a cell |  |"),
        Block(Kind.PARAGRAPH, "a note"),
        Block(Kind.LIST_ITEM, "[x] done", 1),
        Block(Kind.PARAGRAPH, "$$a^2$$"),
        Block(Kind.CODE, "  x = 1"),
        Block(Kind.PARAGRAPH, "last"),
    )


def test_docling_tables_without_a_grid_are_laid_out_from_their_cells(read):
    cells = [
        {"text": "wide", "start_row_offset_idx": 0, "start_col_offset_idx": 0}
        | {"end_row_offset_idx": 1, "end_col_offset_idx": 2},
        {"text": "b", "start_row_offset_idx": 1, "start_col_offset_idx": 1},
        {"text": "far", "start_row_offset_idx": 10**12, "start_col_offset_idx": 10**12},
    ]
    table = node("table", data={"table_cells": cells})
    document = read(docling(body=["#/tables/0"], tables=[table]))
    assert texts(document) == ["| wide | wide |\n| --- | --- |\n|  | b |"]


@pytest.mark.parametrize(
    ("origin", "box"), [("BOTTOMLEFT", (10, 50, 60, 80)), ("TOPLEFT", (10, 120, 60, 150))]
)
def test_docling_boxes_are_measured_from_the_top_left(read, origin, box):
    def at(page, top, bottom):
        bbox = {"l": 10, "r": 60, "t": top, "b": bottom, "coord_origin": origin}
        return {"page_no": page, "bbox": bbox}

    place = [at(2, 150, 120), at(3, 150, 120)]
    document = read(
        docling(
            [node("text", "words", prov=place)],
            body=["#/texts/0", "#/pictures/0"],
            pictures=[node("picture", prov=[at(3, 200, 0)])],
            pages={"2": {"page_no": 2, "size": {"width": 100, "height": 200}}}
            | {"3": {"page_no": 3, "size": {"width": 60, "height": 200}}},
        )
    )
    assert document.blocks == (
        Block(Kind.PARAGRAPH, "words", pages=(2, 3), boxes=(Box(2, *box), Box(3, *box))),
    )
    assert document.pages == (Page(2, 100, 200, 5), Page(3, 60, 200, 5, has_image=True))


def test_docling_references_without_end_are_refused(read):
    chain = [node("text", "x", children=refs([f"#/texts/{it + 1}"])) for it in range(2_000)]
    with pytest.raises(RefusedDocumentError, match="without end"):
        read(docling(chain, body=["#/texts/0"]))


def test_a_docling_document_of_wrong_types_is_read_as_far_as_it_goes(read):
    value = docling([node("text", "words", prov="none", level="x"), 7, None])
    assert texts(read(value | {"pages": [], "groups": 3})) == ["words"]


@needs_data
@pytest.mark.parametrize(
    ("name", "blocks", "pages", "title"),
    [
        ("IRS-form-1987.pdf.json", 80, [1, 2], "Ay Department of the Treasury"),
        ("handbook-1p.docx.json", 13, [], None),
        ("multi-column-2p.pdf.json", 33, [1, 2], None),
        ("unit_test_headers.docx.json", 22, [], "Test Document"),
        ("word_sample.docx.json", 23, [], "Swimming in the lake"),
    ],
)
def test_real_exports_are_read_whole(name, blocks, pages, title):
    document = read_json(FOLDER / name)
    assert len(document.blocks) == blocks
    assert [page.number for page in document.pages] == pages
    assert (document.title or "").startswith(title or "") and bool(document.title) == bool(title)
    value = json.loads((FOLDER / name).read_text())
    items = value if isinstance(value, list) else value["texts"]
    left_out = ("Header", "Footer")
    expected = [it["text"].split() for it in items if it.get("type") not in left_out]
    read = " ".join(" ".join(block.text.split()) for block in document.blocks)
    assert all(" ".join(text) in read for text in expected)


@needs_data
def test_a_docling_export_has_the_structure_of_its_document():
    document = read_json(FOLDER / "word_sample.docx.json")
    assert [(it.level, it.text) for it in document.blocks if it.kind is Kind.HEADING] == [
        (1, "Let’s swim!"),
        (2, "Let’s eat"),
    ]
    items = [block for block in document.blocks if block.kind is Kind.LIST_ITEM]
    assert [(it.marker, it.level) for it in items[3:6]] == [("1.", 1), ("2.", 1), ("3.", 1)]
    (table,) = (block.text for block in document.blocks if block.kind is Kind.TABLE)
    assert "| Leaves | Ash, Elm, Maple | 50 |" in table
