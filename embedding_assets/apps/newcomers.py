"""Which way places new apps best among the vectors of known ones: measured on known apps that were
held out."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from embedding_assets.apps.metadata import AppQuery
from embedding_assets.apps.placing import Known, Projection, Weights, project, unit
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.cells import Rows
from embedding_assets.search.exact import nearest

Encode: TypeAlias = Callable[[Sequence[str]], Vectors]
_Way: TypeAlias = tuple[str, Any]

NEWCOMER_CODE = "1"
"""Changes whenever the same apps would be placed elsewhere."""
PROJECTION, NEIGHBOURS = "projection", "neighbours"
TOP = 20
_MOST_FITTED = 20_000
_MOST_MEASURED = 5_000
_FOLDS = 5
_QUERIES_PER_FOLD = 300
_PENALTIES = (0.1, 1.0, 10.0, 100.0)
_WEIGHTS = [Weights(*each) for each in product((3.0, 8.0), (0.5, 2.0), (1.0, 4.0, 12.0, 30.0))]
_CERTAIN = 50.0
"""As a weight: only what has it counts, unless nothing has."""


@dataclass(frozen=True)
class Figures:
    """How well new apps are placed.

    recall: of the true 20 nearest apps, the share that is found; cosine: to the true vector; means
    over apps that were held out.
    """

    recall: float
    cosine: float


@dataclass(frozen=True)
class Placing:
    """The chosen way to place new apps, and what it was chosen by.

    method: `projection` or `neighbours`. figures: of both, and of the baselines `category_mean`
    and `random`; none where there were too few apps. apps: that were held out; among: how many
    their neighbours were looked up of. weights: of the neighbours. penalty: of the projection.
    """

    method: str
    figures: dict[str, Figures]
    apps: int
    among: int
    weights: Weights
    penalty: float


@dataclass(frozen=True)
class Newcomers:
    """How new apps are placed in a version of the vectors.

    listed: those of a category that known apps have; unlisted: all others.
    text_model: fingerprint of what reads the texts for the projection.
    """

    listed: Placing
    unlisted: Placing
    text_model: str

    def of(self, *, is_listed: bool) -> Placing:
        """The placing of apps whose category is known, or is not."""
        return self.listed if is_listed else self.unlisted


def fit(known: Known, encode: Encode, text_model: str) -> tuple[Newcomers, Projection | None]:
    """The ways to place new apps among `known` that cross-validation finds best, and the projection
    fitted on all of them where one is used.

    Ridge regression from the vector of the labelled text to the app's vector, against the mean of
    the apps that share metadata. Bounded: at most 1,500 of 5,000 apps are held out in 5 folds, at
    most 20,000 fitted, drawn evenly. The penalty and the weights are those of the best of a few,
    so that their figures lean to the good side by as much as choosing gives.
    """
    rows = _drawn(known, _MOST_FITTED)
    apps = [known.metadata.app(row) for row in rows.tolist()]
    texts = encode([app.text for app in apps])
    folds = _folds(known, rows, apps)
    listed, unlisted = _Measured(), _Measured()
    for fold in folds:
        fold.measure(listed, texts, texts[fold.held])
        blind = [replace(app, category=None) for app in fold.apps]
        hidden = replace(fold, apps=blind)
        hidden.measure(unlisted, texts, encode([app.text for app in blind]))
    newcomers = Newcomers(listed.placing(), unlisted.placing(), text_model)
    used = [each for each in (newcomers.listed, newcomers.unlisted) if each.method == PROJECTION]
    if not used:
        return newcomers, None
    # The penalty hardly matters: one projection serves both.
    return newcomers, project(texts, np.asarray(known.vectors[rows]), [used[0].penalty])[0]


@dataclass
class _Measured:
    """Recall and cosine of each app that was held out, by way of placing; filled fold by fold."""

    found: dict[_Way, list[Vectors]] = field(default_factory=dict)
    among: int = 0

    def placing(self) -> Placing:
        """The best way, by recall, then by cosine; neighbours where nothing was measured."""
        means = {way: np.concatenate(each, axis=1).mean(axis=1) for way, each in self.found.items()}
        best: dict[str, _Way] = {}
        for way in means:
            name = way[0]
            if name not in best or tuple(means[way]) > tuple(means[best[name]]):
                best[name] = way
        figures = {
            name: Figures(*(round(float(value), 4) for value in means[way]))
            for name, way in best.items()
        }
        ranked = [name for name in (NEIGHBOURS, PROJECTION) if name in figures]
        return Placing(
            max(ranked, key=lambda name: tuple(means[best[name]]), default=NEIGHBOURS),
            figures,
            apps=sum(each.shape[1] for each in self.found.get(("random", None), [])),
            among=self.among,
            weights=best[NEIGHBOURS][1] if figures else _WEIGHTS[0],
            penalty=best[PROJECTION][1] if figures else _PENALTIES[0],
        )


@dataclass(frozen=True)
class _Fold:
    """Apps that were held out, and the others, which they are placed among.

    held, rest: rows of the texts. apps: what is told of the held-out ones. truth: int64 [q, 20],
    the nearest of the others to each.
    """

    pool: Known
    vectors: Vectors
    held: Rows
    rest: Rows
    apps: list[AppQuery]
    truth: Rows

    def measure(self, measured: _Measured, texts: Vectors, held_texts: Vectors) -> None:
        """Add the figures of each way of placing the held-out apps."""
        measured.among = len(self.rest)
        for way, placed in self._ways(texts[self.rest], held_texts):
            measured.found.setdefault(way, []).append(self._scores(placed))

    def _ways(self, texts: Vectors, held_texts: Vectors) -> Iterator[tuple[_Way, Vectors]]:
        """Each way with the vectors it gives the held-out apps, float32 [q, d]."""
        fitted = project(texts, self.pool.vectors, _PENALTIES)
        for penalty, projection in zip(_PENALTIES, fitted, strict=True):
            yield (PROJECTION, penalty), projection.apply(held_texts)
        parts = np.stack([self.pool.metadata.parts(app) for app in self.apps], axis=1)
        for weights in _WEIGHTS:
            yield (NEIGHBOURS, weights), self._mean(weights.closeness(parts))
        yield ("category_mean", None), self._mean(_CERTAIN * parts[0])
        drawn = np.random.default_rng(0).integers(len(self.rest), size=len(self.held))
        yield ("random", None), self.pool.vectors[drawn]

    def _scores(self, placed: Vectors) -> Vectors:
        """float32 [2, q]: recall of the true neighbours and cosine to the true vector."""
        found = nearest(placed, self.pool.vectors, self.truth.shape[1]).rows
        hits = (found[:, :, None] == self.truth[:, None, :]).any(axis=2).mean(axis=1)
        cosines = (placed * self.vectors).sum(axis=1)
        return np.stack([hits, cosines]).astype(np.float32)

    def _mean(self, closeness: Vectors) -> Vectors:
        shares = np.exp(closeness - closeness.max(axis=1, keepdims=True)).astype(np.float32)
        return unit(shares @ self.pool.vectors)


def _folds(known: Known, rows: Rows, apps: list[AppQuery]) -> Iterator[_Fold]:
    """At most 5,000 of the apps in `rows` in folds, in each of which at most 300 are held out."""
    order = np.random.default_rng(0).permutation(len(rows))[:_MOST_MEASURED]
    for part in np.array_split(order, min(_FOLDS, len(order)) or 1):
        # Only apps with a name can be placed by either way.
        named = [row for row in part.tolist() if apps[row].name]
        held = np.array((named or part.tolist())[:_QUERIES_PER_FOLD], dtype=np.int64)
        rest = np.setdiff1d(order, part)
        if not len(rest):
            return
        pool, vectors = known.take(rows[rest]), np.asarray(known.vectors[rows[held]])
        truth = nearest(vectors, pool.vectors, TOP).rows
        yield _Fold(pool, vectors, held, rest, [apps[row] for row in held.tolist()], truth)


def _drawn(known: Known, most: int) -> Rows:
    """Rows of apps with metadata, at most so many, drawn evenly; ascending."""
    told = [row for row in range(len(known.vectors)) if known.metadata.app(row).text]
    rows = np.array(told, dtype=np.int64)
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
