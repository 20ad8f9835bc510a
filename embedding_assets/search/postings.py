"""Texts counted into postings: how often which text says which term, in bounded memory."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from embedding_assets.search.analyzer import STOP_WORDS, terms, words

_WORDS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Postings:
    """Terms with the texts that say them.

    vocabulary: the number of each term.
    starts: int64 [terms + 1]; entries starts[t] to starts[t + 1] are those of term t.
    rows: int32 [entries], ascending within a term; frequencies: int32 [entries], at least 1.
    lengths: int32 [texts], the words of each text that are no stop words.
    """

    vocabulary: dict[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    frequencies: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]


def count(texts: Iterable[str]) -> Postings:
    """The postings of `texts`; a text's row is its position.

    Holds about 20 bytes for each (term, text) pair while it works, and no Python object for any.
    """
    numbers = _Numbers()
    parts = [_counted(batch) for batch in _batches(texts, numbers)]
    starts, rows, frequencies = _by_term(parts, len(numbers.vocabulary))
    lengths = np.concatenate([part.lengths for part in parts])
    return Postings(numbers.vocabulary, starts, rows, frequencies, lengths)


class _Numbers(dict[str, int]):
    """The number of each word's term; of a stop word, its complement, which is negative."""

    def __init__(self) -> None:
        super().__init__()
        self.vocabulary: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        term = terms([word])[0]
        number = self.vocabulary.setdefault(term, len(self.vocabulary))
        self[word] = ~number if word in STOP_WORDS else number
        return self[word]


class _Batch(NamedTuple):
    """The words of some texts by number, how many each text has, and the first text's row."""

    found: list[int]
    counts: list[int]
    first: int


class _Part(NamedTuple):
    """The postings of one batch, ascending by term, then row."""

    terms: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    frequencies: npt.NDArray[np.int32]
    lengths: npt.NDArray[np.int32]


def _batches(texts: Iterable[str], numbers: _Numbers) -> Iterator[_Batch]:
    batch = _Batch([], [], 0)
    for text in texts:
        before = len(batch.found)
        batch.found.extend(map(numbers.__getitem__, words(text)))
        batch.counts.append(len(batch.found) - before)
        if len(batch.found) >= _WORDS_AT_ONCE:
            yield batch
            batch = _Batch([], [], batch.first + len(batch.counts))
    yield batch


def _counted(batch: _Batch) -> _Part:
    found = np.array(batch.found, dtype=np.int64)
    rows = np.repeat(np.arange(len(batch.counts)), batch.counts)
    lengths = np.bincount(rows[found >= 0], minlength=len(batch.counts))
    numbers = np.where(found < 0, ~found, found)
    pairs, frequencies = np.unique(numbers << 32 | rows + batch.first, return_counts=True)
    arrays = (pairs >> 32, pairs & 0xFFFFFFFF, frequencies, lengths)
    return _Part(*(array.astype(np.int32) for array in arrays))


def _by_term(
    parts: list[_Part], terms: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """All parts' entries side by side by term: starts, rows and frequencies.

    Parts come in the order of their rows, so a term's rows stay ascending when part after part is
    put behind what is already there: no sort over everything.
    """
    counts = [np.bincount(part.terms, minlength=terms) for part in parts]
    starts = np.concatenate(([0], np.cumsum(np.sum(counts, axis=0))))
    rows = np.empty(starts[-1], dtype=np.int32)
    frequencies = np.empty(starts[-1], dtype=np.int32)
    free = starts[:-1].copy()
    for part, here in zip(parts, counts, strict=True):
        within = np.arange(len(part.terms)) - np.repeat(np.cumsum(here) - here, here)
        places = free[part.terms] + within
        rows[places] = part.rows
        frequencies[places] = part.frequencies
        free += here
    return starts, rows, frequencies
