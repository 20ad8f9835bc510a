import pytest

from embedding_assets.documents.document import (
    Box,
    DamagedDocumentError,
    EmptyDocumentError,
    Kind,
    LockedDocumentError,
)
from embedding_assets.documents.parse.pdf import read_pdf
from embedding_assets.errors import InputNotFoundError
from embedding_assets_tests.documents.parse.pdfs import lines, pdf, picture, rule, text

PROSE = [
    "The river rises in the hills and runs for ninety miles",
    "before it reaches the plain where the towns were built,",
    "and every spring the meadows beside it are flooded for",
    "a week or two until the water has found its way again.",
]
LEFT = [
    "Left one tells of the sea and",
    "of the ships that sailed upon",
    "it when the winter storms had",
    "gone and the nets were mended",
]
RIGHT = [
    "Right one tells of high hills",
    "and of the sheep that grazed",
    "there until the first of snow",
    "had come and they went home.",
]


@pytest.fixture
def read(tmp_path):
    def read(*pages, **options):
        path = tmp_path / "some file.pdf"
        path.write_bytes(pdf(*pages, **options))
        return read_pdf(path)

    return read


def shape(document):
    return [(block.kind, block.text) for block in document.blocks]


def test_lines_of_a_paragraph_are_one_text_with_its_page_and_a_box_around_it(read):
    document = read(lines(50, 100, PROSE))
    [block] = document.blocks
    assert (block.kind, block.text, block.pages) == (Kind.PARAGRAPH, " ".join(PROSE), (1,))
    [box] = block.boxes
    assert 48 < box.left < 51 and 88 < box.top < 94
    assert 280 < box.right < 320 and 136 < box.bottom < 142
    assert document.pages[0].characters == len("".join(PROSE).replace(" ", ""))


def test_a_word_cut_at_the_end_of_a_line_is_whole_again(read):
    document = read(
        lines(50, 100, ["The water has found its natural way a-", "gain over the plain."])
    )
    assert shape(document) == [
        (Kind.PARAGRAPH, "The water has found its natural way again over the plain.")
    ]


def test_title_and_headings_have_levels_and_numbers(read):
    document = read(
        "\n".join(
            [
                text(50, 60, "Rivers of the North", 24),
                text(50, 100, "1 Introduction", 16, "bold"),
                lines(50, 130, PROSE),
                text(50, 210, "1.1 The springs", 12, "bold"),
                lines(50, 240, PROSE),
            ]
        )
    )
    found = [(b.kind, b.level, b.marker, b.text) for b in document.blocks]
    assert found == [
        (Kind.TITLE, 0, "", "Rivers of the North"),
        (Kind.HEADING, 1, "1", "Introduction"),
        (Kind.PARAGRAPH, 0, "", " ".join(PROSE)),
        (Kind.HEADING, 2, "1.1", "The springs"),
        (Kind.PARAGRAPH, 0, "", " ".join(PROSE)),
    ]
    assert document.title == "Rivers of the North"


@pytest.mark.parametrize(
    ("given", "used"), [("A Book of Rivers", "A Book of Rivers"), ("Microsoft Word - x.doc", None)]
)
def test_a_title_in_the_metadata_counts_if_it_is_no_filler(read, given, used):
    assert read(lines(50, 100, PROSE), title=given).title == used


def test_columns_are_read_one_after_the_other_also_when_drawn_line_by_line(read):
    rows = [
        text(50, 100 + 12 * n, left) + text(320, 100 + 12 * n, right)
        for n, (left, right) in enumerate(zip(LEFT, RIGHT, strict=True))
    ]
    document = read("\n".join(rows))
    words = " ".join(text for _, text in shape(document))
    assert words == " ".join(LEFT + RIGHT)


def test_a_heading_across_both_columns_parts_what_is_above_from_what_is_below(read):
    document = read(
        "\n".join(
            [
                lines(320, 100, RIGHT),
                lines(50, 100, LEFT),
                text(50, 170, "A heading that goes across the whole of this page", 18, "bold"),
                lines(50, 200, LEFT),
                lines(320, 200, RIGHT),
            ]
        )
    )
    words = " ".join(text for _, text in shape(document))
    heading = "A heading that goes across the whole of this page"
    assert words == " ".join([*LEFT, *RIGHT, heading, *LEFT, *RIGHT])


