"""Click rates of apps, shrunk towards the rate of their category, and that towards the overall one.

The rates of the apps of a category are taken to follow a beta distribution, so that an app with
few impressions is expected to be like its category, and one with many to be as it was observed
(empirical Bayes; Morris 1983, JASA 78). The spread of the rates is fitted by moments: Kleinman
1973 (JASA 68), with the weights of Williams 1982 (Applied Statistics 31).
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]

_ROUNDS = 50
_SETTLED = 1e-9
_MOST_SPREAD = 0.99
_EDGE = 1e-12
"""A rate nearer to 0 or 1 has no logarithm that says anything."""


@dataclass(frozen=True)
class Posterior:
    """What is known of n rates: beta distributions with the parameters a and b, float64 [n]."""

    a: Values
    b: Values

    @property
    def mean(self) -> Values:
        """float64 [n]: the shrunk rates."""
        return self.a / (self.a + self.b)

    @property
    def variance(self) -> Values:
        """float64 [n]: how uncertain each is."""
        return self.mean * (1 - self.mean) / (self.a + self.b + 1)

    def interval(self, level: float) -> tuple[Values, Values]:
        """float64 [n] twice: the bounds between which each lies with the probability `level`."""
        from scipy.special import betaincinv

        tail = (1 - level) / 2
        return betaincinv(self.a, self.b, tail), betaincinv(self.a, self.b, 1 - tail)


@dataclass(frozen=True)
class RatePrior:
    """What is expected of an app's click rate before its own clicks are looked at.

    Concentrations count in impressions: as many are needed until an app's own clicks weigh as much
    as what is expected of it.

    overall: the rate of all apps; overall_concentration: of their rates around it.
    categories: float64 [c], rate of each category; concentration: of the rates of its apps.
    """

    overall: float
    overall_concentration: float
    categories: Values
    concentration: float

    def expected(self, category: Rows) -> Values:
        """float64 [n]: rate of each category; the overall one where the number is -1."""
        return self._of(category, self.categories, self.overall)

    def concentrations(self, category: Rows) -> Values:
        """float64 [n]: the concentration around the expected rate."""
        each = np.full(len(self.categories), self.concentration)
        return self._of(category, each, self.overall_concentration)

    def posterior(self, clicks: Rows, impressions: Rows, category: Rows) -> Posterior:
        """The rates of n apps by their own clicks and what is expected of their categories.

        clicks, impressions: int64 [n], may be 0. category: int64 [n], numbers, -1 for none.
        """
        expected, weight = self.expected(category), self.concentrations(category)
        missed = impressions - clicks
        return Posterior(expected * weight + clicks, (1 - expected) * weight + missed)

    def reliability(self, impressions: Rows, category: Rows) -> Values:
        """float64 [n]: the share of each shrunk rate that comes from the app's own clicks."""
        return impressions / (impressions + self.concentrations(category))

    def margin(self, impressions: Rows, level: float) -> float:
        """How far the logarithm of the odds of the overall rate may be off at that level, when it
        was learnt from apps with these impressions (delta method)."""
        weight = _effective(impressions, 1 / (self.overall_concentration + 1)).sum()
        error = (weight * self.overall * (1 - self.overall)) ** -0.5
        return float(error) * NormalDist().inv_cdf((1 + level) / 2)

    @staticmethod
    def _of(category: Rows, values: Values, otherwise: float) -> Values:
        return np.append(values, otherwise)[category]


