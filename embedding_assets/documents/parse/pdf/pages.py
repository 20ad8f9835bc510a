"""Pages as pieces of text and ruled tables; only these light results are kept of a page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.documents.document import Page
from embedding_assets.documents.parse.pdf.drawings import Drawings, read_drawings
from embedding_assets.documents.parse.pdf.frame import Frame
from embedding_assets.documents.parse.pdf.grid import GridWords, cell_texts, find_grids
from embedding_assets.documents.parse.pdf.library import (
    Flags,
    Floats,
    Handle,
    address,
    functions,
    page_box,
)
from embedding_assets.documents.parse.pdf.looks import SKEWED
from embedding_assets.documents.parse.pdf.ocr import read_scan, tesseract
from embedding_assets.documents.parse.pdf.pieces import Piece, join_words
from embedding_assets.documents.parse.pdf.tables import Table, as_markdown
from embedding_assets.documents.parse.pdf.words import Words, no_words, read_words

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument


@dataclass(frozen=True)
class Sheet:
    """A page, how its coordinates come to be shown, and its pieces by the quarter in which they run
    (`Frame.upright`), that of most text first."""

    page: Page
    frame: Frame
    pieces: dict[int, list[Piece]]


def read_pages(pdf: "PdfDocument", *, ocr: bool) -> Iterator[Sheet]:
    """The pages one after another; one that PDFium cannot load is a page without text.

    ocr: scanned pages are read by Tesseract where it is installed.
    """
    program = tesseract() if ocr else None
    call = functions()
    # Handles instead of pypdfium2's pages, whose upkeep takes a tenth of the time on simple pages.
    document = address(pdf.raw)
    for index in range(len(pdf)):
        page = call.load_page(document, index)
        if not page:
            yield Sheet(Page(index + 1), Frame(0, 0, 0, 0, 0), {})
            continue
        try:
            frame = Frame(*page_box(page), turns=call.page_rotation(page))
            words, drawings = _words(page, frame), read_drawings(page, frame)
        finally:
            call.close_page(page)
        if program and drawings.has_image and not len(words):
            words = read_scan(pdf, index, frame, program)
        yield _sheet(words, drawings, index + 1, frame)


def _words(page: Handle, frame: Frame) -> Words:
    call = functions()
    text_page = call.load_text(page)
    if not text_page:
        return no_words("")
    try:
        return read_words(text_page, frame)
    finally:
        call.close_text(text_page)


def _sheet(words: Words, drawings: Drawings, number: int, frame: Frame) -> Sheet:
    characters = int((words.ends - words.starts).sum())
    record = Page(
        number, round(frame.width, 2), round(frame.height, 2), characters, drawings.has_image
    )
    return Sheet(record, frame, dict(_pieces(words, drawings, number, frame)))


def _pieces(
    words: Words, drawings: Drawings, number: int, frame: Frame
) -> Iterator[tuple[int, list[Piece]]]:
    counts = np.bincount(words.quarters, minlength=SKEWED + 1)
    for quarter in np.argsort(-counts, kind="stable").tolist():
        if not counts[quarter]:
            return
        some = words if counts[quarter] == len(words) else words.chosen(words.quarters == quarter)
        boxes = frame.upright(some.boxes, quarter)
        tables: list[Table] = []
        if quarter != SKEWED:
            tables, free = _ruled_tables(some, boxes, drawings, (number, quarter), frame)
            if tables:
                some, boxes = some.chosen(free), boxes[free]
        yield quarter, [*join_words(some, boxes), *map(Piece.of_table, tables)]


def _ruled_tables(
    words: Words, boxes: Floats, drawings: Drawings, place: tuple[int, int], frame: Frame
) -> tuple[list[Table], Flags]:
    """The tables, and bool [n], which words are in none."""
    quarter = place[1]
    free = np.ones(len(words), np.bool_)
    if not len(drawings.across) or not len(drawings.down):
        return [], free
    across, down = (frame.upright(some, quarter) for some in (drawings.across, drawings.down))
    if quarter % 2:
        across, down = down, across
    tables = []
    for grid in find_grids(across, down):
        inside = grid.holds(boxes) & free
        spans = zip(words.starts[inside].tolist(), words.ends[inside].tolist(), strict=True)
        cells = cell_texts(
            grid,
            GridWords(
                [words.text[start:end] for start, end in spans], boxes[inside], words.runs[inside]
            ),
        )
        if cells:
            low, high = boxes[inside, :2].min(axis=0), boxes[inside, 2:].max(axis=0)
            left, top, right, bottom = grid.box
            around = (
                min(left, float(low[0])),
                min(top, float(low[1])),
                max(right, float(high[0])),
                max(bottom, float(high[1])),
            )
            tables.append(Table(as_markdown(cells), around, *place))
            free &= ~inside
    return tables, free
