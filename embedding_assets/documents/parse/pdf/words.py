"""The words of a page with their boxes, read in bulk from PDFium's text."""

import re
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.document import RefusedDocumentError
from embedding_assets.documents.parse.pdf.frame import Frame, columns
from embedding_assets.documents.parse.pdf.library import (
    Flags,
    Floats,
    Handle,
    Integers,
    functions,
    loose_boxes,
    page_text,
    tight_boxes,
)
from embedding_assets.documents.parse.pdf.looks import read_looks

Bytes: TypeAlias = npt.NDArray[np.uint8]
LINE_HYPHEN = "\ufffe"
"""What PDFium writes for a hyphen at a line's end, swallowing the line's end."""

_MAX_CHARACTERS = 2_000_000
_SPACES = np.zeros(0x3002, np.bool_)
_SPACES[[*range(0x21), 0x7F, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x3000]] = True
_SPACES[[0x2028, 0x2029, 0x202F, 0x205F, 0x2060]] = True
_ODD = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\xa0\u2000-\u200b\u202f\u2060\ufeff]")
_CLEAN = {code: " " for code in (*range(0x20), *range(0x7F, 0xA1), *range(0x2000, 0x200B))}
_CLEAN |= dict.fromkeys((0x200B, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF), " ")
_CLEAN |= {0x0A: "\n", 0x0D: "\r"}
_UNNAMED_BULLET = re.compile("(^|\n)[\x01-\x08\x0e-\x1f](?= )")
_ALEF_LAM = re.compile("[\u0622\u0623\u0625\u0627]\u0644")
_FROM_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")


@dataclass(frozen=True)
class Words:
    """The words of a page, n of them in w runs (lines as PDFium breaks them), in stream order.

    text: the whole page; starts, ends: int64 [n], where each word stands in it.
    boxes: float32 [n, 4], left, top, right, bottom as shown.
    runs: int64 [n], the run of each word.
    quarters: int64 [n], how its text runs (`Frame.upright`), SKEWED along neither axis.
    sizes: float32 [n], points. bold, mono: bool [n]; sizes and styles are those of the run.
    """

    text: str
    starts: Integers
    ends: Integers
    boxes: Floats
    runs: Integers
    quarters: Integers
    sizes: Floats
    bold: Flags
    mono: Flags

    def __len__(self) -> int:
        return len(self.starts)

    def chosen(self, which: Flags) -> "Words":
        """Only the words that `which` (bool [n]) marks."""
        return Words(
            self.text,
            self.starts[which],
            self.ends[which],
            self.boxes[which],
            self.runs[which],
            self.quarters[which],
            self.sizes[which],
            self.bold[which],
            self.mono[which],
        )


def read_words(handle: Handle, frame: Frame) -> Words:
    """The words that lie on the page. handle: its text page.

    Raises RefusedDocumentError for a page of more than two million characters.
    """
    text = _text(handle)
    starts, ends, runs = _spans(text)
    if not len(starts):
        return no_words(text)
    from_right = not text.isascii() and bool(_FROM_RIGHT.search(text))
    if from_right:
        text = _untwisted(text, handle)
    boxes = _word_boxes(handle, starts, ends, everywhere=from_right)
    heads, tails = bounds_of(runs[1:] != runs[:-1])
    looks = read_looks(handle, starts[heads].tolist(), (ends[tails] - 1).tolist(), frame.turns)
    lengths = tails - heads + 1
    words = Words(
        text,
        starts,
        ends,
        frame.shown(boxes),
        runs,
        looks.quarters.repeat(lengths),
        looks.sizes.repeat(lengths),
        looks.bold.repeat(lengths),
        looks.mono.repeat(lengths),
    )
    there = _on_page(words.boxes, frame)
    return words if there.all() else words.chosen(there)


def _text(handle: Handle) -> str:
    """The text of the page, one character for each of PDFium's, so that indices agree."""
    count = functions().count_characters(handle)
    if count > _MAX_CHARACTERS:
        raise RefusedDocumentError(
            f"A page holds {count} characters.", "Split it, or remove the file."
        )
    text = page_text(handle)
    if len(text) != count:
        codes = map(functions().unicode, repeat(handle), range(count))
        text = "".join(chr(code) if _is_character(code) else "\0" for code in codes)
    # A character class takes ten times as long as these.
    if text.isascii() and text.replace("\r\n", "").isprintable():
        return text
    return _UNNAMED_BULLET.sub("\\1•", text).translate(_CLEAN) if _ODD.search(text) else text


def _is_character(code: int) -> bool:
    return code < 0x110000 and not 0xD800 <= code < 0xE000


