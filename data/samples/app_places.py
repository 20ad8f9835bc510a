"""Apps, and where they lie: near their category and their theme, which their names tell."""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Vectors: TypeAlias = npt.NDArray[np.float32]
Numbers: TypeAlias = npt.NDArray[np.int64]

VOCABULARY = Path(__file__).with_name("apps.json")
PLATFORMS = ("android", "ios", "web", "desktop")
PLATFORM_WEIGHTS = (0.5, 0.36, 0.1, 0.04)
ENDINGS = ("", "", "", " Pro", " Lite", " 2", " Plus", " Go", ": Free", " Deluxe")
# Numbers of the ids, as many digits as in APP_29786.
SMALLEST_SPACE = 100_000

PLACE_DIMENSIONS = 24
THEME_SPREAD, OWN_SPREAD, PLATFORM_SPREAD = 0.7, 0.7, 0.25
# By version: dimensions, and the length of the noise where a category's place has length 1.
VERSIONS = {"v1": (64, 1.8), "v2": (128, 1.2)}


@dataclass(frozen=True)
class Theme:
    """What apps of one kind are called. category: its number."""

    category: int
    category_name: str
    weight: float
    first_words: tuple[str, ...]
    last_words: tuple[str, ...]


@dataclass(frozen=True)
class Apps:
    """One entry for each app: its id, name, theme and platform, the latter two by number."""

    ids: list[str]
    names: list[str]
    themes: Numbers
    platforms: Numbers

    @property
    def categories(self) -> Numbers:
        """The number of each app's category."""
        of_theme = np.array([theme.category for theme in themes()])
        categories: Numbers = of_theme[self.themes]
        return categories


@functools.cache
def themes() -> tuple[Theme, ...]:
    """All themes, those of a category side by side."""
    vocabulary: dict[str, Any] = json.loads(VOCABULARY.read_text(encoding="utf-8"))
    return tuple(
        Theme(number, name, category["weight"], tuple(first), tuple(last))
        for number, (name, category) in enumerate(vocabulary.items())
        for first, last in category["themes"].values()
    )


def seeded(seed: int, purpose: str) -> np.random.Generator:
    """Numbers of their own for each purpose, so that one file does not change with another."""
    return np.random.default_rng([seed, *purpose.encode()])


def make_apps(count: int, seed: int) -> Apps:
    """`count` apps with ids of their own; names may be the same."""
    rng = seeded(seed, "apps")
    weights = np.array([theme.weight for theme in themes()])
    chosen = rng.choice(len(weights), count, p=weights / weights.sum())
    platforms = rng.choice(len(PLATFORMS), count, p=PLATFORM_WEIGHTS)
    space = max(SMALLEST_SPACE, 10 * count)
    ids = [f"APP_{number:05d}" for number in rng.choice(space, count, replace=False)]
    return Apps(ids, _names(chosen, rng), chosen, platforms)


def _names(chosen: Numbers, rng: np.random.Generator) -> list[str]:
    drawn = rng.integers(0, 2**31, (len(chosen), 3))
    names = []
    for theme, (first, last, ending) in zip(chosen, drawn, strict=True):
        words = themes()[theme]
        names.append(_pick(words.first_words, first) + " " + _pick(words.last_words, last))
        names[-1] += _pick(ENDINGS, ending)
    return names


def _pick(words: Sequence[str], number: int) -> str:
    return words[number % len(words)]


def _places(apps: Apps, seed: int) -> Floats:
    """Where each app really lies: its category's place, its theme's beside it, its own beside that.

    The same for all versions, and for equal seeds whatever the number of apps.
    """
    fixed, own = seeded(seed, "places"), seeded(seed, "own places")
    of_category = _directions(fixed, 1 + max(theme.category for theme in themes()))
    of_theme = _directions(fixed, len(themes()))
    of_platform = _directions(fixed, len(PLATFORMS))
    return (
        of_category[apps.categories]
        + THEME_SPREAD * of_theme[apps.themes]
        + PLATFORM_SPREAD * of_platform[apps.platforms]
        + OWN_SPREAD * _gaussian(own, len(apps.ids), PLACE_DIMENSIONS)
    )


def _directions(rng: np.random.Generator, count: int) -> Floats:
    found = rng.standard_normal((count, PLACE_DIMENSIONS))
    directions: Floats = found / np.linalg.norm(found, axis=1, keepdims=True)
    return directions


def _gaussian(rng: np.random.Generator, count: int, dimensions: int) -> Floats:
    """Rows of length about 1."""
    return rng.standard_normal((count, dimensions)) / np.sqrt(dimensions)


def make_vectors(apps: Apps, version: str, seed: int) -> Vectors:
    """The apps' places, turned into the version's space, with its noise: float32 [n, d]."""
    dimensions, noise = VERSIONS[version]
    rng = seeded(seed, version)
    turn, _ = np.linalg.qr(rng.standard_normal((dimensions, PLACE_DIMENSIONS)))
    vectors = _places(apps, seed) @ turn.T
    vectors += noise * _gaussian(rng, len(apps.ids), dimensions)
    return vectors.astype(np.float32)
