import pytest

from embedding_assets.documents.document import Block, Kind
from embedding_assets.documents.parse.docx import read_docx
from embedding_assets_tests.documents.parse.docx_files import paragraph, write_docx


def cell(text, properties="", content=None):
    inner = paragraph(text) if content is None else content
    return f"<w:tc><w:tcPr>{properties}</w:tcPr>{inner}</w:tc>"


def row(*cells, properties=""):
    return f"<w:tr><w:trPr>{properties}</w:trPr>{''.join(cells)}</w:tr>"


def table(*rows):
    return f"<w:tbl>{''.join(rows)}</w:tbl>"


def span(columns):
    return f'<w:gridSpan w:val="{columns}"/>'


DOWN = '<w:vMerge w:val="restart"/>'
GOES_ON = "<w:vMerge/>"


@pytest.fixture
def blocks(tmp_path):
    return lambda body, **others: read_docx(write_docx(tmp_path / "a.docx", body, **others)).blocks


@pytest.fixture
def lines(blocks):
    def lines(*rows):
        (block,) = blocks(table(*rows))
        assert block.kind is Kind.TABLE
        head, rule, *rest = block.text.split("\n")
        assert set(rule) == {"|", "-", " "}
        return [head, *rest]

    return lines


def test_a_table_is_markdown_with_its_first_row_as_header(blocks):
    body = table(row(cell("a"), cell("b | c")), row(cell(" d\te "), cell("")))
    assert blocks(body) == (Block(Kind.TABLE, "| a | b \\| c |\n| --- | --- |\n| d e |  |"),)


def test_merged_cells_stand_in_each_place_that_they_cover(lines):
    assert lines(
        row(cell("a"), cell("wide", span(2))),
        row(cell("tall", DOWN), cell("b"), cell("c")),
        row(cell("", GOES_ON), cell("d"), cell("e")),
    ) == ["| a | wide | wide |", "| tall | b | c |", "| tall | d | e |"]


def test_cells_merged_both_ways_cover_a_block(lines):
    assert lines(
        row(cell("x", span(2) + DOWN), cell("a")), row(cell("", span(2) + GOES_ON), cell("b"))
    ) == ["| x | x | a |", "| x | x | b |"]


def test_a_cell_that_goes_on_from_nowhere_keeps_its_text(lines):
    assert lines(row(cell("a", GOES_ON), cell("b"))) == ["| a | b |"]


def test_cells_merged_in_the_old_way_are_repeated(lines):
    merged = ('<w:hMerge w:val="restart"/>', "<w:hMerge/>")
    assert lines(row(cell("a", merged[0]), cell("", merged[1]), cell("b"))) == ["| a | a | b |"]


def test_rows_that_start_late_or_end_early_keep_their_columns(lines):
    before, after = '<w:gridBefore w:val="1"/>', '<w:gridAfter w:val="1"/>'
    assert lines(
        row(cell("a"), cell("b")),
        row(cell("c"), properties=before),
        row(cell("d"), properties=after),
    ) == ["| a | b |", "|  | c |", "| d |  |"]


def test_rows_and_cells_in_controls_and_insertions_are_read_and_deleted_rows_are_not(lines):
    control = "<w:sdt><w:sdtContent>{}</w:sdtContent></w:sdt>"
    assert lines(
        control.format(row(cell("a"), control.format(cell("b")))),
        row(cell("gone"), cell("gone"), properties="<w:del/>"),
        f"<w:ins>{row(cell('c'), cell('d'))}</w:ins>",
    ) == ["| a | b |", "| c | d |"]


def test_paragraphs_lists_and_nested_tables_stay_in_their_cell(lines):
    nested = table(row(cell("n1"), cell("n2")), row(cell("n3"), cell("n4", span(1))))
    box = paragraph("[x] done") + paragraph("after")
    assert lines(
        row(cell("", content=paragraph("one") + nested + paragraph("two")), cell("b")),
        row(cell("", content=box), cell("", content=table(row(cell("alone"))) + "<w:p/>")),
    ) == ["| one n1 n2 n3 n4 two | b |", "| - [x] done after | alone |"]


def test_a_table_of_one_cell_is_a_frame_around_its_content(blocks):
    heading = paragraph("Heading", '<w:outlineLvl w:val="0"/>')
    inner = table(row(cell("a"), cell("b")))
    assert [it.kind for it in blocks(table(row(cell("", content=heading + inner))))] == [
        Kind.HEADING,
        Kind.TABLE,
    ]


def test_a_table_without_text_is_left_out(blocks):
    assert blocks(table(row(cell(""), cell(" "))) + table()) == ()


def test_a_claimed_span_without_end_is_cut(lines):
    (line,) = lines(row(cell("x", span(10**9)), cell("y")))
    assert line.count("x") == 63


def test_a_long_text_is_not_repeated(lines):
    text = "long " * 300
    (line,) = lines(row(cell(text, span(3)), cell("y")))
    assert line.count("long") == 300
    assert line.endswith("|  |  | y |")


def test_a_footnote_of_a_cell_follows_its_table(blocks):
    noted = '<w:p><w:r><w:t>a</w:t><w:footnoteReference w:id="2"/></w:r></w:p>'
    note = f'<w:footnote w:id="2">{paragraph("why")}</w:footnote>'
    body = table(row(cell("", content=noted), cell("b"))) + paragraph("end")
    assert [it.text for it in blocks(body, footnotes=note)] == [
        "| a[^1] | b |\n| --- | --- |",
        "[^1]: why",
        "end",
    ]
