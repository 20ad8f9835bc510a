"""Lines of text as a page shows them, in reading order, and tables among them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from embedding_assets.documents.parse.pdf.looks import SKEWED
from embedding_assets.documents.parse.pdf.order import Region, from_right, read_order
from embedding_assets.documents.parse.pdf.pages import Sheet
from embedding_assets.documents.parse.pdf.pieces import Piece
from embedding_assets.documents.parse.pdf.tables import Table
from embedding_assets.documents.parse.pdf.unruled import find_table, unruled_table
from embedding_assets.documents.parse.pdf.words import LINE_HYPHEN


@dataclass(slots=True)
class Line:
    """A line of a column: left, top, right, bottom and size in points, in the frame in which the
    text of this `quarter` runs upright. edges: of the column, as far as most lines reach."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool
    mono: bool
    edges: tuple[float, float]
    page: int
    quarter: int

    @property
    def middle(self) -> float:
        """Half way from top to bottom."""
        return (self.top + self.bottom) / 2


Item: TypeAlias = Line | Table


def page_items(sheet: Sheet) -> Iterator[Item]:
    """The lines and tables of one page in reading order."""
    for quarter, pieces in sheet.pieces.items():
        place = (sheet.page.number, quarter)
        if quarter == SKEWED:
            yield from (_line([piece], (piece.left, piece.right), place) for piece in pieces)
        elif pieces:
            right = from_right([piece.text for piece in pieces])
            for region in read_order(pieces, from_right=right):
                yield from _region_items(region, place)


def _region_items(region: Region, place: tuple[int, int]) -> Iterator[Item]:
    edges = _edges(region)
    rows = region.rows
    number = 0
    while number < len(rows):
        row = rows[number]
        end, free = find_table(rows, number) if len(row) > 1 else (number, [])
        if free:
            yield unruled_table(rows[number:end], free, place)
            number = end
            continue
        yield from (piece.table for piece in row if piece.table)
        words = [piece for piece in row if not piece.table]
        if words:
            yield _line(words, edges, place)
        number += 1


def _edges(region: Region) -> tuple[float, float]:
    """Where the lines of a region begin and end, but for the few that stick out."""
    lefts = sorted([min([piece.left for piece in row]) for row in region.rows])
    rights = sorted([max([piece.right for piece in row]) for row in region.rows])
    return lefts[len(lefts) // 20], rights[-1 - len(rights) // 20]


def _line(row: Sequence[Piece], edges: tuple[float, float], place: tuple[int, int]) -> Line:
    """The pieces of a row as one line."""
    main = row[0]
    if len(row) == 1:
        sides = (main.left, main.top, main.right, main.bottom)
        return Line(main.text, *sides, main.size, main.bold, main.mono, edges, *place)
    main = max(row, key=lambda piece: piece.right - piece.left)
    return Line(
        _beside(row),
        min(piece.left for piece in row),
        min(piece.top for piece in row),
        max(piece.right for piece in row),
        max(piece.bottom for piece in row),
        main.size,
        all(piece.bold for piece in row),
        all(piece.mono for piece in row),
        edges,
        *place,
    )


def _beside(row: Sequence[Piece]) -> str:
    """The texts of pieces on one line, with a space between those that do not touch."""
    text = row[0].text
    for before, piece in zip(row, row[1:], strict=False):
        gap = max(piece.left - before.right, before.left - piece.right)
        if text.endswith(LINE_HYPHEN):
            text = text[:-1] + "-"
        if piece.mono and before.mono and before.text:
            letter = (before.right - before.left) / len(before.text)
            text = text.rstrip() + " " * round(gap / max(letter, 0.1))
        elif gap > 0.12 * (before.bottom - before.top) and not text.endswith(" "):
            text += " "
        text += piece.text
    return text
