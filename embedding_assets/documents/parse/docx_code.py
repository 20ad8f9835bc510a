"""Lines of program code among the paragraphs of a DOCX."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from embedding_assets.documents.document import Block, Kind

_CODE = re.compile(
    r"[;{}]\s*$|[^=<>!]=[^=]|==|!=|->|=>|::|//|/\*|</|&&|\|\||\w\(\)|\w\[\w*\]|^\s*(?:\$|>>>|#!|#include)\s?"
    r"|^\s*(?:import \w|from \w+ import|def \w+\(|class \w+[:(]|return\b|select .* from )",
    re.MULTILINE | re.IGNORECASE,
)


@dataclass(frozen=True)
class Line:
    """A paragraph that may be a line of code: its block's text is as it stands, blanks and all.

    is_monospaced: whether all its text is in a monospaced font that the document uses for it.
    """

    block: Block
    is_monospaced: bool = False


def joined(lines: Iterable[Line]) -> Iterator[Block]:
    """The blocks with text; lines of code that follow one another are one block.

    Paragraphs of a code style are code; monospaced ones are when they look like it, because
    prose is typed in such fonts too.
    """
    for maybe_code, group in groupby(lines, _maybe_code):
        members = list(group)
        if maybe_code and (code := _code(members)) is not None:
            yield code
        else:
            blocks = (replace(line.block, text=line.block.text.strip()) for line in members)
            yield from (block for block in blocks if block.text)


def _maybe_code(line: Line) -> bool:
    kind, text = line.block.kind, line.block.text
    return kind is Kind.CODE or (
        kind is Kind.PARAGRAPH and line.is_monospaced and bool(text.strip())
    )


def _code(lines: list[Line]) -> Block | None:
    """The lines as one block of code, None when they are prose."""
    text = "\n".join(line.block.text for line in lines).rstrip().lstrip("\n")
    styled = any(line.block.kind is Kind.CODE for line in lines)
    if not text or not (styled or _CODE.search(text)):
        return None
    pages = sorted({page for line in lines for page in line.block.pages})
    return Block(Kind.CODE, text, pages=tuple(pages))
