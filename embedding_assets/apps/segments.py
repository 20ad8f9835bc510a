"""The user segments that a new app can expect: what kinds of apps its nearest neighbours are.

No table says who the users are. A segment is therefore read as those who use apps of a category on
a platform that do well, middling or badly: category x platform x tier of the click rate.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from embedding_assets.apps.rates import Posterior, Rows, Values
from embedding_assets.embedding.encoder import Vectors

TIERS = ("low", "middle", "high")
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Segment:
    """Neighbours of one category, platform and tier.

    rate: mean of their shrunk click rates by similarity; low, high: its credible interval.
    apps: their ids, nearest first. weight: their share in the similarity of all neighbours.
    """

    category: str | None
    platform: str | None
    tier: str
    rate: float
    low: float
    high: float
    apps: tuple[str, ...]
    weight: float


class Kind(NamedTuple):
    """What the apps of a segment share."""

    category: str | None
    platform: str | None
    tier: str


def tiers(rates: Values) -> Rows:
    """int64 [n], numbers in TIERS: the third of all rates that each lies in; where many rates are
    equal the middle holds them."""
    if not len(rates):
        return np.empty(0, dtype=np.int64)
    lower, upper = np.quantile(rates, [1 / 3, 2 / 3])
    lower, upper = lower * (1 - _ROUNDING), upper * (1 + _ROUNDING)
    return np.where(rates < lower, 0, np.where(rates > upper, 2, 1))


@dataclass(frozen=True)
class Evidence:
    """The known apps that segments are made of: n ids, kinds, and what is known of their rates."""

    app_ids: Sequence[str]
    kinds: Sequence[Kind]
    posterior: Posterior

    @classmethod
    def of(
        cls,
        app_ids: Sequence[str],
        categories: Iterable[str | None],
        platforms: Iterable[str | None],
        posterior: Posterior,
    ) -> "Evidence":
        """The apps, with their tiers among one another."""
        named = [TIERS[tier] for tier in tiers(posterior.mean).tolist()]
        kinds = [Kind(*each) for each in zip(categories, platforms, named, strict=True)]
        return cls(app_ids, kinds, posterior)

    def segments(self, rows: Rows, cosines: Vectors, level: float) -> tuple[Segment, ...]:
        """The segments of neighbours in the order of their weight.

        rows: int64 [k], of the neighbours, nearest first. cosines: float32 [k]; below 0 counts as
        0, and where none is above, all count alike. The interval of a segment is that of a beta
        distribution with the mean and the variance of the weighted mean of its apps' rates.
        """
        if not len(rows):
            return ()
        weights = _weights(cosines)
        groups: dict[Kind, list[int]] = {}
        for place in np.flatnonzero(weights).tolist():
            groups.setdefault(self.kinds[rows[place]], []).append(place)
        parts = np.zeros((len(groups), len(rows)))
        for part, places in zip(parts, groups.values(), strict=True):
            part[places] = weights[places]
        total = parts.sum(axis=1)
        share = parts / total[:, None]
        known = Posterior(self.posterior.a[rows], self.posterior.b[rows])
        pooled = _matched(share @ known.mean, share**2 @ known.variance)
        bounds = np.stack([pooled.mean, *pooled.interval(level)], axis=1).tolist()
        app_ids = [self.app_ids[row] for row in rows.tolist()]
        found = [
            Segment(*kind, rate, low, high, tuple(app_ids[place] for place in places), weight)
            for (kind, places), (rate, low, high), weight in zip(
                groups.items(), bounds, total.tolist(), strict=True
            )
        ]
        return tuple(sorted(found, key=lambda segment: -segment.weight))


def _weights(cosines: Vectors) -> Values:
    """float64 [n]: shares of the similarity, which sum to 1."""
    similar = np.maximum(cosines.astype(np.float64), 0)
    if not similar.any():
        similar = np.ones(len(similar))
    return np.asarray(similar / similar.sum())


def _matched(mean: Values, variance: Values) -> Posterior:
    """The beta distributions with these means and variances."""
    size = mean * (1 - mean) / variance - 1
    return Posterior(mean * size, (1 - mean) * size)
