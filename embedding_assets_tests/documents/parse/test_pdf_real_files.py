"""Every real PDF file: page counts, words on the pages that blocks name, boxes around them."""

import csv
import re
from collections import Counter
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path

import pypdfium2
import pytest

from embedding_assets.documents.document import (
    DocumentError,
    EmptyDocumentError,
    Kind,
    LockedDocumentError,
)
from embedding_assets.documents.parse.pdf import read_pdf

PDFS = Path(__file__).parents[4] / "shared" / "data" / "pdf"
LETTERS = re.compile(r"[^\W_]+")
SCANS = {"MEDRPT-2024-PAT-3847_medical_report_scan.pdf": (1, 2, 3), "ocr_test.pdf": (1,)}

pytestmark = pytest.mark.skipif(
    not PDFS.exists(), reason="needs ../shared/data beside the checkout"
)


def truth():
    if not PDFS.exists():
        return {}
    with (PDFS / "GROUNDTRUTH.csv").open() as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    return {name: row for name, row in rows.items() if (PDFS / name).exists()}


TRUTH = truth()
READABLE = [name for name, row in TRUTH.items() if int(row["pages"])]


@cache
def read(name):
    return read_pdf(PDFS / name, [TRUTH[name]["password"]])


@pytest.mark.parametrize("name", READABLE)
def test_pages_are_as_many_as_they_are_and_scans_are_told(name):
    document = read(name)
    assert len(document.pages) == int(TRUTH[name]["pages"])
    assert document.scanned_pages == SCANS.get(name, ())
    assert bool(document.blocks) == (name not in SCANS)


def test_a_file_of_0_bytes_is_empty():
    with pytest.raises(EmptyDocumentError):
        read_pdf(PDFS / "empty.pdf")


@pytest.mark.parametrize("name", [name for name in READABLE if TRUTH[name]["password"]])
def test_locked_files_open_with_their_password_only(name):
    with pytest.raises(LockedDocumentError, match="no password is given"):
        read_pdf(PDFS / name)
    with pytest.raises(LockedDocumentError, match="none of the passwords"):
        read_pdf(PDFS / name, ["wrong"])
    assert read(name).blocks


