"""The words of a scanned page, read by Tesseract where it is installed."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.documents.parse.pdf.frame import Frame
from embedding_assets.documents.parse.pdf.words import Words, no_words

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_DOTS_PER_POINT = 300 / 72
_MAX_PIXELS = 40_000_000
_SECONDS = 300
_WORD = "5"
_LETTERS_OF_LINE = 0.75


def tesseract() -> str | None:
    """The path of the program; None where it is not installed."""
    return shutil.which("tesseract")


def read_scan(pdf: "PdfDocument", index: int, frame: Frame, program: str) -> Words:
    """The words that Tesseract sees on the page, with boxes as shown; none where it fails."""
    area = max(1.0, frame.width * frame.height)
    scale = min(_DOTS_PER_POINT, (_MAX_PIXELS / area) ** 0.5)
    page = pdf[index]
    try:
        grey = page.render(scale=scale, grayscale=True).to_numpy()
    finally:
        page.close()
    height, width = grey.shape[:2]
    image = f"P5 {width} {height} 255\n".encode() + np.ascontiguousarray(grey).tobytes()
    try:
        done = subprocess.run(
            [program, "stdin", "stdout", "tsv"], input=image, capture_output=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return no_words("")
    return from_tsv(done.stdout.decode("utf-8", "replace") if not done.returncode else "", scale)


def from_tsv(table: str, scale: float) -> Words:
    """Tesseract's table as words; scale: the picture's dots for each point."""
    rows = list(_word_rows(table))
    if not rows:
        return no_words("")
    lines = [tuple(row[1:5]) for row in rows]
    runs = np.cumsum([0, *(one != two for one, two in zip(lines, lines[1:], strict=False))])
    texts = [row[11] for row in rows]
    gaps = ["\n" if one != two else " " for one, two in zip(lines, lines[1:], strict=False)]
    ends = np.cumsum([len(text) + 1 for text in texts]) - 1
    starts = ends - [len(text) for text in texts]
    left, top, width, height = np.array([row[6:10] for row in rows], np.float32).T / scale
    boxes = np.stack((left, top, left + width, top + height), axis=1)
    tallest = np.maximum.reduceat(height, np.flatnonzero(np.diff(runs, prepend=-1)))
    flags = np.zeros(len(rows), np.bool_)
    return Words(
        "".join(text + gap for text, gap in zip(texts, [*gaps, ""], strict=True)),
        starts,
        ends,
        boxes,
        runs,
        np.zeros(len(rows), np.int64),
        _LETTERS_OF_LINE * tallest[runs],
        flags,
        flags,
    )


def _word_rows(table: str) -> Iterator[list[str]]:
    """The rows of words: level, page, block, paragraph, line, word, left, top, width, height,
    confidence, text."""
    for line in table.splitlines():
        row = line.split("\t")
        if len(row) == 12 and row[0] == _WORD and row[11].strip():
            yield [*row[:11], row[11].strip()]