def test_a_sentence_that_runs_on_over_a_page_is_one_block_on_both(read):
    document = read(lines(50, 600, PROSE[:2]), lines(50, 100, PROSE[2:]))
    [block] = document.blocks
    assert block.text == " ".join(PROSE)
    assert block.pages == (1, 2)
    assert [box.page for box in block.boxes] == [1, 2]


def test_running_heads_and_page_numbers_are_left_out_on_every_page(read):
    document = read(
        *(
            "\n".join(
                [
                    text(50, 30, "Annual report of the river board"),
                    lines(50, 200 + 20 * page, PROSE),
                    text(290, 780, str(page)),
                ]
            )
            for page in range(7, 11)
        )
    )
    assert shape(document) == [(Kind.PARAGRAPH, " ".join(PROSE))] * 4


def test_lists_have_markers_and_nesting(read):
    document = read(
        "\n".join(
            [
                text(50, 100, "1. Rivers of the plain"),
                text(70, 114, "\x95 The long one"),
                text(70, 128, "\x95 The short one"),
                text(50, 142, "2. Rivers of the hills"),
            ]
        )
    )
    found = [(b.kind, b.level, b.marker, b.text) for b in document.blocks]
    assert found == [
        (Kind.LIST_ITEM, 1, "1.", "Rivers of the plain"),
        (Kind.LIST_ITEM, 2, "•", "The long one"),
        (Kind.LIST_ITEM, 2, "•", "The short one"),
        (Kind.LIST_ITEM, 1, "2.", "Rivers of the hills"),
    ]


def ruled_table():
    across = [rule(50, top, 350, top) for top in (100, 130, 150, 170)]
    down = [rule(left, 100, left, 170) for left in (50, 150, 250, 350)]
    cells = [
        text(55, 112, "River"),
        text(55, 124, "name"),
        text(155, 115, "Length"),
        text(255, 115, "a|b"),
        text(55, 143, "Tay"),
        text(155, 143, "188"),
        text(255, 143, "one two"),
        text(55, 163, "Spey"),
        text(255, 163, "three"),
    ]
    return "\n".join([*across, *down, *cells])


def test_a_ruled_table_is_markdown_with_whole_cells(read):
    document = read("\n".join([lines(50, 30, PROSE), ruled_table(), lines(50, 200, PROSE)]))
    kinds = [block.kind for block in document.blocks]
    assert kinds == [Kind.PARAGRAPH, Kind.TABLE, Kind.PARAGRAPH]
    table = document.blocks[1]
    assert table.text.splitlines() == [
        "| River name | Length | a\\|b |",
        "| --- | --- | --- |",
        "| Tay | 188 | one two |",
        "| Spey |  | three |",
    ]
    assert table.boxes == (Box(1, 50.0, 100.0, 350.0, 170.0),)


def test_rows_that_share_their_gaps_are_a_table_without_rulings(read):
    rows = [
        ("River", "Length", "Mouth"),
        ("Tay", "188 km", "Dundee"),
        ("Spey", "172 km", "Garmouth"),
    ]
    drawn = [
        text(50 + 120 * column, 100 + 20 * row, cell)
        for row, cells in enumerate(rows)
        for column, cell in enumerate(cells)
    ]
    document = read("\n".join(drawn))
    assert [block.text.splitlines() for block in document.blocks] == [
        [
            "| River | Length | Mouth |",
            "| --- | --- | --- |",
            "| Tay | 188 km | Dundee |",
            "| Spey | 172 km | Garmouth |",
        ]
    ]


def test_monospaced_lines_are_code_with_their_indents(read):
    code = lines(50, 200, ["while water:", "    flow()"], font="mono")
    document = read("\n".join([lines(50, 100, PROSE), code]))
    assert shape(document)[1] == (Kind.CODE, "while water:\n    flow()")


def test_captions_differ_from_sentences_about_a_figure(read):
    document = read(
        "\n".join(
            [
                text(50, 100, "Figure 2: The course of the river"),
                text(50, 140, "Figure 2 shows the course of the river."),
            ]
        )
    )
    assert [kind for kind, _ in shape(document)] == [Kind.CAPTION, Kind.PARAGRAPH]


def test_text_drawn_twice_counts_once_and_text_off_the_page_not_at_all(read):
    document = read(
        "\n".join([text(50, 100, "Twice"), text(50.3, 100, "Twice"), text(700, 100, "Outside")])
    )
    assert shape(document) == [(Kind.PARAGRAPH, "Twice")]


