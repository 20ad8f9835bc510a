"""What stands side by side: columns of prose, read one after another, or cells, read by rows."""

import re
from bisect import bisect
from collections.abc import Sequence
from operator import attrgetter
from statistics import median
from typing import TypeAlias

from embedding_assets.documents.parse.pdf.pieces import Piece

Span: TypeAlias = tuple[float, float]
Strip: TypeAlias = list[Piece]
_FULL, _PROSE_EMS = 0.55, 10.0
_MOSTLY = 0.6
_RUNNING = 6
_MARKER = re.compile(r"\s*(\W|\(?([a-z]{1,4}|[A-Z]|\d{1,3})[.)]|\d+(\.\d+)+\.?)\s*")
_MIDDLE = attrgetter("middle")


def reach(pieces: Sequence[Piece]) -> Span:
    """From where to where the pieces reach."""
    return min(piece.left for piece in pieces), max(piece.right for piece in pieces)


def are_columns(parts: Sequence[Strip]) -> bool:
    """Whether parts side by side are read one after another: prose, or rows that do not align."""
    prose = [len(part) for part in parts if _is_prose(part)]
    if len(prose) > 1 and sum(prose) >= _MOSTLY * sum(map(len, parts)):
        return True
    if len(prose) == 1 and any(_is_running(part) for part in parts):
        return True
    return min(map(len, parts)) > 1 and not _aligned(parts)


def with_markers(parts: list[Strip]) -> list[Strip]:
    """The parts, one that holds only the bullets and numbers of a list joined to its texts."""
    result: list[Strip] = []
    for part in parts:
        if result and all(_MARKER.fullmatch(piece.text) for piece in result[-1]):
            result[-1] = result[-1] + part
        else:
            result.append(part)
    return result


def _is_running(part: Strip) -> bool:
    """Whether the lines of a part are those of paragraphs: nearly all full, close together."""
    if not _is_prose(part) or len(part) < _RUNNING:
        return False
    left, right = reach(part)
    full = sum(piece.right > right - 0.2 * (right - left) for piece in part)
    lines = sorted(part, key=_MIDDLE)
    close = sum(
        below.top - above.bottom < 0.3 * (below.bottom - below.top)
        for above, below in zip(lines, lines[1:], strict=False)
    )
    return min(full, close) >= 0.65 * len(part)


def _is_prose(part: Strip) -> bool:
    """Whether the lines of a part mostly fill its width, and it is wide enough for sentences."""
    if len(part) < 3:
        return False
    left, right = reach(part)
    if right - left < _PROSE_EMS * median(piece.size for piece in part):
        return False
    return median(piece.right - piece.left for piece in part) >= _FULL * (right - left)


def _aligned(parts: Sequence[Strip]) -> bool:
    """Whether most pieces of the shorter parts stand on a line with one of the longest part."""
    longest = max(parts, key=len)
    others = [piece for part in parts if part is not longest for piece in part]
    near = 0.25 * median(piece.bottom - piece.top for piece in others)
    middles = sorted(piece.middle for piece in longest)
    hits = 0
    for piece in others:
        place = bisect(middles, piece.middle - near)
        hits += place < len(middles) and middles[place] <= piece.middle + near
    return hits >= _MOSTLY * len(others)
