"""Sections as passages of the right size, with the tokens of each."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from embedding_assets.documents.pack import JOINTS, Packer, Piece, joined, tokens_of
from embedding_assets.documents.sections import Section
from embedding_assets.documents.split import TokenCounter

_PATH_JOINT = " > "


@dataclass(frozen=True)
class Passage:
    """Pieces of one section.

    tokens: of its text for embedding, a prompt of the model not counted.
    """

    path: tuple[str, ...]
    pieces: list[Piece]
    tokens: int

    @property
    def text(self) -> str:
        """What it says, without its headings."""
        return joined(self.pieces)


def text_for_embedding(heading_path: Sequence[str], text: str) -> str:
    """What the model reads of a passage: its headings on a line, then its text."""
    return f"{_PATH_JOINT.join(heading_path)}\n{text}" if heading_path else text


def read_passages(sections: Sequence[Section], packer: Packer, room: int) -> list[list[Passage]]:
    """The passages of each section, of at most `room` tokens.

    Where a tokenizer makes more tokens of pieces when they are put together, their section is
    packed anew into smaller passages.
    """
    exact = _tokens_add_up(packer.count)
    budgets = [room - section.path_tokens for section in sections]
    found: list[list[Passage]] = [[] for _ in sections]
    left = list(range(len(sections)))
    while left:
        packed = packer.pack([sections[n].body for n in left], [budgets[n] for n in left])
        added = [_summed(sections[n], packs) for n, packs in zip(left, packed, strict=True)]
        counted = added if exact else _counted(added, packer.count)
        for number, passages in zip(left, counted, strict=True):
            found[number] = passages
        excess = {n: max(passage.tokens for passage in found[n]) - room for n in left}
        left = [n for n in left if excess[n] > 0 and budgets[n] > 1]
        for number in left:
            budgets[number] = max(1, budgets[number] - excess[number])
    return found


def _summed(section: Section, packs: Sequence[list[Piece]]) -> list[Passage]:
    """Passages with the tokens of their parts."""
    return [
        Passage(section.path, pieces, section.path_tokens + tokens_of(pieces)) for pieces in packs
    ]


def _counted(sections: Sequence[Sequence[Passage]], count: TokenCounter) -> list[list[Passage]]:
    """The same passages with the tokens of their texts."""
    texts = [text_for_embedding(each.path, each.text) for some in sections for each in some]
    sizes: Iterator[int] = map(int, count(texts))
    return [[replace(each, tokens=next(sizes)) for each in some] for some in sections]


def _tokens_add_up(count: TokenCounter) -> bool:
    """Whether texts have as many tokens joined as apart, so that one count will do.

    True of BERT's tokenizers, which read each word alone; not of those that read white space.
    """
    parts = ("4 eggs", "crème.", "(Menu)")
    sizes = dict(zip(parts, map(int, count(parts)), strict=True))
    pairs = [(a, joint, b) for joint in (*JOINTS, _PATH_JOINT) for a in parts for b in parts]
    together = count(["".join(pair) for pair in pairs])
    return all(
        int(size) == sizes[a] + sizes[b] + (joint == _PATH_JOINT)
        for size, (a, joint, b) in zip(together, pairs, strict=True)
    )