@pytest.mark.parametrize(
    ("rotate", "box"),
    [
        (90, lambda x, y: (800 - y, x)),
        (180, lambda x, y: (600 - x, 800 - y)),
        (270, lambda x, y: (y, 600 - x)),
    ],
)
def test_boxes_lie_on_the_page_as_it_is_shown(read, rotate, box):
    document = read(lines(50, 100, PROSE), rotate=rotate)
    [block] = document.blocks
    assert block.text == " ".join(PROSE)
    [found] = block.boxes
    x, y = box(50, 100)
    assert found.left - 12 < x < found.right + 12
    assert found.top - 12 < y < found.bottom + 12
    page = document.pages[0]
    assert (page.width, page.height) == ((800, 600) if rotate % 180 else (600, 800))


def test_text_that_runs_upwards_is_read_as_lines(read):
    drawn = [
        text(100 + 12 * number, 500, row, matrix="0 1 -1 0") for number, row in enumerate(PROSE)
    ]
    document = read("\n".join(drawn))
    assert shape(document) == [(Kind.PARAGRAPH, " ".join(PROSE))]
    [box] = document.blocks[0].boxes
    assert 85 < box.left < 95 and box.bottom == pytest.approx(500, abs=3)


def test_pages_without_text_are_told_from_scans(read):
    document = read(picture(0, 0, 600, 800), "", lines(50, 100, PROSE))
    assert document.pages_without_text == (1, 2)
    assert document.scanned_pages == (1,)
    assert [block.pages for block in document.blocks] == [(3,)]


def test_a_file_without_bytes_is_empty(tmp_path):
    path = tmp_path / "empty.pdf"
    path.write_bytes(b"")
    with pytest.raises(EmptyDocumentError, match="0 bytes"):
        read_pdf(path)


@pytest.mark.parametrize("content", [b"PK\x03\x04 no PDF", pdf("")[:60]])
def test_a_file_that_is_no_pdf_or_truncated_is_damaged(tmp_path, content):
    path = tmp_path / "broken.pdf"
    path.write_bytes(content)
    with pytest.raises(DamagedDocumentError, match="truncated"):
        read_pdf(path)


def test_a_file_that_vanished_is_not_found(tmp_path):
    with pytest.raises(InputNotFoundError, match="absent"):
        read_pdf(tmp_path / "absent.pdf")


def test_locked_is_said_with_the_setting_to_fill(tmp_path, monkeypatch):
    from pypdfium2 import PdfiumError

    path = tmp_path / "locked.pdf"
    path.write_bytes(pdf(""))

    def locked(*arguments, **options):
        raise PdfiumError("locked", err_code=4)

    monkeypatch.setattr("pypdfium2.PdfDocument", locked)
    with pytest.raises(LockedDocumentError, match="documents.passwords"):
        read_pdf(path, ["wrong"])


TSV = """level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\t
1\t1\t0\t0\t0\t0\t0\t0\t2500\t3333\t-1\t
5\t1\t1\t1\t1\t1\t250\t500\t400\t50\t96\tRead
5\t1\t1\t1\t1\t2\t670\t500\t200\t50\t96\tfrom
5\t1\t1\t1\t2\t1\t250\t560\t300\t50\t95\tpictures.
"""


def test_a_scan_is_read_by_tesseract_where_it_is_installed(tmp_path, monkeypatch):
    path = tmp_path / "scan.pdf"
    path.write_bytes(pdf(picture(0, 0, 600, 800)))
    program = tmp_path / "tesseract"
    (tmp_path / "words.tsv").write_text(TSV)
    program.write_text(f"#!/bin/sh\ncat > {tmp_path}/picture.pgm\ncat {tmp_path}/words.tsv\n")
    program.chmod(0o755)
    assert read_pdf(path).scanned_pages == (1,)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    [block] = read_pdf(path, ocr=True).blocks
    assert block.text == "Read from pictures."
    assert block.boxes == (Box(1, 60.0, 120.0, 208.8, 146.4),)
    assert (tmp_path / "picture.pgm").read_bytes().startswith(b"P5 2500 3334 255\n")


def test_without_tesseract_a_scan_stays_a_scan(tmp_path, monkeypatch):
    path = tmp_path / "scan.pdf"
    path.write_bytes(pdf(picture(0, 0, 600, 800)))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert read_pdf(path, ocr=True).scanned_pages == (1,)
