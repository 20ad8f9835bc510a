"""The order in which a person reads the pieces of a page: columns found by their gutters.

A page is taken as strips from top to bottom, in which text stands side by side. Strips that share
a gutter belong together; what lies left of the gutter is read before what lies right of it, if both
are prose, and row by row, if they are cells. Each part is then taken apart the same way: an XY-cut
(Nagy and Seth 1984) whose cuts across the page never go through columns.

What of the width is taken is kept as the bits of an integer, one for each point: a page has few
pieces, for which arrays would cost more than they save.
"""

import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from embedding_assets.documents.parse.pdf.columns import (
    Span,
    Strip,
    are_columns,
    reach,
    with_markers,
)
from embedding_assets.documents.parse.pdf.pieces import Piece

_MAX_DEPTH = 8
_MIDDLE, _LEFT, _RIGHT = attrgetter("middle"), attrgetter("left"), attrgetter("right")
_CORE_TOP = attrgetter("core_top")
_FROM_RIGHT = re.compile("[\u0590-\u08ff\ufb1d-\ufefc]")


@dataclass(frozen=True)
class Region:
    """Rows of pieces that are read one after another, from top to bottom.

    rows: the pieces of each row, in reading order. left, right: of the column.
    """

    rows: list[list[Piece]]
    left: float
    right: float


@dataclass(frozen=True)
class _Reading:
    """gutter: the least width of one, points. from_right: columns and rows begin at the right."""

    gutter: int
    from_right: bool


def read_order(pieces: Sequence[Piece], *, from_right: bool) -> Iterator[Region]:
    """The regions of a page in reading order; every piece is in exactly one row.

    from_right: columns and the pieces of a row are read from right to left.
    """
    reading = _Reading(least_gutter(pieces), from_right)
    yield from _regions(reading, pieces, reach(pieces), 0)


def least_gutter(pieces: Sequence[Piece]) -> int:
    """How wide a gap between columns is at least, in points."""
    return int(max(5.0, 0.7 * median(piece.size for piece in pieces)))


def gaps(taken: int, least: int) -> list[Span]:
    """The free stretches between taken points that are at least `least` wide, from left to right.

    taken: bit n is set where point n has text.
    """
    bits = bin(taken)[:1:-1]
    free, found = "0" * least, list[Span]()
    start = bits.find(free, bits.find("1"))
    while start >= 0:
        end = bits.find("1", start)
        found.append((start, end))
        start = bits.find(free, end)
    return found


def from_right(texts: Sequence[str]) -> bool:
    """Whether most letters of the texts belong to scripts that are written from right to left."""
    joined = "".join(texts)
    if joined.isascii():
        return False
    return len(_FROM_RIGHT.findall(joined)) > 0.4 * sum(map(str.isalpha, joined))


def _regions(
    reading: _Reading, pieces: Sequence[Piece], bounds: Span, depth: int
) -> Iterator[Region]:
    strips = _strips(pieces)
    if len(strips) == len(pieces) or depth == _MAX_DEPTH:
        yield Region(_rows(reading, strips), *bounds)
        return
    plain: list[Strip] = []
    for group, free in _groups(reading, strips):
        inside = [piece for strip in group for piece in strip]
        parts = with_markers(_parts(inside, free)) if free else []
        if len(parts) < 2 or not are_columns(parts):
            plain += group
            continue
        if plain:
            yield Region(_rows(reading, plain), *bounds)
            plain = []
        for part in reversed(parts) if reading.from_right else parts:
            yield from _regions(reading, part, reach(part), depth + 1)
    if plain:
        yield Region(_rows(reading, plain), *bounds)


def _strips(pieces: Sequence[Piece]) -> list[Strip]:
    """The pieces from top to bottom, cut wherever a horizontal line meets none of them."""
    strips: list[Strip] = []
    reach = float("-inf")
    for piece in sorted(pieces, key=_CORE_TOP):
        if piece.core_top > reach:
            strips.append([piece])
            reach = piece.core_bottom
        else:
            strips[-1].append(piece)
            reach = max(reach, piece.core_bottom)
    return strips


def _groups(reading: _Reading, strips: Sequence[Strip]) -> Iterator[tuple[list[Strip], list[Span]]]:
    """Strips that share a gutter, or have none, with the gutters that all of them leave free."""
    group: list[Strip] = []
    taken, free = 0, list[Span]()
    for strip in strips:
        own = 0
        for piece in strip:
            own |= piece.taken
        merged = taken | own
        common = free if group and merged == taken else gaps(merged, reading.gutter)
        if group and not common and (free or len(strip) > 1):
            alone = gaps(own, reading.gutter)
            if free or alone:
                kept = group if free else _kept(group, strip, own, reading.gutter)
                if kept:
                    yield kept, free
                group = group[len(kept) :]
                merged = own | _all_taken(group)
                common = gaps(merged, reading.gutter) if group else alone
        group.append(strip)
        taken, free = merged, common
    yield group, free


def _kept(group: list[Strip], strip: Strip, own: int, least: int) -> list[Strip]:
    """The strips but for the last ones that already stand in a column of `strip` below: columns
    need not begin at the same height."""
    last, below = len(group), strip
    while last:
        above = group[last - 1]
        own |= _all_taken([above])
        if len(above) > 1 or not gaps(own, least) or not _close(above, below):
            break
        last, below = last - 1, above
    return group[:last]


def _close(above: Strip, below: Strip) -> bool:
    floor, ceiling = above[0].bottom, min(piece.top for piece in below)
    return ceiling - floor < above[0].size


def _all_taken(strips: Sequence[Strip]) -> int:
    taken = 0
    for strip in strips:
        for piece in strip:
            taken |= piece.taken
    return taken


def _parts(pieces: Sequence[Piece], free: Sequence[Span]) -> list[Strip]:
    """The pieces between the gutters, from left to right."""
    middles = [(start + end) / 2 for start, end in free]
    parts: list[Strip] = [[] for _ in range(len(free) + 1)]
    for piece in pieces:
        parts[bisect(middles, (piece.left + piece.right) / 2)].append(piece)
    return [part for part in parts if part]


def _rows(reading: _Reading, strips: Sequence[Strip]) -> list[list[Piece]]:
    """Each strip as rows: pieces whose middles lie within each other's height, in order."""
    rows: list[list[Piece]] = []
    for strip in strips:
        if len(strip) == 1:
            rows.append(strip)
            continue
        first = len(rows)
        strip.sort(key=_MIDDLE)
        tallest = strip[0]
        for piece in strip:
            if len(rows) > first and _beside(tallest, piece):
                rows[-1].append(piece)
                if piece.bottom - piece.top > tallest.bottom - tallest.top:
                    tallest = piece
            else:
                rows.append([piece])
                tallest = piece
        for row in rows[first:]:
            row.sort(key=_RIGHT if reading.from_right else _LEFT, reverse=reading.from_right)
    return rows


def _beside(one: Piece, two: Piece) -> bool:
    """Whether two pieces stand on one line, one of them raised or lowered as it may be."""
    height, other = one.bottom - one.top, two.bottom - two.top
    if height > other:
        one, two, height, other = two, one, other, height
    if two.top <= one.middle <= two.bottom:
        return True
    common = min(one.bottom, two.bottom) - max(one.top, two.top)
    return height < 0.85 * other and common > 0.25 * height
