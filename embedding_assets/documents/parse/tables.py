"""Rows of cells as a Markdown table."""

import re
from collections.abc import Sequence
from itertools import chain, repeat

_BLANK = re.compile(r"\s+")


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table of one line per row, the first as its header; "" where no cell has text.

    White space in a cell becomes one space, `|` is escaped, and short rows are filled up.
    """
    width = max(map(len, rows), default=0)
    cells = [[_cell(text) for text in chain(row, repeat("", width - len(row)))] for row in rows]
    if not any(map(any, cells)):
        return ""
    head, *rest = map(_line, cells)
    return "\n".join([head, _line(["---"] * width), *rest])


def _cell(text: str) -> str:
    return _BLANK.sub(" ", text).strip().replace("|", "\\|")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
