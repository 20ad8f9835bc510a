"""What is known of an app beside its vector: name, category, platform, and what two apps share."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError
from embedding_assets.search.analyzer import STOP_WORDS, terms, words
from embedding_assets.search.postings import count

Mask: TypeAlias = npt.NDArray[np.bool_]
_LABELS = ("name", "category", "platform")


@dataclass(frozen=True)
class AppQuery:
    """The metadata of an app; None is unknown."""

    name: str | None = None
    category: str | None = None
    platform: str | None = None

    def __post_init__(self) -> None:
        """Blank texts are unknown."""
        for label in _LABELS:
            value = getattr(self, label)
            object.__setattr__(self, label, (value.strip() or None) if value else None)

    @property
    def text(self) -> str:
        """What the text encoder reads: each known value with its label."""
        known = ((label, getattr(self, label)) for label in _LABELS)
        return ". ".join(f"{label}: {value}" for label, value in known if value)

    def require_any(self) -> "AppQuery":
        """Itself. Raises InputError when nothing is known of it."""
        if not self.text:
            raise InputError(
                "Nothing is known of the new app.", "Give its name, category or platform."
            )
        return self


@dataclass(frozen=True)
class Labels:
    """One column of labels, compared without letter case.

    values: the distinct ones as they were first written; numbers: of each folded one.
    codes: int32 [n], the number of each row's label, -1 where it has none.
    """

    values: tuple[str, ...]
    numbers: dict[str, int]
    codes: npt.NDArray[np.int32]

    @classmethod
    def of(cls, column: Iterable[str | None]) -> "Labels":
        """The labels of a column."""
        values: list[str] = []
        numbers: dict[str, int] = {}
        codes = []
        for value in column:
            if not value:
                codes.append(-1)
                continue
            number = numbers.setdefault(fold(value), len(values))
            if number == len(values):
                values.append(value)
            codes.append(number)
        return cls(tuple(values), numbers, np.array(codes, dtype=np.int32))

    def is_one_of(self, labels: Iterable[str]) -> Mask:
        """bool [n], true where the row has one of those labels; unknown ones are nowhere."""
        known = [number for label in labels if (number := self.number(label)) is not None]
        return np.isin(self.codes, known)

    def number(self, label: str | None) -> int | None:
        """The number of a label; None when no row has it."""
        return self.numbers.get(fold(label)) if label else None

    def close_to(self, label: str) -> list[str]:
        """The labels that are spelled most like `label`; all when there are few."""
        near = get_close_matches(fold(label), self.numbers, n=3, cutoff=0.5)
        close = [self.values[self.numbers[each]] for each in near]
        return close or sorted(self.values, key=fold)[:10]


@dataclass(frozen=True)
class Names:
    """The names of n apps as weighted words, compared by the cosine of their word vectors.

    Words are stemmed and weigh as much as they are rare (TF-IDF; Salton and Buckley 1988).
    starts: int64 [terms + 1]; entries starts[t] to starts[t + 1] are those of term t.
    rows: int32 [entries]; shares: float32 [entries], of unit vectors. rarity: float32 [terms].
    """

    rows_total: int
    vocabulary: dict[str, int]
    starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    shares: npt.NDArray[np.float32]
    rarity: npt.NDArray[np.float32]

    @classmethod
    def of(cls, names: Sequence[str | None]) -> "Names":
        """The words of each name."""
        counted = count(name or "" for name in names)
        held = np.diff(counted.starts)
        rarity = np.log1p(len(names) / np.maximum(held, 1)).astype(np.float32)
        shares = np.repeat(rarity, held)
        squares = np.bincount(counted.rows, shares**2, minlength=len(names))
        shares /= np.sqrt(squares[counted.rows]).astype(np.float32)
        return cls(len(names), counted.vocabulary, counted.starts, counted.rows, shares, rarity)

    def cosines(self, name: str | None) -> Vectors:
        """float32 [n]: how much each name shares with `name`, 0 to 1."""
        found = np.zeros(self.rows_total, dtype=np.float32)
        said = set(terms(words(name or "")))
        numbers = [self.vocabulary[term] for term in said if term in self.vocabulary]
        if not numbers:
            return found
        unknown = (len(said) - len(numbers)) * float(np.log1p(self.rows_total)) ** 2
        length = np.sqrt(float((self.rarity[numbers] ** 2).sum()) + unknown)
        for number in numbers:
            here = slice(self.starts[number], self.starts[number + 1])
            found[self.rows[here]] += self.shares[here] * (self.rarity[number] / length)
        return found


@dataclass(frozen=True)
class Metadata:
    """Name, category and platform of n apps, ready to be compared."""

    shown: tuple[str | None, ...]
    names: Names
    categories: Labels
    platforms: Labels

    @classmethod
    def of(cls, apps: pa.Table) -> "Metadata":
        """The metadata in the columns `app_name`, `super_category` and `app_platform`."""
        columns = ("app_name", "super_category", "app_platform")
        names, categories, platforms = (apps[column].to_pylist() for column in columns)
        return cls(tuple(names), Names.of(names), Labels.of(categories), Labels.of(platforms))

    def take(self, rows: npt.NDArray[np.int64]) -> "Metadata":
        """The metadata of some apps, as if there were no others."""
        apps = [self.app(row) for row in rows.tolist()]
        names = tuple(app.name for app in apps)
        categories = Labels.of(app.category for app in apps)
        return Metadata(names, Names.of(names), categories, Labels.of(a.platform for a in apps))

    def parts(self, app: AppQuery) -> Vectors:
        """float32 [3, n]: whether each app shares the category and the platform, and the cosine of
        the names."""
        found = np.zeros((3, len(self.shown)), dtype=np.float32)
        for row, labels, label in (
            (0, self.categories, app.category),
            (1, self.platforms, app.platform),
        ):
            number = labels.number(label)
            if number is not None:
                found[row] = labels.codes == number
        found[2] = self.names.cosines(app.name)
        return found

    def app(self, row: int) -> AppQuery:
        """What is known of one app."""
        category, platform = self.categories.codes[row], self.platforms.codes[row]
        return AppQuery(
            self.shown[row],
            self.categories.values[category] if category >= 0 else None,
            self.platforms.values[platform] if platform >= 0 else None,
        )


def shared(one: AppQuery, other: AppQuery) -> tuple[str, ...]:
    """What two apps share, in words for people."""
    reasons = []
    if one.category and other.category and fold(one.category) == fold(other.category):
        reasons.append(f"same category {other.category}")
    if one.platform and other.platform and fold(one.platform) == fold(other.platform):
        reasons.append(f"same platform {other.platform}")
    if both := _shared_words(one.name, other.name):
        reasons.append("name shares " + ", ".join(f"'{word}'" for word in both))
    return tuple(reasons)


def fold(label: str) -> str:
    """A label as it is compared: without letter case and outer white space."""
    return label.strip().casefold()


def _shared_words(one: str | None, other: str | None) -> list[str]:
    """The words of `other` that are in `one` too, stems compared; stop words are no news."""
    mine = {term for _, term in _telling(one)}
    return [word for word, term in _telling(other) if term in mine]


@lru_cache(maxsize=100_000)
def _telling(name: str | None) -> tuple[tuple[str, str], ...]:
    """The words of a name that are no stop words, each once and with its stem."""
    found = [word for word in dict.fromkeys(words(name or "")) if word not in STOP_WORDS]
    return tuple(zip(found, terms(found), strict=True))