def fit_prior(clicks: Rows, impressions: Rows, category: Rows, categories: int) -> RatePrior:
    """What n apps let expect of others.

    Apps without impressions say nothing. Where nobody has any, all rates are expected as Jeffreys'
    prior has it (Beta(1/2, 1/2)); where nobody or everybody clicked, the overall rate is what that
    prior makes of it, so that it is never 0 or 1. Where rates differ no more than chance lets
    them, the concentration is the number of all impressions: more cannot be told from them.

    clicks, impressions: int64 [n]. category: int64 [n], numbers below `categories`, -1 for none.
    """
    seen = impressions > 0
    if not seen.any():
        return RatePrior(0.5, 1.0, np.full(categories, 0.5), 1.0)
    trials = impressions[seen].astype(np.float64)
    rates, groups = clicks[seen] / trials, category[seen]
    spread = _overdispersion(rates, trials, np.zeros(len(rates), dtype=np.int64)) or 0.0
    weight = _effective(trials, spread)
    least = 0.5 / (weight.sum() + 1)
    overall = float(np.clip(weight @ rates / weight.sum(), least, 1 - least))
    around = _concentration(spread, trials)
    inside = groups >= 0
    within = _overdispersion(rates[inside], trials[inside], groups[inside])
    spread = spread if within is None else within
    weight = _effective(trials, spread)[inside]
    totals = np.bincount(groups[inside], weight, categories).astype(np.float64)
    hits = np.bincount(groups[inside], weight * rates[inside], categories).astype(np.float64)
    named = _shrunk(hits, totals, overall)
    return RatePrior(overall, around, named, _concentration(spread, trials))


def log_loss(clicks: Rows, impressions: Rows, rate: Values, concentration: Values) -> Values:
    """How surprising the clicks of apps are, given expected rates: -ln of their probability.

    The clicks follow a beta-binomial distribution, so that an app with a million impressions does
    not outweigh all others. All broadcast together; the result has that shape.
    """
    from scipy.special import betaln, gammaln

    rate = np.clip(rate, _EDGE, 1 - _EDGE)
    a, b, missed = rate * concentration, (1 - rate) * concentration, impressions - clicks
    ways = gammaln(impressions + 1) - gammaln(clicks + 1) - gammaln(missed + 1)
    loss: Values = betaln(a, b) - betaln(a + clicks, b + missed) - ways
    return loss


def logit(rate: Values) -> Values:
    """The logarithm of the odds of each rate."""
    rate = np.clip(rate, _EDGE, 1 - _EDGE)
    return np.log(rate) - np.log1p(-rate)


def from_logit(value: Values) -> Values:
    """The rate with that logarithm of the odds."""
    from scipy.special import expit

    rate: Values = expit(value)
    return rate


def _shrunk(hits: Values, weight: Values, overall: float) -> Values:
    """The rates of categories, drawn to the overall one as far as they differ by chance."""
    known = weight > 0
    rates = hits[known] / weight[known]
    spread = _overdispersion(rates, weight[known], np.zeros(len(rates), dtype=np.int64))
    concentration = _concentration(spread or 0.0, weight[known])
    return (hits + concentration * overall) / (weight + concentration)


def _concentration(spread: float, trials: Values) -> float:
    return float(min(1 / max(spread, _EDGE) - 1, max(trials.sum(), 1.0)))


def _effective(trials: Values | Rows, spread: float) -> Values:
    """How many independent trials as many say as much, when those of one app are alike."""
    return np.asarray(trials / (1 + spread * (trials - 1)))


def _overdispersion(rates: Values, trials: Values, groups: Rows) -> float | None:
    """How far rates within groups differ beyond chance: the correlation of two trials of one app,
    0 to 0.99; None when no group has two apps, or none more than one trial."""
    spread = 0.0
    for _ in range(_ROUNDS):
        weight = _effective(trials, spread)
        total = np.bincount(groups, weight)
        centre = (np.bincount(groups, weight * rates) / np.maximum(total, _EDGE))[groups]
        share = weight * (1 - weight / total[groups])
        unit = share * centre * (1 - centre)
        by_chance, at_most = (unit / trials).sum(), unit.sum()
        if at_most - by_chance <= _EDGE * len(trials):
            return None
        found = ((weight * (rates - centre) ** 2).sum() - by_chance) / (at_most - by_chance)
        before, spread = spread, float(np.clip(found, 0.0, _MOST_SPREAD))
        if abs(spread - before) < _SETTLED:
            break
    return spread
