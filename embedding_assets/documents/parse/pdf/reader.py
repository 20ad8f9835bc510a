"""PDF files as documents."""

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from embedding_assets.documents.document import DamagedDocumentError, Document, Kind
from embedding_assets.documents.parse.pdf.blocks import make_blocks
from embedding_assets.documents.parse.pdf.furniture import without_furniture
from embedding_assets.documents.parse.pdf.lines import page_items
from embedding_assets.documents.parse.pdf.opening import open_pdf, read_language, read_outline
from embedding_assets.documents.parse.pdf.pages import read_pages
from embedding_assets.documents.parse.pdf.paragraphs import drafts
from embedding_assets.documents.parse.pdf.titles import sensible_title


def read_pdf(path: Path, passwords: Sequence[str] = (), *, ocr: bool = False) -> Document:
    """The blocks of a PDF file in reading order, with pages and boxes.

    passwords: tried in turn where the file is encrypted. ocr: scanned pages are read by Tesseract
    where it is installed.
    Raises EmptyDocumentError, DamagedDocumentError, LockedDocumentError, RefusedDocumentError, and
    InputNotFoundError where no file stands at `path`.
    PDFium is not safe in threads: call it from one thread of a process only.
    """
    with _collector_paused():
        return _read(path, passwords, ocr=ocr)


def _read(path: Path, passwords: Sequence[str], *, ocr: bool) -> Document:
    with open_pdf(path, passwords) as pdf:
        sheets = list(read_pages(pdf, ocr=ocr))
        if not any(sheet.page.width for sheet in sheets):
            raise DamagedDocumentError(
                f"No page of {path} can be read.", "Copy the file again, or remove it."
            )
        outline = read_outline(pdf)
        title = sensible_title(pdf.get_metadata_value("Title"))
        language = read_language(pdf)
    frames = {sheet.page.number: sheet.frame for sheet in sheets}
    pages = [drafts(list(page_items(sheet))) for sheet in without_furniture(sheets)]
    blocks = tuple(make_blocks(pages, frames, outline))
    if title is None:
        title = next((block.text for block in blocks if block.kind is Kind.TITLE), None)
    return Document("pdf", blocks, tuple(sheet.page for sheet in sheets), title, language)


@contextmanager
def _collector_paused() -> Iterator[None]:
    """Without the search for cycles, of which reading makes none, but which would look at all
    pieces of a long document again and again."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
