"""Running headers, footers and page numbers: what stands at the same place on many pages."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from embedding_assets.documents.parse.pdf.pages import Sheet
from embedding_assets.documents.parse.pdf.pieces import Piece

Place: TypeAlias = tuple[tuple[str, ...], int, float]
_MARGIN = 0.13
_ROWS_AT_EDGE = 4
_APART = 1.5
_SAME_PLACE = 4.0
_NEAR = 12
_DIGITS = re.compile(r"\d{1,5}")
_ROMAN_ALONE = re.compile(r"^[ivxlc]+$")
_COUNTED = re.compile(r"\W*(page|seite)\s*\d+\s*(of|/|von)\s*\d+\W*", re.I)
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}


def without_furniture(sheets: Sequence[Sheet]) -> list[Sheet]:
    """The pages without the pieces that repeat at the head, foot or side of pages near them.

    Pieces repeat if they stand at the same height on three pages (on two, where there are no more
    than four), and their texts agree, but for a number that counts the pages.
    """
    found: dict[tuple[str, int], dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    margins = [list(_marginal(sheet, page)) for page, sheet in enumerate(sheets)]
    for page, pieces in enumerate(margins):
        for _, (keys, quarter, distance) in pieces:
            for key in keys:
                found[key, quarter][page].append(distance)
    needed = 2 if len(sheets) <= 4 else 3
    result = []
    for page, sheet in enumerate(sheets):
        gone = {
            id(piece)
            for piece, (keys, quarter, distance) in margins[page]
            if _COUNTED.fullmatch(piece.text)
            or any(_repeats(found[key, quarter], page, distance, needed) for key in keys)
        }
        result.append(_without(sheet, gone) if gone else sheet)
    return result


def _without(sheet: Sheet, gone: set[int]) -> Sheet:
    pieces = {
        quarter: [piece for piece in some if id(piece) not in gone]
        for quarter, some in sheet.pieces.items()
    }
    return replace(sheet, pieces=pieces)


def _marginal(sheet: Sheet, page: int) -> Iterator[tuple[Piece, Place]]:
    """The pieces in the first few rows at both edges, with what they have in common with others:
    texts, quarter, distance from the nearer edge (negative from the foot)."""
    for quarter, pieces in sheet.pieces.items():
        height = sheet.frame.width if quarter in (1, 3) else sheet.frame.height
        low, high = _MARGIN * height, (1 - _MARGIN) * height
        upper = [piece for piece in pieces if piece.bottom < low and not piece.table]
        lower = [piece for piece in pieces if piece.top > high and not piece.table]
        upper.sort(key=lambda piece: piece.middle)
        lower.sort(key=lambda piece: -piece.middle)
        for edge, some in ((0.0, upper), (height, lower)):
            for piece in _outermost(some):
                keys = _keys(piece.text, page)
                if abs(piece.middle - some[0].middle) <= _SAME_PLACE:
                    keys += _bare(piece.text)
                yield piece, (keys, quarter, piece.middle - edge)


def _outermost(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """The pieces of the first rows that stand close together, from the edge of the page."""
    rows, last = 0, None
    for piece in pieces:
        step = abs(piece.middle - last.middle) if last else 0.0
        if last and step > (1 + _APART) * (piece.bottom - piece.top):
            return
        if last is None or step > _SAME_PLACE:
            rows, last = rows + 1, piece
        if rows > _ROWS_AT_EDGE:
            return
        yield piece


def _keys(text: str, page: int) -> tuple[str, ...]:
    """The text, and what it is with its first or last number counted from the page's."""
    text = text.strip().casefold()
    matches = list(_DIGITS.finditer(text)) or list(_ROMAN_ALONE.finditer(text))
    keys = [text]
    for match in {matches[0], matches[-1]} if matches else ():
        number = _value(match[0]) - page
        keys.append(f"{text[: match.start()]}#{number}{text[match.end() :]}")
    # A bare number alone says nothing: it may be a cell that happens to be the same.
    return tuple(keys[1:]) if len(keys) == 2 and matches[0][0] == text else tuple(keys)


def _bare(text: str) -> tuple[str, ...]:
    """What a number has in common with any other, which counts in the outermost row only."""
    text = text.strip()
    return ("#",) if text.isdecimal() or _ROMAN_ALONE.match(text) else ()


def _value(number: str) -> int:
    if number.isdigit():
        return int(number)
    values = [_ROMAN[letter] for letter in number]
    return sum(
        -value if value < following else value
        for value, following in zip(values, [*values[1:], 0], strict=True)
    )


def _repeats(
    places: Mapping[int, Sequence[float]], page: int, distance: float, needed: int
) -> bool:
    """Whether the text stands at this height on as many pages near this one as needed."""
    if len(places) < needed:
        return False
    for other in range(page - _NEAR, page + _NEAR + 1):
        for place in places.get(other, ()):
            if abs(place - distance) <= _SAME_PLACE:
                needed -= 1
                break
        if not needed:
            return True
    return False
