"""A page of a PDF as a picture, with marks on it. Runs in the worker processes of `process`."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.document import Box, DamagedDocumentError, UnresolvedPageError
from embedding_assets.documents.parse.pdf.opening import open_pdf
from embedding_assets.documents.reader import Options

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

MODULES = (__name__, "pypdfium2", "PIL.Image", "PIL.PngImagePlugin")
"""What drawing needs: imported before the first page is asked for."""

_MAX_PIXELS = 12_000_000
_MARK = np.array([255, 234, 130], np.uint16)
_MARGIN = 2.0
"""Points that a mark is wider than its text on each side."""
_FASTEST = 1
_ROUNDING = 0.01
"""Sizes are rounded up, and 204 / 595 * 595 is more than 204."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PageOrder:
    """Which page to draw how. page: from 1. boxes: to be marked. width: of the picture, in pixels;
    it gets less of a page that is too long for it."""

    path: Path
    page: int
    boxes: tuple[Box, ...] = ()
    width: int = 1000


def draw_page(order: PageOrder, options: Options) -> bytes:
    """The page as a PNG file, `order.boxes` of this page marked as by a highlighter.

    Raises what opening the file does, UnresolvedPageError for a page that it does not have,
    DamagedDocumentError for one that cannot be shown.
    """
    with open_pdf(order.path, options.passwords) as pdf:
        page = _page(pdf, order)
        try:
            width, height = page.get_size()
            scale = min((order.width - _ROUNDING) / width, (_MAX_PIXELS / (width * height)) ** 0.5)
            pixels: Pixels = page.render(scale=scale, rev_byteorder=True).to_numpy()
        finally:
            page.close()
    _mark(pixels, [box for box in order.boxes if box.page == order.page], scale)
    return _png(pixels)


def _page(pdf: "PdfDocument", order: PageOrder) -> "PdfPage":
    from pypdfium2 import PdfiumError

    if not 1 <= order.page <= len(pdf):
        raise UnresolvedPageError(
            f"{order.path.name} has no page {order.page}; it has {len(pdf)}.",
            "Ask for another page.",
        )
    try:
        return pdf[order.page - 1]
    except PdfiumError as error:
        raise DamagedDocumentError(
            f"Page {order.page} of {order.path.name} cannot be shown.", "Copy the file again."
        ) from error


def _mark(pixels: Pixels, boxes: list[Box], scale: float) -> None:
    """Colour what lies in a box once, however many boxes lie over it: paper takes the colour, ink
    stays dark, and a dark ground becomes a little lighter."""
    height, width = pixels.shape[:2]
    marked = np.zeros((height, width), np.bool_)
    for box in boxes:
        sides = np.array([box.left, box.top, box.right, box.bottom], np.float64)
        grown = (sides + np.array([-_MARGIN, -_MARGIN, _MARGIN, _MARGIN])) * scale
        left, top, right, bottom = np.nan_to_num(grown).clip(0, max(height, width)).round()
        marked[int(top) : int(bottom), int(left) : int(right)] = True
    if marked.any():
        chosen = pixels[marked].astype(np.uint16)
        pixels[marked] = (chosen * _MARK // 255 * 7 + _MARK) // 8


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=_FASTEST)
    return file.getvalue()