def test_a_truncated_file_is_damaged_or_read_as_far_as_it_goes(tmp_path):
    content = (PDFS / "crazyones.pdf").read_bytes()
    for size in (10, 200, len(content) // 2, len(content) - 100):
        path = tmp_path / f"{size}.pdf"
        path.write_bytes(content[:size])
        try:
            document = read_pdf(path)
        except DocumentError as error:
            assert error.mend
        else:
            assert document.pages


def letters(text):
    """The letters of a text and how many of each; order differs where scripts run both ways."""
    return Counter("".join(LETTERS.findall(text.casefold())))


def in_own_coordinates(page, box):
    """Left, bottom, right, top of a shown box in the page's own coordinates."""
    left, bottom, right, top = page.get_bbox()
    match page.get_rotation():
        case 90:
            return left + box.top, bottom + box.left, left + box.bottom, bottom + box.right
        case 180:
            return right - box.right, bottom + box.top, right - box.left, bottom + box.bottom
        case 270:
            return right - box.bottom, top - box.right, right - box.top, top - box.left
        case _:
            return left + box.left, top - box.bottom, left + box.right, top - box.top


def boxed_letters(name, blocks):
    """What PDFium finds within the boxes of each block, as letters."""
    found = [Counter() for _ in blocks]
    by_page = {}
    for number, block in enumerate(blocks):
        for box in block.boxes:
            by_page.setdefault(box.page, []).append((number, box))
    with pypdfium2.PdfDocument(PDFS / name, TRUTH[name]["password"] or None) as pdf:
        for page_number, boxes in by_page.items():
            page = pdf[page_number - 1]
            text_page = page.get_textpage()
            for number, box in boxes:
                text = text_page.get_text_bounded(*in_own_coordinates(page, box))
                found[number] += letters(text)
            text_page.close()
            page.close()
    return found


@pytest.mark.parametrize("name", READABLE)
def test_boxes_lie_on_their_pages(name):
    document = read(name)
    pages = {page.number: page for page in document.pages}
    for block in document.blocks:
        assert block.text.strip()
        assert block.pages == tuple(sorted({box.page for box in block.boxes}))
        for box in block.boxes:
            page = pages[box.page]
            assert -1 <= box.left < box.right <= page.width + 1
            assert -1 <= box.top < box.bottom <= page.height + 1


# The font of the file left out has no size, so that its letters lie in no box.
@pytest.mark.parametrize(
    "name", [name for name in READABLE if name != "issue-1113-evil-xobjects.pdf"]
)
def test_boxes_hold_the_words_of_their_blocks(name):
    blocks = [block for block in read(name).blocks if min(block.pages) < 30]
    for block, found in zip(blocks, boxed_letters(name, blocks), strict=True):
        missing = letters(f"{block.marker} {block.text}") - found
        assert not missing, block


def in_order(expected, found):
    """Which part of the expected words stands in the found ones, in order."""
    matcher = SequenceMatcher(None, expected, found, autojunk=False)
    return sum(match.size for match in matcher.get_matching_blocks()) / len(expected)


def all_text(document):
    return " ".join(f"{block.marker} {block.text}" for block in document.blocks)


def test_the_words_of_a_page_with_known_text_are_all_there_in_order():
    expected = (PDFS / "crazyones.txt").read_text().split()
    assert in_order(expected, all_text(read("crazyones.pdf")).split()) >= 0.98


# Headers and footers are left out of these; of tables, words stand in another order.
FURNISHED = {
    "GeoBase_NHNC1_Data_Model_UML_EN.pdf",
    "pdf2image-memory-error-test-400p.pdf",
    "password-example.pdf",
    "redp5110_sampled.pdf",
    "federal-register-2020-17221.pdf",
}


@pytest.mark.parametrize("name", READABLE)
def test_hardly_a_letter_of_the_pages_is_lost(name):
    document = read(name)
    with pypdfium2.PdfDocument(PDFS / name, TRUTH[name]["password"] or None) as pdf:
        pages = [letters(page.get_textpage().get_text_bounded()) for page in pdf]
    there = sum(pages, Counter())
    lost = there - letters(all_text(document))
    allowed = 0.25 if name in FURNISHED else 0.02
    assert lost.total() <= allowed * there.total() + 40


@pytest.mark.parametrize(
    ("name", "earlier", "later"),
    [
        ("federal-register-2020-17221.pdf", "any of the following methods", "Hand Delivery"),
        ("2206.01062_pg3.pdf", "represented in train and test sets", "Table 1 shows the overall"),
        ("multi-column-2p.pdf", "Our contributions are twofold", "Given a collection of M text"),
        ("reliance.pdf", "For sustainable value creation", "For an empowered workforce"),
    ],
)
def test_columns_are_read_one_after_the_other(name, earlier, later):
    text = all_text(read(name))
    assert 0 <= text.find(earlier) < text.find(later)


def test_a_sentence_goes_on_in_the_next_column():
    [block] = [
        b for b in read("multi-column-2p.pdf").blocks if "can be described as follows" in b.text
    ]
    assert "such as" in block.text and len(block.boxes) == 2


def test_headings_of_a_report_have_their_numbers_and_levels():
    document = read("redp5110_sampled.pdf")
    found = {b.marker: (b.level, b.text) for b in document.blocks if b.kind is Kind.HEADING}
    assert found["2.1.6"] == (3, "Change Function Usage CL command")
    assert found["2.2"] == (2, "Separation of duties")


def test_cells_of_a_ruled_table_are_whole():
    tables = [b.text for b in read("redp5110_sampled.pdf").blocks if b.kind is Kind.TABLE]
    row = (
        "| USER_NAME | VARCHAR(10) | Name of the user profile that has a usage setting for this "
        "function. |"
    )
    assert any(row in table.splitlines() for table in tables)


def test_each_page_of_a_long_table_is_a_table():
    document = read("WARN-Report-for-7-1-2015-to-03-25-2016.pdf")
    tables = [b for b in document.blocks if b.kind is Kind.TABLE]
    assert {page for table in tables for page in table.pages} == set(range(1, 17))
    row = "| 06/22/2015 | 03/25/2016 | 07/01/2015 | Maxim Integrated Product | San Jose | 150 | "
    assert row + "Closure Permanent |" in tables[0].text


def test_korean_words_have_no_false_spaces():
    text = all_text(read("normal_4pages.pdf"))
    assert "코로나바이러스감염증-19(COVID-19" in text
    assert "확진자는 9,661명, 사망자는 158명으로 나타났다." in text


def test_arabic_is_in_the_order_in_which_it_is_read():
    text = all_text(read("right_to_left_01.pdf"))
    assert text.split()[:7] == "تحسين الإنتاجية وحل المشكلات من خلال البرمجة".split()


def test_a_rotated_page_is_read_like_the_same_page_upright():
    upright, rotated = (
        read(f"nics-background-checks-2015-11{end}.pdf") for end in ("", "-rotated")
    )
    tables = [
        next(b.text for b in document.blocks if b.kind is Kind.TABLE)
        for document in (upright, rotated)
    ]
    assert tables[0] == tables[1]
