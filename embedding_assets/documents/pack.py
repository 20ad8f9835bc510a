"""The blocks of a section put together, or cut, to passages of a given size."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from embedding_assets.documents.document import Block, Kind
from embedding_assets.documents.sections import CountedBlock
from embedding_assets.documents.split import TokenCounter, split_table, split_texts

JOINTS = (_WITHIN, _ITEMS, _BLOCKS) = (" ", "\n", "\n\n")
"""What stands between parts of a block, items of a list, and other blocks."""
_TOGETHER = {(Kind.LIST_ITEM, Kind.LIST_ITEM), (Kind.CAPTION, Kind.TABLE)}

_MOST_PAGES = 2
"""Blocks are not put together over more pages, or a hit would name pages where it is not found."""


@dataclass(frozen=True)
class Piece:
    """A block, or a part of one that is too long."""

    text: str
    tokens: int
    block: Block
    is_part: bool = False


@dataclass(frozen=True)
class Packer:
    """What makes passages of sections.

    count: the tokens of texts, a prompt of the model not counted.
    overlap: tokens of the passage before that a passage repeats at most.
    """

    count: TokenCounter
    overlap: int = 0

    def pack(
        self, bodies: Sequence[Sequence[CountedBlock]], budgets: Sequence[int]
    ) -> list[list[list[Piece]]]:
        """For each section the pieces of its passages, in order, within its budget of tokens."""
        budgets = [max(1, budget - self.overlap) for budget in budgets]
        pieces = iter(self._cut(bodies, budgets))
        packs = []
        for body, budget in zip(bodies, budgets, strict=True):
            packs.append(_packed(self._groups([next(pieces) for _ in body], budget), budget))
        return [self._overlapping(some) for some in packs] if self.overlap else packs

    def _cut(
        self, bodies: Sequence[Sequence[CountedBlock]], budgets: Sequence[int]
    ) -> list[list[Piece]]:
        """The pieces of every block, of a table one."""
        blocks = [block for body in bodies for block, _ in body]
        counted = [(shown(block), tokens) for body in bodies for block, tokens in body]
        limits = [budget for body, budget in zip(bodies, budgets, strict=True) for _ in body]
        for number, block in enumerate(blocks):
            if block.kind is Kind.TABLE:
                limits[number] = max(limits[number], counted[number][1])
        return [
            [Piece(text, tokens, block, len(pieces) > 1) for text, tokens in pieces]
            for block, pieces in zip(blocks, split_texts(counted, limits, self.count), strict=True)
        ]

    def _groups(self, blocks: Sequence[list[Piece]], budget: int) -> Iterator[list[Piece]]:
        """What should stay together: the items of a list, a table and its caption, a block."""
        for run in _runs(blocks):
            *before, (table, *_) = run
            if table.block.kind is not Kind.TABLE:
                yield [piece for pieces in run for piece in pieces]
                continue
            caption = [piece for pieces in before for piece in pieces]
            if tokens_of(caption) > budget // 3:
                yield caption
                caption = []
            for part in self._table(table, budget - tokens_of(caption)):
                yield [*caption, part]

    def _table(self, table: Piece, budget: int) -> list[Piece]:
        if table.tokens <= budget:
            return [table]
        parts = split_table(table.text, self.count, budget)
        return [Piece(text, tokens, table.block) for text, tokens in parts]

    def _overlapping(self, packs: list[list[Piece]]) -> list[list[Piece]]:
        """Each passage after the end of the one before it, tables apart."""
        ends = [pack[-1] for pack in packs[:-1]]
        tails = split_texts(
            [(end.text, end.tokens) for end in ends], [self.overlap] * len(ends), self.count
        )
        opened = packs[:1]
        for end, tail, pack in zip(ends, tails, packs[1:], strict=True):
            if Kind.TABLE in (end.block.kind, pack[-1].block.kind):
                opened.append(pack)
            else:
                opened.append([replace(end, text=tail[-1][0], tokens=tail[-1][1]), *pack])
        return opened


def _packed(groups: Iterable[list[Piece]], budget: int) -> list[list[Piece]]:
    """The groups put together as far as the budget goes; one that exceeds it, piece by piece."""
    packs: list[list[Piece]] = []
    for group in groups:
        whole = tokens_of(group) <= budget
        for number, unit in enumerate([group] if whole else [[piece] for piece in group]):
            # What is cut starts a passage, so that text added before it does not move its cuts.
            if packs and (whole or number) and _fit_together(packs[-1], unit, budget):
                packs[-1].extend(unit)
            else:
                packs.append([*unit])
    return packs


def shown(block: Block) -> str:
    """The text of a block as a chunk has it: a list item with its bullet or number."""
    if block.kind is Kind.LIST_ITEM and block.marker:
        return f"{block.marker} {block.text}"
    return block.text


def joined(pieces: Sequence[Piece]) -> str:
    """The text of a passage."""
    text = pieces[0].text
    for before, piece in pairwise(pieces):
        text += _joint(before, piece) + piece.text
    return text


def _joint(before: Piece, piece: Piece) -> str:
    if before.is_part and before.block is piece.block:
        return _WITHIN
    kinds = {before.block.kind, piece.block.kind}
    return _ITEMS if kinds == {Kind.LIST_ITEM} else _BLOCKS


def _runs(blocks: Sequence[list[Piece]]) -> Iterator[list[list[Piece]]]:
    """Neighbours of the kinds that stay together."""
    run: list[list[Piece]] = []
    for pieces in blocks:
        if run and (run[-1][0].block.kind, pieces[0].block.kind) not in _TOGETHER:
            yield run
            run = []
        run.append(pieces)
    if run:
        yield run


def _fit_together(pack: Sequence[Piece], unit: Sequence[Piece], budget: int) -> bool:
    """Whether they may share a passage; a table, with its caption, has its own."""
    if any(piece.block.kind is Kind.TABLE for piece in (pack[-1], unit[-1])):
        return False
    before, added = _pages(pack), _pages(unit)
    few_pages = len(before | added) <= max(_MOST_PAGES, len(before), len(added))
    return few_pages and tokens_of(pack) + tokens_of(unit) <= budget


def _pages(pieces: Sequence[Piece]) -> set[int]:
    return {page for piece in pieces for page in piece.block.pages}


def tokens_of(pieces: Sequence[Piece]) -> int:
    """Of all of them together."""
    return sum(piece.tokens for piece in pieces)
