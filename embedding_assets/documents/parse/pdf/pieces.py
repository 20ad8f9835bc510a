"""Words as pieces: runs of words on one line without a wide gap, the smallest units of layout."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from embedding_assets.documents.parse.pdf.library import Flags, Floats
from embedding_assets.documents.parse.pdf.looks import SKEWED
from embedding_assets.documents.parse.pdf.tables import Table
from embedding_assets.documents.parse.pdf.words import Words, bounds_of

_WIDE_GAP = 0.65
"""Of the height of the words beside it: at least the space between table cells and columns."""


@dataclass(slots=True, eq=False)
class Piece:
    """A piece of a line, or a whole ruled table, in the frame in which its text runs upright.

    core_top, core_bottom: its middle half; boxes of neighbouring lines overlap, these do not.
    taken: bit n is set where it covers the point n of the width.
    """

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool
    mono: bool
    middle: float
    core_top: float
    core_bottom: float
    taken: int
    table: Table | None = None

    @classmethod
    def of_table(cls, table: Table) -> "Piece":
        """What stands for a ruled table while the page is put in order."""
        left, top, right, bottom = table.box
        taken = _taken(left, right)
        height, middle = bottom - top, (top + bottom) / 2
        sides = (left, top, right, bottom, height, False, False)
        return cls("", *sides, middle, top, bottom, taken, table)


def join_words(words: Words, boxes: Floats) -> list[Piece]:
    """The pieces of words of one direction, in stream order; boxes: float32 [n, 4], upright."""
    if not len(words):
        return []
    heads, tails = bounds_of(_cuts(words, boxes))
    left, top = np.minimum.reduceat(boxes[:, :2], heads, axis=0).T
    right, bottom = np.maximum.reduceat(boxes[:, 2:], heads, axis=0).T
    middle = (top + bottom) / 2
    sizes = words.sizes[heads]
    core = np.minimum((bottom - top) / 4, 0.3 * np.maximum(1, sizes))
    sides = (column.tolist() for column in (left, top, right, bottom))
    looks = (sizes.tolist(), words.bold[heads].tolist(), words.mono[heads].tolist())
    places = (column.tolist() for column in (middle, middle - core, middle + core))
    text, starts, ends = words.text, words.starts[heads].tolist(), words.ends[tails].tolist()
    # A space at the end of a line tells a Korean word's end.
    texts = [
        text[start : end + (text[end : end + 1] == " ")]
        for start, end in zip(starts, ends, strict=True)
    ]
    taken = map(_taken, left.tolist(), right.tolist())
    pieces = list(map(Piece, texts, *sides, *looks, *places, taken))
    return list(_drawn_once(pieces))


def _taken(left: float, right: float) -> int:
    return (2 << int(right)) - (1 << int(left)) if left > 0 else (2 << max(0, int(right))) - 1


def _cuts(words: Words, boxes: Floats) -> Flags:
    """bool [n - 1]: whether the next word begins a new piece."""
    left, top, right, bottom = boxes.T
    height, middle = bottom - top, (top + bottom) / 2
    gap = np.maximum(left[1:] - right[:-1], left[:-1] - right[1:])
    taller = np.maximum(height[1:], height[:-1])
    begins = gap > _WIDE_GAP * taller
    begins |= np.abs(middle[1:] - middle[:-1]) > taller / 2
    begins &= words.quarters[1:] != SKEWED
    begins |= words.runs[1:] != words.runs[:-1]
    return np.asarray(begins)


def _drawn_once(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """`pieces` without those that repeat a text over itself, to make it look bold or shadowed."""
    counts = Counter([piece.text for piece in pieces])
    if len(counts) == len(pieces):
        yield from pieces
        return
    seen: dict[str, list[Piece]] = {}
    for piece in pieces:
        if counts[piece.text] > 1 and len(piece.text) > 2:
            others = seen.setdefault(piece.text, [])
            within = 0.3 * (piece.bottom - piece.top)
            if any(
                abs(other.left - piece.left) < within and abs(other.top - piece.top) < within
                for other in others
            ):
                continue
            others.append(piece)
        yield piece