def _spans(text: str) -> tuple[Integers, Integers, Integers]:
    """Starts, ends and runs of the words in `text`; a run ends with a line's end or hyphen."""
    if text.isascii():
        codes: Integers | Bytes = np.frombuffer(text.encode(), np.uint8)
        solid = ~_SPACES[codes]
    else:
        codes = np.frombuffer(text.encode("utf-32-le", "replace"), np.uint32).astype(np.int64)
        solid = ~_SPACES[np.minimum(codes, len(_SPACES) - 1)]
    edges = np.zeros(len(codes) + 2, np.bool_)
    edges[1:-1] = solid
    bounds = np.flatnonzero(edges[1:] != edges[:-1])
    starts, ends = bounds[::2], bounds[1::2]
    breaks = codes == 10
    if LINE_HYPHEN in text:
        hyphens = np.flatnonzero(codes == ord(LINE_HYPHEN))
        breaks[hyphens] = True
        inner = hyphens[edges[hyphens + 2]] + 1
        starts, ends = (np.sort(np.concatenate((some, inner))) for some in (starts, ends))
    return starts, ends, np.cumsum(breaks)[starts] - breaks[starts]


def _word_boxes(handle: Handle, starts: Integers, ends: Integers, *, everywhere: bool) -> Floats:
    """float32 [n, 4]: the box of each word: around its first and last character, or, where text
    runs both ways and these need not be the outer ones, `everywhere` around all."""
    if everywhere:
        boxes = _boxes(handle, list(range(int(ends[-1]))))
        spans = np.stack((starts, ends), axis=1).ravel()[:-1]
        low, high = np.minimum.reduceat(boxes, spans), np.maximum.reduceat(boxes, spans)
        return columns(low[::2, 0], high[::2, 1], high[::2, 2], low[::2, 3])
    bounds = np.concatenate((starts, ends - 1)).tolist()
    boxes = _boxes(handle, bounds)
    first, last = boxes[: len(starts)], boxes[len(starts) :]
    low, high = np.minimum(first, last), np.maximum(first, last)
    return columns(low[:, 0], high[:, 1], high[:, 2], low[:, 3])


def _boxes(handle: Handle, indices: list[int]) -> Floats:
    """Loose boxes, tight ones where the font's own height makes no sense."""
    boxes = loose_boxes(handle, indices)
    height = boxes[:, 1] - boxes[:, 3]
    # Rotated text is higher than wide here, which its tight box settles as well.
    doubtful = np.flatnonzero((height <= 0.1) | (boxes[:, 2] - boxes[:, 0] <= 0))
    if len(doubtful):
        tight = tight_boxes(handle, [indices[one] for one in doubtful.tolist()])
        better = (tight[:, 1] > tight[:, 3]) | (height[doubtful] <= 0)
        boxes[doubtful[better]] = tight[better]
    return boxes


def _untwisted(text: str, handle: Handle) -> str:
    """`text` with the Arabic ligatures of lam and alef in the order in which they are read.

    PDFium takes a ligature apart and then turns the line around, its two letters with it. Both
    letters have the ligature's box, which tells them from an alef before a lam.
    """
    twisted = [match.start() for match in _ALEF_LAM.finditer(text)]
    boxes = tight_boxes(handle, [place + more for more in (0, 1) for place in twisted])
    same = (boxes[: len(twisted)] == boxes[len(twisted) :]).all(axis=1)
    letters = list(text)
    for place in np.array(twisted, np.int64)[same].tolist():
        letters[place], letters[place + 1] = letters[place + 1], letters[place]
    return "".join(letters)


def _on_page(boxes: Floats, frame: Frame) -> Flags:
    """bool [n]: whether a word's middle lies on the shown page."""
    across = (boxes[:, 0] + boxes[:, 2]) / 2
    down = (boxes[:, 1] + boxes[:, 3]) / 2
    inside: Flags = (across >= 0) & (across <= frame.width) & (down >= 0) & (down <= frame.height)
    return inside


def bounds_of(cuts: Flags) -> tuple[Integers, Integers]:
    """The first and the last of each group, where `cuts` (bool [n - 1]) tells whether the next one
    begins a new group."""
    places = np.flatnonzero(cuts)
    heads = np.zeros(len(places) + 1, np.int64)
    tails = np.full(len(places) + 1, len(cuts))
    heads[1:] = places + 1
    tails[:-1] = places
    return heads, tails


def no_words(text: str) -> Words:
    """A page without words."""
    none, sizes, flags = np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.bool_)
    boxes = np.zeros((0, 4), np.float32)
    return Words(text, none, none, boxes, none, none, sizes, flags, flags)
