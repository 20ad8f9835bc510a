"""Tables: ruling lines as a grid of cells, words as the texts of cells."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.parse.pdf.library import Flags, Floats, Integers
from embedding_assets.documents.parse.pdf.tables import Cells, join_parts
from embedding_assets.documents.parse.pdf.words import LINE_HYPHEN

_NEAR = 3.0
_MAX_RULINGS = 3_000
_MAX_CELL = 1_500
_LEAST_FILLED = 0.3


@dataclass(frozen=True)
class Grid:
    """A ruled table: the edges of its columns and rows, ascending, in points.

    merged: int64 [rows, columns], for each field the first field of the cell that it belongs to,
    counted row by row.
    """

    columns: Floats
    rows: Floats
    merged: Integers

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        return (
            float(self.columns[0]),
            float(self.rows[0]),
            float(self.columns[-1]),
            float(self.rows[-1]),
        )

    def holds(self, boxes: Floats) -> Flags:
        """bool [n]: whether the middle of each box lies in the table."""
        left, top, right, bottom = self.box
        across, down = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        inside: Flags = (across > left) & (across < right) & (down > top) & (down < bottom)
        return inside

    def cells(self, boxes: Floats) -> Integers:
        """int64 [n]: the cell of each box by its middle, as `merged` counts."""
        across, down = (boxes[:, 0] + boxes[:, 2]) / 2, (boxes[:, 1] + boxes[:, 3]) / 2
        column = np.clip(np.searchsorted(self.columns, across) - 1, 0, len(self.columns) - 2)
        row = np.clip(np.searchsorted(self.rows, down) - 1, 0, len(self.rows) - 2)
        return self.merged[row, column]


def find_grids(across: Floats, down: Floats) -> Iterator[Grid]:
    """The tables that horizontal and vertical rulings make where they cross, topmost first.

    across, down: float32 [n, 4], thin boxes in one frame.
    """
    if not (2 < len(across) <= _MAX_RULINGS and 0 < len(down) <= _MAX_RULINGS):
        return
    across, down = _joined(across, 1), _joined(down, 0)
    touching = (
        (across[:, None, 0] <= down[None, :, 2] + _NEAR)
        & (across[:, None, 2] >= down[None, :, 0] - _NEAR)
        & (down[None, :, 1] <= across[:, None, 3] + _NEAR)
        & (down[None, :, 3] >= across[:, None, 1] - _NEAR)
    )
    for lines, posts in sorted(
        _connected(touching), key=lambda pair: float(across[pair[0], 1].min())
    ):
        if len(lines) > 2:
            grid = _grid(across[lines], down[posts])
            if grid.merged.max() > 0:
                yield grid


@dataclass(frozen=True)
class GridWords:
    """The words within a grid in stream order: boxes float32 [n, 4]; runs int64 [n], by line."""

    texts: Sequence[str]
    boxes: Floats
    runs: Integers


def cell_texts(grid: Grid, words: GridWords) -> Cells | None:
    """The texts of the cells, row by row, empty rows and columns left out; None if what the rulings
    enclose is no table: a chart, a frame, a page laid out in boxes.
    """
    fields: dict[int, list[int]] = {}
    for word, cell in enumerate(grid.cells(words.boxes).tolist()):
        fields.setdefault(cell, []).append(word)
    runs = words.runs.tolist()
    count = len(grid.columns) - 1
    table = [[""] * count for _ in range(len(grid.rows) - 1)]
    for cell, inside in fields.items():
        if runs[inside[0]] != runs[inside[-1]]:
            inside = _downwards(inside, words)
        text = join_parts([words.texts[word] for word in inside])
        table[cell // count][cell % count] = text.replace(LINE_HYPHEN, "-")
    table = [row for row in table if any(row)]
    used = [column for column in range(count) if any(row[column] for row in table)]
    table = [[row[column] for column in used] for row in table]
    filled = sum(bool(text) for row in table for text in row)
    if len(table) < 2 or len(used) < 2 or filled < _LEAST_FILLED * len(np.unique(grid.merged)):
        return None
    return None if max(len(text) for row in table for text in row) > _MAX_CELL else table


def _downwards(inside: Sequence[int], words: GridWords) -> list[int]:
    """The words of a cell line by line: runs from top to bottom, from left to right on one line."""
    runs: dict[int, list[int]] = {}
    for word in inside:
        runs.setdefault(int(words.runs[word]), []).append(word)
    tops = {run: float(words.boxes[some[0], 1]) for run, some in runs.items()}
    heights = {run: float(words.boxes[some[0], 3]) - tops[run] for run, some in runs.items()}
    lines: list[list[int]] = []
    for run in sorted(runs, key=lambda run: tops[run] + heights[run] / 2):
        above = lines[-1][0] if lines else None
        if above is not None and tops[run] + heights[run] / 2 < tops[above] + heights[above]:
            lines[-1].append(run)
        else:
            lines.append([run])
    return [
        word
        for line in lines
        for run in sorted(line, key=lambda run: float(words.boxes[runs[run][0], 0]))
        for word in runs[run]
    ]


def _joined(rulings: Floats, axis: int) -> Floats:
    """Rulings that lie on one line and touch each other, as one; axis: the one across them."""
    along = 1 - axis
    middle = (rulings[:, axis] + rulings[:, axis + 2]) / 2
    order = np.lexsort((rulings[:, along], _snapped(middle)))
    result: list[Floats] = []
    place = _snapped(middle)
    for number in order.tolist():
        last = result[-1] if result else None
        if (
            last is not None
            and last[4] == place[number]
            and rulings[number, along] <= last[along + 2] + _NEAR
        ):
            last[along + 2] = max(last[along + 2], rulings[number, along + 2])
            continue
        line = np.append(rulings[number], place[number])
        line[axis] = line[axis + 2] = place[number]
        result.append(line)
    return np.array(result, np.float32)[:, :4]


def _snapped(values: npt.NDArray[np.floating]) -> Floats:
    """`values`, those within a few points of each other replaced by their mean."""
    order = np.argsort(values)
    groups = np.concatenate(([0], np.cumsum(np.diff(values[order]) > _NEAR)))
    means = np.bincount(groups, values[order]) / np.bincount(groups)
    result = np.empty(len(values), np.float32)
    result[order] = means[groups]
    return result


def _connected(touching: Flags) -> Iterator[tuple[Integers, Integers]]:
    """Rulings across and down that hang together by their crossings."""
    rest = touching.any(axis=1)
    while rest.any():
        lines = np.zeros(len(touching), np.bool_)
        lines[np.flatnonzero(rest)[0]] = True
        while True:
            posts = touching[lines].any(axis=0)
            grown: Flags = np.asarray(touching[:, posts].any(axis=1))
            if (grown == lines).all():
                break
            lines = grown
        rest &= ~lines
        yield np.flatnonzero(lines), np.flatnonzero(posts)


def _grid(across: Floats, down: Floats) -> Grid:
    """The grid of rulings; fields without a ruling between them are one cell."""
    rows = np.unique(_snapped(across[:, 1]))
    posts = _snapped(down[:, 0])
    left, right = float(across[:, 0].min()), float(across[:, 2].max())
    outer = [side for side in (left, right) if np.abs(posts - side).min() > 3 * _NEAR]
    columns = np.unique(np.append(posts, outer).astype(np.float32))
    numbers = np.arange((len(rows) - 1) * (len(columns) - 1)).reshape(len(rows) - 1, -1)
    walls = _ruled(down, 0, columns, (rows[1:] + rows[:-1]) / 2)
    floors = _ruled(across, 1, rows, (columns[1:] + columns[:-1]) / 2)
    if walls[1:-1].all() and floors[1:-1].all():
        return Grid(columns, rows, numbers)
    for row, column in np.ndindex(*numbers.shape):
        if column and not walls[column, row]:
            numbers[row, column] = numbers[row, column - 1]
        elif row and not floors[row, column]:
            numbers[row, column] = numbers[row - 1, column]
    return Grid(columns, rows, numbers)


def _ruled(rulings: Floats, axis: int, places: Floats, at: npt.NDArray[np.floating]) -> Flags:
    """bool [places, at]: whether a ruling stands at the place and passes there."""
    along = 1 - axis
    near = np.abs(rulings[None, :, axis] - places[:, None]) <= _NEAR
    passing = (rulings[:, along] <= at[:, None]) & (rulings[:, along + 2] >= at[:, None])
    return np.asarray(near.astype(np.float32) @ passing.T.astype(np.float32) > 0)
