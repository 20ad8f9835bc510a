"""Tables, as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from embedding_assets.documents.parse.pdf.words import LINE_HYPHEN

Cells: TypeAlias = list[list[str]]
Sides: TypeAlias = tuple[float, float, float, float]


@dataclass(slots=True)
class Table:
    """A table as Markdown, with its box in the frame of its `quarter`."""

    text: str
    box: Sides
    page: int
    quarter: int


def join_parts(parts: Sequence[str]) -> str:
    """The words of a cell with spaces between; a word cut at a line's end is whole again."""
    text = " ".join([part.strip() for part in parts])
    return text.replace(LINE_HYPHEN + " ", "") if LINE_HYPHEN in text else text


def as_markdown(cells: Cells) -> str:
    """The cells as a Markdown table whose first row is the header."""
    rows = [
        "| " + " | ".join([text.replace("|", "\\|").replace("\n", " ") for text in row]) + " |"
        for row in cells
    ]
    return "\n".join([rows[0], "|" + " --- |" * len(cells[0]), *rows[1:]])
