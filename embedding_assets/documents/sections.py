"""A document's blocks by the heading that they stand under."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from embedding_assets.documents.document import Block, Kind

CountedBlock: TypeAlias = tuple[Block, int]
"""A block and the tokens of its text."""


@dataclass(frozen=True)
class Section:
    """Blocks that stand together under one heading.

    path: the headings above them, the outermost first. body: never empty.
    """

    path: tuple[str, ...]
    path_tokens: int
    body: tuple[CountedBlock, ...]


@dataclass(frozen=True, eq=False)
class _Heading:
    block: Block
    tokens: int

    @property
    def level(self) -> int:
        return 0 if self.block.kind is Kind.TITLE else max(1, self.block.level)


@dataclass(frozen=True)
class _Draft:
    """A section as it is read: all headings above it, the last one its own."""

    path: tuple[_Heading, ...]
    body: list[CountedBlock] = field(default_factory=list)


def read_sections(blocks: Sequence[CountedBlock], room: int) -> list[Section]:
    """The sections of a document in order; every heading is in a path or in a body.

    room: tokens that a path may take. The innermost headings that fit are kept; a heading that
    does not fit by itself, and one that would be in no path, is text of a body.
    """
    sections: list[Section] = []
    carried: set[_Heading] = set()
    # Backwards, because a heading without text of its own may be in the path of what follows it.
    for draft in reversed(_drafts(blocks, room)):
        path, body = draft.path, draft.body
        if not body:
            if not path or path[-1] in carried:
                continue
            body = [(path[-1].block, path[-1].tokens)]
            path = path[:-1]
        path = _innermost(path, room)
        carried.update(path)
        texts = tuple(" ".join(heading.block.text.split()) for heading in path)
        sections.append(Section(texts, _tokens(path), tuple(body)))
    return sections[::-1]


def _drafts(blocks: Sequence[CountedBlock], room: int) -> list[_Draft]:
    drafts = [_Draft(())]
    for block, tokens in blocks:
        if block.kind not in (Kind.TITLE, Kind.HEADING):
            drafts[-1].body.append((block, tokens))
            continue
        heading = _Heading(block, tokens)
        above = tuple(other for other in drafts[-1].path if other.level < heading.level)
        if tokens > room:
            drafts.append(_Draft(above, [(block, tokens)]))
        else:
            drafts.append(_Draft((*above, heading)))
    return drafts


def _innermost(path: tuple[_Heading, ...], room: int) -> tuple[_Heading, ...]:
    while path and _tokens(path) > room:
        path = path[1:]
    return path


def _tokens(path: tuple[_Heading, ...]) -> int:
    """The tokens of the headings and of the signs between them."""
    return sum(heading.tokens for heading in path) + max(0, len(path) - 1)
