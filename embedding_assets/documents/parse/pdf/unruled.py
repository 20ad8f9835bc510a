"""Tables without rulings: rows of pieces that share the gaps between their columns."""

from bisect import bisect
from collections.abc import Sequence

from embedding_assets.documents.parse.pdf.columns import Span
from embedding_assets.documents.parse.pdf.order import gaps, least_gutter
from embedding_assets.documents.parse.pdf.pieces import Piece
from embedding_assets.documents.parse.pdf.tables import Cells, Table, as_markdown, join_parts
from embedding_assets.documents.parse.pdf.words import LINE_HYPHEN

_LEADERS = ("....", ". . . .", "……", "____")
_LEAST_ROWS = 3
_CLOSE, _FAR = 0.25, 3.5


def find_table(rows: Sequence[Sequence[Piece]], start: int) -> tuple[int, list[Span]]:
    """Where the table ends that begins with the row `start`, and the gaps between its columns;
    `start` and none if none begins.

    A table has three rows of at least two pieces and two gaps that all its rows leave free; one gap
    is enough where the second column holds figures. Monospaced rows are code.
    """
    if len(rows) - start < _LEAST_ROWS or all(piece.mono for piece in rows[start]):
        return start, []
    taken, end, last = 0, start, 0
    least = least_gutter(rows[start])
    for number in range(start, len(rows)):
        row = rows[number]
        if number > start and row[0].top - rows[number - 1][0].bottom > _FAR * row[0].size:
            break
        merged = taken
        for piece in row:
            merged |= piece.taken
        if merged != taken and not gaps(merged, least) or any(piece.table for piece in row):
            break
        taken = merged
        lonely = len(row) == 1 and (number + 1 == len(rows) or len(rows[number + 1]) == 1)
        if not lonely or _hangs(rows[number - 1], row):
            end, last = number + 1, taken
        elif number - end > 1:
            break
    free = gaps(last, least)
    return (end, free) if _is_table(rows[start:end], len(free)) else (start, [])


def _hangs(above: Sequence[Piece], row: Sequence[Piece]) -> bool:
    """Whether a row stands so close below another that it goes on with a cell."""
    floor = max(piece.bottom for piece in above)
    return row[0].top - floor < _CLOSE * (row[0].bottom - row[0].top)


def _is_table(rows: Sequence[Sequence[Piece]], free: int) -> bool:
    several = sum(len(row) > 1 for row in rows)
    if several < _LEAST_ROWS or not free or several < len(rows) / 2:
        return False
    text = "".join([piece.text for row in rows for piece in row])
    if any(leader in text for leader in _LEADERS):
        return False
    if free > 1:
        return True
    figures = sum(_is_figure(row[-1].text) for row in rows)
    return figures >= 0.7 * len(rows)


def _is_figure(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= 0.4 * len(text)


def unruled_table(
    rows: Sequence[Sequence[Piece]], free: Sequence[Span], place: tuple[int, int]
) -> Table:
    """The rows as a table; free: the gaps between columns; place: number of the page, quarter."""
    middles = [(start + end) / 2 for start, end in free]
    table: Cells = []
    floor = float("-inf")
    for row in rows:
        cells = [""] * (len(free) + 1)
        for piece in row:
            column = bisect(middles, (piece.left + piece.right) / 2)
            cells[column] = _joined(cells[column], piece.text)
        top = min([piece.top for piece in row])
        close = top - floor < _CLOSE * (row[0].bottom - row[0].top)
        if close and not (cells[0] and table[-1][0]):
            table[-1] = [_joined(old, new) for old, new in zip(table[-1], cells, strict=True)]
        else:
            table.append(cells)
        floor = max([piece.bottom for piece in row])
    pieces = [piece for row in rows for piece in row]
    box = (
        min([piece.left for piece in pieces]),
        min([piece.top for piece in pieces]),
        max([piece.right for piece in pieces]),
        max([piece.bottom for piece in pieces]),
    )
    shown = [[text.replace(LINE_HYPHEN, "-") for text in row] for row in table]
    return Table(as_markdown(shown), box, *place)


def _joined(text: str, more: str) -> str:
    return join_parts((text, more)) if text and more else text or more.strip()
