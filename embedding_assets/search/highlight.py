"""Where a passage says what a query says: the ranges to mark for a reader."""

import re
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TypeAlias

from embedding_assets.search.analyzer import STOP_WORDS, UNSPACED, letter, terms, words

Range: TypeAlias = tuple[int, int]

_ASCII_WORD = re.compile(r"[A-Za-z0-9]++")
_ASCII_CODE = re.compile(r"[A-Za-z0-9]++(?:[-_./][A-Za-z0-9]++)+")
_INVISIBLE = "\u00ad\u200b-\u200d\u2060\ufeff"
"""Soft hyphens and what has no width stand inside of words."""
_LONGEST_KEPT = 32
_GAP = re.compile(r"\s{0,2}|[-_./]")
"""Between two marked words that a reader takes as one phrase, and so as one mark."""


def query_terms(query: str) -> frozenset[str]:
    """What a passage is to say to be marked: the terms that keyword search looks for.

    Stop words count only in a query that has nothing else.
    """
    said = words(query)
    return frozenset(terms([word for word in said if word not in STOP_WORDS] or said))


def find_highlights(wanted: frozenset[str], text: str) -> list[Range]:
    """The ranges of `text` whose words have a stem among `wanted`, ascending, in code points.

    Neighbouring words are one range. A passage that was found by its meaning alone has none: which
    of its sentences it was would take the model's time for each of them.
    """
    if not wanted:
        return []
    found = _in_ascii(wanted, text) if text.isascii() else _in_any(wanted, text)
    return _merged(text, found)


def _in_ascii(wanted: frozenset[str], text: str) -> list[Range]:
    matches = [*_ASCII_WORD.finditer(text)]
    stems = terms([match[0].lower() for match in matches])
    found = [match.span() for match, stem in zip(matches, stems, strict=True) if stem in wanted]
    return [*found, *_codes(wanted, _ASCII_CODE, text)]


def _in_any(wanted: frozenset[str], text: str) -> list[Range]:
    """Folding changes lengths, so that each word is folded by itself."""
    found = [
        (run.start() + first, run.start() + last)
        for run in UNSPACED.finditer(text)
        for first, last in _in_run(wanted, run[0])
    ]
    spaced = UNSPACED.sub(lambda run: " " * len(run[0]), text).replace("_", "-")
    word, code = _patterns()
    found += [m.span() for m in word.finditer(spaced) if not wanted.isdisjoint(_terms_of(m[0]))]
    return [*found, *_codes(wanted, code, spaced)]


def _codes(wanted: frozenset[str], code: re.Pattern[str], text: str) -> list[Range]:
    """Words such as APP_29786 or 3.14, which are terms as a whole too."""
    joined = {term for term in wanted if not term.isalnum()}
    if not joined:
        return []
    return [m.span() for m in code.finditer(text) if not joined.isdisjoint(terms(words(m[0])))]


def _in_run(wanted: frozenset[str], run: str) -> Iterator[Range]:
    """Pairs of characters of a script without spaces; single ones only where the query has no
    pair."""
    width = 2 if any(len(term) == 2 and UNSPACED.fullmatch(term) for term in wanted) else 1
    for first in range(len(run) - width + 1):
        if any(term in wanted for term in _terms_of(run[first : first + width])[-1:]):
            yield first, first + width


def _terms_of(word: str) -> tuple[str, ...]:
    """The terms of a word, the longest last."""
    return _known_terms(word) if len(word) <= _LONGEST_KEPT else tuple(terms(words(word)))


@lru_cache(16_384)
def _known_terms(word: str) -> tuple[str, ...]:
    return tuple(terms(words(word)))


def _merged(text: str, found: Iterable[Range]) -> list[Range]:
    merged: list[Range] = []
    for first, last in sorted(found):
        if merged and (first <= merged[-1][1] or _GAP.fullmatch(text, merged[-1][1], first)):
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """A word and a joined word, of any script."""
    one = f"[{letter()[1:-1]}{_INVISIBLE}]"
    return re.compile(f"{one}++"), re.compile(f"{one}++(?:[-./]{one}++)+")
