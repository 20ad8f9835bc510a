"""Texts and tables in pieces of at most so many tokens, cut where a reader would pause."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from embedding_assets.embedding.encoder import Counts

TokenCounter: TypeAlias = Callable[[Sequence[str]], Counts]
"""int32 [n]: the tokens of each of n texts, as `Encoder.count_tokens` gives them."""

Counted: TypeAlias = tuple[str, int]
"""A text and its tokens."""

BORDERS = (
    re.compile(r"\n\s*\n\s*"),
    re.compile(r"(?<=[.!?…])[\"'”’»)\]]*\s+(?![\sa-z])|(?<=[。！？])"),
    re.compile(r"\n\s*"),
    re.compile(r"\s+"),
)
"""Where a text may be cut, the best first: paragraphs, sentences, lines, words."""
_RULE = re.compile(r"\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?")


def split_texts(
    texts: Sequence[Counted], budgets: Sequence[int], count: TokenCounter
) -> list[list[Counted]]:
    """Each text in pieces of at most its budget of tokens: stretches of it, in order.

    Cut at the best border that leaves pieces small enough, and then filled up from the first on;
    between the characters of a word only where a word alone is too long. Nothing but white space
    between the pieces is left out.
    """
    atoms = _atoms(texts, budgets, count)
    pieces = [_filled(some, budget) for some, budget in zip(atoms, budgets, strict=True)]
    glued = [piece.text for some in pieces for piece in some if piece.tokens is None]
    sizes: Iterator[int] = map(int, count(glued)) if glued else iter(())
    return [
        [(piece.text, next(sizes) if piece.tokens is None else piece.tokens) for piece in some]
        for some in pieces
    ]


def split_table(markdown: str, count: TokenCounter, budget: int) -> list[Counted]:
    """A Markdown table in tables of at most `budget` tokens, cut between rows.

    Each has the header row, unless that alone takes half of the budget; only a row that is too
    long by itself is cut within.
    """
    lines = markdown.split("\n")
    head = 2 if len(lines) > 2 and _RULE.fullmatch(lines[1].strip()) else 0
    header = "\n".join(lines[:head])
    header_tokens, *sizes = (int(tokens) for tokens in count([header, *lines[head:]]))
    if header_tokens > budget // 2:
        return split_texts([(markdown, header_tokens + sum(sizes))], [budget], count)[0]
    room = budget - header_tokens
    lines_cut = split_texts(list(zip(lines[head:], sizes, strict=True)), [room] * len(sizes), count)
    rows = [row for pieces in lines_cut for row in pieces]
    opening = f"{header}\n" if header else ""
    return [
        (opening + "\n".join(row for row, _ in part), header_tokens + sum(n for _, n in part))
        for part in _together(rows, room)
    ]


@dataclass(frozen=True)
class _Piece:
    """tokens: None where the parts that it was put together from share a word."""

    text: str
    tokens: int | None


def _filled(atoms: Sequence[Counted], budget: int) -> list[_Piece]:
    """Neighbouring stretches of a text put together again as far as the budget goes."""
    pieces = []
    for part in _together(atoms, budget):
        text = "".join(stretch for stretch, _ in part).strip()
        apart = all(stretch[-1].isspace() for stretch, _ in part[:-1])
        pieces.append(_Piece(text, sum(tokens for _, tokens in part) if apart else None))
    return [piece for piece in pieces if piece.text]


def _together(parts: Sequence[Counted], budget: int) -> list[list[Counted]]:
    """`parts` in runs within the budget, each as long as can be; single parts may exceed it."""
    runs: list[list[Counted]] = []
    used = 0
    for part in parts:
        if not runs or used + part[1] > budget:
            runs.append([])
            used = 0
        runs[-1].append(part)
        used += part[1]
    return runs


def _atoms(
    texts: Sequence[Counted], budgets: Sequence[int], count: TokenCounter
) -> list[list[Counted]]:
    """Each text in stretches within its budget that together are all of it.

    All texts are cut one level deeper at a time, because counting many texts at once is quick.
    """
    cuts = [
        _cut(text) if tokens > budget and len(text) > 1 else []
        for (text, tokens), budget in zip(texts, budgets, strict=True)
    ]
    parts = [part for cut in cuts for part in cut]
    if not parts:
        return [[text] for text in texts]
    counted = [(part, int(size)) for part, size in zip(parts, count(parts), strict=True)]
    inherited = [budget for cut, budget in zip(cuts, budgets, strict=True) for _ in cut]
    below = iter(_atoms(counted, inherited, count))
    return [
        [atom for _ in cut for atom in next(below)] if cut else [text]
        for text, cut in zip(texts, cuts, strict=True)
    ]


def _cut(text: str) -> list[str]:
    """`text` cut after each border of the best kind that it has, or in the middle."""
    for border in BORDERS:
        ends = [match.end() for match in border.finditer(text)]
        parts = [text[start:end] for start, end in pairwise([0, *ends, len(text)]) if start < end]
        if len(parts) > 1:
            return parts
    return [text[: len(text) // 2], text[len(text) // 2 :]]
