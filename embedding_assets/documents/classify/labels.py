"""Labelled texts: what a classifier learns from, cleaned and within bounds."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.errors import EmptyInputError, InputError

Labels: TypeAlias = npt.NDArray[np.int64]
MOST_TEXTS = 20_000
MOST_CHARACTERS = 10_000_000
TEXT_CHARACTERS = 8_000
"""What is read of one text, at most: its beginning."""
LONGEST_TEXT = 2 * TEXT_CHARACTERS
"""What is looked at for that, as white space is not counted."""
MOST_CATEGORIES = 1_000
_LONGEST_LABEL = 1_000
_HYPHENS = re.compile(r"(?<=[^\W_])[-_]+(?=[^\W_])")
_FORMS = 'A table with the columns "text" and "label", or a folder with one folder per category.'


@dataclass(frozen=True)
class LabelledRow:
    """A text and its label as they stand in a file; None where one is missing."""

    text: str | None
    label: str | None


@dataclass(frozen=True)
class Category:
    """A category by its name, and what else was said of it."""

    name: str
    description: str = ""

    @property
    def text(self) -> str:
        """What it is, in words that a model can read."""
        words = _spaced(self.name)
        text = f"{words}: {self.description}" if self.description else words
        return text[:TEXT_CHARACTERS]


@dataclass(frozen=True)
class LabelNotes:
    """What was seen in labelled texts besides what is learnt from.

    without_text: rows left out, documents that cannot be read among them. without_label: rows left
    out. repeated: rows that were there before. left_out: rows beyond what is learnt from.
    merged: other spellings of a category, by its name.
    """

    without_text: int = 0
    without_label: int = 0
    repeated: int = 0
    left_out: int = 0
    merged: dict[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledTexts:
    """n texts, each with the number of its category among k; n is 0 where there are only names.

    weights: float64 [k], for how many texts one of each category stands; 1 unless it is a sample.
    """

    categories: tuple[Category, ...]
    texts: tuple[str, ...]
    labels: Labels
    weights: npt.NDArray[np.float64]
    notes: LabelNotes = LabelNotes()

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[LabelledRow],
        described: Sequence[Category] = (),
        most: int = MOST_TEXTS,
    ) -> "LabelledTexts":
        """The texts of `rows`, at most `most` of them; rows are drawn one by one.

        Labels that differ in case, white space, or hyphens and underscores between words are one:
        spelled as among the `described` categories, else as most often. Where there are too many
        texts a fixed sample is kept, in which rare categories stay whole.

        Raises EmptyInputError when there is nothing to learn from, InputError for one category and
        for more than `MOST_CATEGORIES`.
        """
        sample = _Sample(most)
        for row in rows:
            sample.add(row)
        names = {fold(each.name): each for each in described}
        found = sample.spellings
        for key in sorted(found.keys() - names.keys()):
            names[key] = Category(_usual(found[key]))
        _require_several(names, sample)
        _require_names(names, max(names))
        keys = sorted(names)
        numbers = {key: number for number, key in enumerate(keys)}
        pairs = sorted((numbers[key], text) for key, text in sample.pairs())
        merged = {
            names[key].name: tuple(sorted(spelled.keys() - {names[key].name}))
            for key, spelled in sorted(found.items())
            if spelled.keys() - {names[key].name}
        }
        return cls(
            tuple(names[key] for key in keys),
            tuple(text for _, text in pairs),
            np.array([number for number, _ in pairs], dtype=np.int64),
            np.array([sample.weight(key) for key in keys]),
            LabelNotes(
                sample.without_text, sample.without_label, sample.repeated, sample.left_out, merged
            ),
        )

    @classmethod
    def whole(
        cls, rows: Iterable[LabelledRow], described: Sequence[Category] = ()
    ) -> "LabelledTexts":
        """Every row that has a text and a label, repeated ones too: to judge by.

        Raises InputError for more than `MOST_CATEGORIES`.
        """
        names = {fold(each.name): each for each in described}
        pairs = []
        lacking = Counter[str]()
        for row in rows:
            text, label = _clean(row)
            if not text or not fold(label):
                lacking["label" if text else "text"] += 1
                continue
            names.setdefault(fold(label), Category(label))
            _require_names(names, label)
            pairs.append((fold(label), text))
        numbers = {key: number for number, key in enumerate(names)}
        labels = np.array([numbers[key] for key, _ in pairs], dtype=np.int64)
        weights = np.ones(len(names))
        notes = LabelNotes(without_text=lacking["text"], without_label=lacking["label"])
        texts = tuple(text for _, text in pairs)
        return cls(tuple(names.values()), texts, labels, weights, notes)


def fold(label: str) -> str:
    """What is the same in all spellings of a label."""
    return _spaced(unicodedata.normalize("NFKC", label)).casefold()


def _spaced(label: str) -> str:
    """A label's words with single spaces; a sign before or behind them belongs to it."""
    return " ".join(_HYPHENS.sub(" ", label).split())


