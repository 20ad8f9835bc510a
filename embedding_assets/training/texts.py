"""What a model is adapted on: texts of a domain that belong together, some of them held out."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from embedding_assets.documents.passages import text_for_embedding
from embedding_assets.quality.pairs import Pairs, halves

TextPair: TypeAlias = tuple[str, str]
Passage: TypeAlias = tuple[tuple[str, ...], str]
"""The headings that a text stands under, the outermost first, and the text."""
HELD_OUT = 500
"""Pairs of each kind that are judged by at most."""
_HELD_OUT_OF = 10


@dataclass(frozen=True)
class TrainingTexts:
    """pairs: what is trained on. whole: the same passages as they are embedded, and the accounts'
    halves. held_out: by kind, the halves of others, to judge the result."""

    pairs: tuple[TextPair, ...]
    whole: tuple[str, ...]
    held_out: dict[str, Pairs]


def training_texts(passages: Iterable[Passage], accounts: Pairs, most: int) -> TrainingTexts:
    """The pairs of at most `most` passages and as many accounts.

    Each passage with its headings, and its first half with its second. A tenth of the passages and
    accounts is held out. Which ones depends on their own words alone: the same texts in any order
    give the same, and a new document changes little.
    """
    taken, held = _Least(most), _Least(HELD_OUT)
    for path, text in passages:
        key = _hash(text)
        (held if _is_held_out(key) else taken).add(key, (path, text))
    parted = [_is_held_out(_hash(query)) for query in accounts.queries]
    both = list(zip(accounts.queries, accounts.answers, strict=True))
    learnt = [pair for pair, is_held in zip(both, parted, strict=True) if not is_held][:most]
    judged = [pair for pair, is_held in zip(both, parted, strict=True) if is_held][:HELD_OUT]
    cut = (halves(text) for _, text in held.passages())
    chosen = taken.passages()
    return TrainingTexts(
        (*passage_pairs(chosen), *learnt),
        (
            *(text_for_embedding(*each) for each in chosen),
            *(half for pair in learnt for half in pair),
        ),
        {"documents": Pairs.of(filter(None, cut)), "accounts": Pairs.of(judged)},
    )


def passage_pairs(passages: Iterable[Passage]) -> Iterator[TextPair]:
    """(headings, passage) and (first half, second half) of each passage, as far as it has them."""
    for path, text in passages:
        if path and text.strip():
            yield " > ".join(path), text
        if cut := halves(text):
            yield cut


class _Least:
    """The passages with the least keys, each text once, whatever order they come in."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: dict[str, Passage] = {}

    def add(self, key: str, passage: Passage) -> None:
        self._kept[key] = min(self._kept.get(key, passage), passage)
        if len(self._kept) > 2 * self._most:
            self._kept = dict(heapq.nsmallest(self._most, self._kept.items()))

    def passages(self) -> list[Passage]:
        return [passage for _, passage in heapq.nsmallest(self._most, self._kept.items())]


def _is_held_out(key: str) -> bool:
    return int(key[:8], 16) % _HELD_OUT_OF == 0


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
