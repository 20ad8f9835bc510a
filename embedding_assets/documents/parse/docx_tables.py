"""The cells of a DOCX table as a grid, merged cells repeated where they cover."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from embedding_assets.documents.parse.docx_package import MC, Element, W
from embedding_assets.documents.parse.docx_styles import number, value
from embedding_assets.documents.parse.docx_text import chosen_alternative

_MAX_SPAN = 63
"""The columns that Word allows: a file that claims more would repeat a text without end."""
_MAX_REPEATED = 1_000
"""A longer text stands only in the first of the cells that it covers: a table's size must stay
in proportion to its file's."""

_WRAPPERS = frozenset(
    f"{W}{tag}" for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")
)


@dataclass(frozen=True)
class _Place:
    """The columns from `start` to before `end` that a cell covers; None: no cell, left empty.

    from_left, from_above: whether it goes on the cell there, and has no content of its own.
    """

    cell: Element | None
    start: int
    end: int
    from_left: bool = False
    from_above: bool = False


def children(element: Element, *tags: str) -> Iterator[Element]:
    """The children with one of the tags in order, also inside content controls and insertions."""
    for child in element:
        if child.tag in tags:
            yield child
        elif child.tag in _WRAPPERS:
            yield from children(child, *tags)
        elif child.tag == f"{MC}AlternateContent":
            if (chosen := chosen_alternative(child)) is not None:
                yield from children(chosen, *tags)


def rows_of(table: Element) -> Iterator[Element]:
    """The rows of a table that were not deleted."""
    for row in children(table, f"{W}tr"):
        if row.find(f"{W}trPr/{W}del") is None:
            yield row


def framed_cell(table: Element) -> Element | None:
    """The cell of a table that has only one, and so is a frame around its content."""
    cells = (cell for row in rows_of(table) for cell in children(row, f"{W}tc"))
    first = next(cells, None)
    return first if next(cells, None) is None else None


def grid_of(table: Element, read_row: Callable[[list[Element]], list[str]]) -> list[list[str]]:
    """The texts of a table by row and column; a merged cell's text in each place it covers.

    read_row: the texts of the cells of one row; it is asked row by row, in order, for the cells
        that are visible.
    """
    grid: list[list[str]] = []
    above: dict[int, str] = {}
    for row in rows_of(table):
        places = list(_places(row, above))
        visible = [it.cell for it in places if it.cell is not None and not _covered(it)]
        texts = iter(read_row(visible))
        line: list[str] = []
        here: dict[int, str] = {}
        for it in places:
            text = _text(it, texts, above, line)
            line += [text, *[_repeated(text)] * (it.end - it.start - 1)]
            here[it.start] = text
        grid.append(line)
        above = here
    return grid


def _places(row: Element, above: Mapping[int, str]) -> Iterator[_Place]:
    """The cells of a row with their columns, and the gaps before and after them."""
    column = _span(row, "trPr", "gridBefore", 0)
    if column:
        yield _Place(None, 0, column)
    for cell in children(row, f"{W}tc"):
        end = column + _span(cell, "tcPr", "gridSpan", 1)
        from_above = _continues(cell, "vMerge") and column in above
        yield _Place(cell, column, end, _continues(cell, "hMerge") and column > 0, from_above)
        column = end
    if after := _span(row, "trPr", "gridAfter", 0):
        yield _Place(None, column, column + after)


def _text(
    place: _Place, texts: Iterator[str], above: Mapping[int, str], line: Sequence[str]
) -> str:
    if place.cell is None:
        return ""
    if place.from_left:
        return _repeated(line[-1])
    return _repeated(above[place.start]) if place.from_above else next(texts)


def _covered(place: _Place) -> bool:
    return place.from_left or place.from_above


def _repeated(text: str) -> str:
    return text if len(text) <= _MAX_REPEATED else ""


def _continues(cell: Element, merge: str) -> bool:
    found = cell.find(f"{W}tcPr/{W}{merge}")
    return found is not None and found.get(f"{W}val", "continue") == "continue"


def _span(element: Element, properties: str, tag: str, default: int) -> int:
    found = number(value(element.find(f"{W}{properties}"), tag), default)
    return min(max(found, default), _MAX_SPAN)