class _Sample:
    """Texts by label, bounded in number and size; the same rows give the same sample.

    Over a bound, the label with the most texts gives up the half of them with the larger hashes,
    and those of its texts that come later and would have been among them.
    """

    def __init__(self, most: int) -> None:
        self.spellings: dict[str, Counter[str]] = {}
        self.without_text = self.without_label = self.repeated = self.left_out = 0
        self._most = most
        self._kept: dict[str, dict[int, str]] = {}
        self._below: dict[str, int] = {}
        self._count = self._characters = 0

    def add(self, row: LabelledRow) -> None:
        text, label = _clean(row)
        key = fold(label)
        if not text or not key:
            self.without_text += not text
            self.without_label += bool(text) and not key
            return
        self.spellings.setdefault(key, Counter())[label] += 1
        _require_names(self.spellings, label)
        rank = int.from_bytes(
            hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest()
        )
        kept = self._kept.setdefault(key, {})
        if rank in kept:
            self.repeated += 1
        elif rank >= self._below.get(key, 2**64):
            self.left_out += 1
        else:
            kept[rank] = text
            self._count += 1
            self._characters += len(text)
            while self._count > self._most or self._characters > MOST_CHARACTERS:
                self._halve(max(self._kept, key=lambda each: len(self._kept[each])))

    def pairs(self) -> Iterable[tuple[str, str]]:
        return ((key, text) for key, kept in self._kept.items() for text in kept.values())

    def weight(self, key: str) -> float:
        """For how many different texts with that label a kept one stands: they were seen when as
        many hashes in all are expected (Bar-Yossef et al. 2002, k minimum values)."""
        return 2**64 / self._below[key] if key in self._below and key in self._kept else 1.0

    def _halve(self, key: str) -> None:
        kept = self._kept[key]
        ranks = sorted(kept)
        self._below[key] = ranks[len(ranks) // 2]
        for rank in ranks[len(ranks) // 2 :]:
            self._characters -= len(kept.pop(rank))
            self._count -= 1
            self.left_out += 1
        if not kept:
            del self._kept[key]


def _clean(row: LabelledRow) -> tuple[str, str]:
    """Text and label with single spaces; of a long text its beginning."""
    text = " ".join((row.text or "")[:LONGEST_TEXT].split())[:TEXT_CHARACTERS]
    return text, " ".join((row.label or "").split())


def _usual(spelled: Counter[str]) -> str:
    return min(spelled, key=lambda each: (-spelled[each], each))


def _require_names(names: Collection[str], label: str) -> None:
    problem = ""
    if len(label) > _LONGEST_LABEL:
        problem = f"Labels have more than {_LONGEST_LABEL:,} letters"
    elif len(names) > MOST_CATEGORIES:
        problem = f"The labels hold more than {MOST_CATEGORIES:,} different values"
    if problem:
        raise InputError(
            f"{problem}, such as {label[:80]!r}.", "Is it the right column? Name fewer categories."
        )


def _require_several(names: dict[str, Category], sample: _Sample) -> None:
    if not names:
        seen = sample.without_text + sample.without_label
        problem = "There is no labelled text and no category"
        raise EmptyInputError(
            f"{problem}: {seen} rows lack a text or a label." if seen else f"{problem}.", _FORMS
        )
    if len(names) == 1:
        [only] = names.values()
        raise InputError(
            f"There is only one category, {only.name!r}: nothing can be told apart.",
            "Label texts of another one too, or describe several categories.",
        )
