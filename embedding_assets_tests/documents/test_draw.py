import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from embedding_assets.documents.document import (
    Box,
    DamagedDocumentError,
    LockedDocumentError,
    UnresolvedPageError,
)
from embedding_assets.documents.draw import PageOrder, draw_page
from embedding_assets.documents.reader import NO_OPTIONS, Options
from embedding_assets_tests.documents.parse import pdfs

PAPER = [255, 255, 255]
LOCKED = Path(__file__).parents[3] / "shared" / "data" / "pdf" / "libreoffice-writer-password.pdf"


@pytest.fixture
def page(tmp_path):
    """A file of one page with a black bar where BOX is."""

    def write(rotate=0):
        bar = f"0 g 100 {pdfs.HEIGHT - 220} 200 20 re f"
        path = tmp_path / f"{rotate}.pdf"
        path.write_bytes(pdfs.pdf(bar, rotate=rotate))
        return path

    return write


def drawn(path, *boxes, page=1, width=600, options=NO_OPTIONS):
    png = draw_page(PageOrder(path, page, boxes, width), options)
    assert png.startswith(b"\x89PNG")
    return np.asarray(Image.open(io.BytesIO(png)))


def changed(before, after):
    """Left, top, right and bottom of what differs."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("width", [200, 204, 600, 1500])
def test_a_page_is_as_wide_as_asked_for_and_keeps_its_shape(page, width):
    height, found = drawn(page(), width=width).shape[:2]
    assert found == width and height == pytest.approx(width * pdfs.HEIGHT / pdfs.WIDTH, abs=1)


def test_a_page_longer_than_the_limit_becomes_narrower(tmp_path):
    path = tmp_path / "long.pdf"
    path.write_bytes(pdfs.pdf("").replace(b"[0 0 600 800]", b"[0 0 6 8000]"))
    height, width = drawn(path, width=2000).shape[:2]
    assert width < 200 and 11_000_000 < height * width < 12_200_000


def test_a_box_is_marked_where_it_is_and_nowhere_else(page):
    bare, marked = drawn(page()), drawn(page(), Box(1, 100, 300, 200, 320))
    assert changed(bare, marked) == (98, 298, 202, 322)
    assert bare[310, 150].tolist() == PAPER
    assert marked[310, 150].tolist() == [255, 234, 130]


def test_ink_below_a_mark_stays_dark_and_is_still_told_from_unmarked_ink(page):
    ink = drawn(page(), Box(1, 100, 200, 200, 220))[210]
    assert ink[250].tolist() == [0, 0, 0] and 0 < ink[150].max() < 60


@pytest.mark.parametrize(
    ("rotate", "box"),
    [
        (90, (pdfs.HEIGHT - 220, 100, pdfs.HEIGHT - 200, 300)),
        (180, (300, pdfs.HEIGHT - 220, 500, pdfs.HEIGHT - 200)),
        (270, (200, 300, 220, 500)),
    ],
)
def test_boxes_of_turned_pages_are_where_the_page_shows_them(page, rotate, box):
    width = pdfs.HEIGHT if rotate % 180 else pdfs.WIDTH
    picture = drawn(page(rotate), Box(1, *box), width=width)
    left, top, right, bottom = (round(side) for side in box)
    assert (picture[top + 1 : bottom - 1, left + 1 : right - 1] < 60).all()
    assert picture[top + 1, left - 1].tolist() == [255, 234, 130]


def test_overlapping_boxes_are_marked_once(page):
    one = drawn(page(), Box(1, 100, 300, 200, 320))
    two = drawn(page(), Box(1, 100, 300, 160, 320), Box(1, 140, 300, 200, 320))
    assert np.array_equal(one, two)


@pytest.mark.parametrize(
    "box",
    [
        Box(2, 10, 10, 20, 20),
        Box(1, 700, 900, 800, 950),
        Box(1, -90, -90, -10, -10),
        Box(1, float("nan"), 0, float("nan"), 0),
        Box(1, 50, 50, 20, 20),
    ],
)
def test_boxes_of_other_pages_or_off_the_page_mark_nothing(page, box):
    assert np.array_equal(drawn(page()), drawn(page(), box))


def test_a_page_that_is_not_there_is_named(page):
    for number in (0, 2, -1):
        with pytest.raises(UnresolvedPageError, match=f"no page {number}; it has 1"):
            drawn(page(), page=number)


def test_a_file_that_is_no_pdf_is_named(tmp_path):
    path = tmp_path / "x.pdf"
    path.write_bytes(b"%PDF-1.7 and nothing else")
    with pytest.raises(DamagedDocumentError):
        drawn(path)


@pytest.mark.skipif(not LOCKED.exists(), reason="needs ../shared/data beside the checkout")
def test_an_encrypted_file_needs_its_password():
    with pytest.raises(LockedDocumentError):
        drawn(LOCKED)
    assert (drawn(LOCKED, options=Options(("wrong", "openpassword"))) < 128).any()
