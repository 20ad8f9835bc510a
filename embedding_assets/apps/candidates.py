"""Ways to expect the click rate of an app from other apps, learnt from any part of them.

Four families: `mean` expects the overall rate of all apps, `category` that of the app's category,
`neighbours` the mean of the nearest apps by cosine, and `ridge` regresses the logarithm of the
odds on the unit vector, the category and the platform. All learn from shrunk rates, and each app
counts as much as its own clicks say: by their share in its shrunk rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from embedding_assets.apps.rates import (
    RatePrior,
    Rows,
    Values,
    fit_prior,
    from_logit,
    logit,
)
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.exact import nearest_of_each

MEAN, CATEGORY, NEIGHBOURS, RIDGE = "mean", "category", "neighbours", "ridge"
_COUNTS = (5, 10, 20, 40, 80)
_PENALTIES = tuple(10.0 ** (step / 2) for step in range(-2, 9))
REACH = 2
"""Neighbours are sought among so many times as many apps: some of those may not be looked at."""
_LEVELLING_STEPS = 4


class Setting(NamedTuple):
    """A family with its setting: the number of neighbours, or the penalty of the ridge."""

    family: str
    value: float = 0.0


SETTINGS = (
    Setting(MEAN),
    Setting(CATEGORY),
    *(Setting(NEIGHBOURS, count) for count in _COUNTS),
    *(Setting(RIDGE, penalty) for penalty in _PENALTIES),
)


@dataclass(frozen=True)
class Features:
    """What n apps are like.

    vectors: float32 [n, d], unit length. category, platform: int64 [n], numbers below
    `categories` and `platforms`, -1 for unknown.
    """

    vectors: Vectors
    category: Rows
    platform: Rows
    categories: int
    platforms: int

    def design(self) -> Values:
        """float64 [n, d + categories + platforms]: each of the three parts has a length of 1, or
        of 0 where it is unknown, so that they share one penalty."""
        return np.hstack(
            [
                self.vectors.astype(np.float64),
                np.eye(self.categories + 1)[self.category, :-1],
                np.eye(self.platforms + 1)[self.platform, :-1],
            ]
        )


@dataclass(frozen=True)
class Ridge:
    """Regressions with s penalties. coefficients: float64 [p, s]; intercepts: float64 [s]."""

    coefficients: Values
    intercepts: Values

    def expected(self, design: Values) -> Values:
        """float64 [n, s]: logarithms of the odds."""
        return design @ self.coefficients + self.intercepts


@dataclass(frozen=True)
class Lesson:
    """What some of n apps teach: what to expect of others, and how the apps themselves came out.

    rates: float64 [n], shrunk towards what the apps that were learnt from let expect. weights:
    float64 [n], the share of an app's own clicks in its rate; 0 where it was not learnt from.
    """

    prior: RatePrior
    rates: Values
    weights: Values


@dataclass(frozen=True)
class Apps:
    """n apps with impressions, from any part of which can be learnt.

    clicks, impressions: int64 [n]. folds: int64 [n], the part that each belongs to.
    """

    features: Features
    clicks: Rows
    impressions: Rows
    folds: Rows

    def learn(self, *without: int) -> Lesson:
        """What the apps of all folds but these teach."""
        learnt = ~np.isin(self.folds, without)
        category = self.features.category
        prior = fit_prior(
            self.clicks[learnt],
            self.impressions[learnt],
            category[learnt],
            self.features.categories,
        )
        rates = prior.posterior(self.clicks, self.impressions, category).mean
        return Lesson(prior, rates, learnt * prior.reliability(self.impressions, category))


@dataclass(frozen=True)
class Candidates:
    """All candidates, learnt from any part of n apps.

    near: int64 [n, m], the nearest other apps of each, best first. design: float64 [n, p].
    """

    apps: Apps
    near: Rows
    design: Values

    @classmethod
    def of(cls, apps: Apps) -> "Candidates":
        """The candidates, with all that is computed once."""
        near = neighbours_of_each(apps.features.vectors, REACH * max(_COUNTS))
        return cls(apps, near, apps.features.design())

    def expect(self, lesson: Lesson, rows: Rows) -> Values:
        """float64 [m, settings]: logarithms of the odds that a lesson lets expect of some apps, by
        each of SETTINGS."""
        prior, category = lesson.prior, self.apps.features.category[rows]
        columns = [np.full(len(rows), prior.overall), prior.expected(category)]
        columns += [near_rates(lesson, self.near[rows], count) for count in _COUNTS]
        ridge = fit_ridge(self.design, lesson, _PENALTIES)
        return np.hstack([logit(np.column_stack(columns)), ridge.expected(self.design[rows])])


def near_rates(lesson: Lesson, near: Rows, count: int) -> Values:
    """float64 [m]: the mean rate of the `count` nearest apps that were learnt from, among twice
    as many; the overall rate where there are none.

    near: int64 [m, any], positions of the nearest apps, best first; -1 for none.
    """
    near = near[:, : REACH * count]
    weights = np.where(near >= 0, lesson.weights[near], 0.0)
    weights *= np.cumsum(weights > 0, axis=1) <= count
    total = weights.sum(axis=1)
    summed = (weights * lesson.rates[near]).sum(axis=1)
    return np.where(total > 0, summed / np.where(total > 0, total, 1), lesson.prior.overall)


def fit_ridge(design: Values, lesson: Lesson, penalties: Sequence[float]) -> Ridge:
    """Weighted ridge regressions of the logarithm of the odds of a lesson's rates, by one
    factorization for all penalties (Hoerl and Kennard 1970).

    The intercept is not penalized and is set so that the mean expected rate is the mean rate: the
    mean of logarithms alone would expect too little.
    design: float64 [n, p].
    """
    learnt = lesson.weights > 0
    design, rates, weights = design[learnt], lesson.rates[learnt], lesson.weights[learnt]
    share = weights / weights.sum()
    response = logit(rates)
    centre, level = share @ design, float(share @ response)
    scaled = np.sqrt(weights)[:, None] * (design - centre)
    values, directions = np.linalg.eigh(scaled.T @ scaled)
    pull = directions.T @ (scaled.T @ (np.sqrt(weights) * (response - level)))
    kept = np.maximum(values, 0)[:, None] + np.asarray(penalties)[None, :]
    coefficients = directions @ (pull[:, None] / kept)
    expected = design @ coefficients
    intercepts = _levels(expected, share, level - centre @ coefficients, float(share @ rates))
    return Ridge(coefficients, intercepts)


def neighbours_of_each(vectors: Vectors, count: int) -> Rows:
    """int64 [n, m]: the nearest others of each, best first; m is at most n - 1."""
    found = [near.rows for _, near in nearest_of_each(vectors, count)]
    return np.concatenate(found) if found else np.empty((0, 0), dtype=np.int64)


def _levels(expected: Values, share: Values, start: Values, mean: float) -> Values:
    """float64 [s]: what to add to each column, so that its mean rate is `mean` (Newton)."""
    levels = start
    for _ in range(_LEVELLING_STEPS):
        rates = from_logit(expected + levels)
        slope = share @ (rates * (1 - rates))
        levels = levels + np.clip((mean - share @ rates) / np.maximum(slope, 1e-12), -1.0, 1.0)
    return levels
