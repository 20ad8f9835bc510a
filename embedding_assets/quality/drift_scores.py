"""Whether numbers, such as the scores of answers, come from another distribution than before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embedding_assets.quality.drift import PERMUTATIONS, why_not_judged
from embedding_assets.quality.drift_exchange import Exchange, Values, p_values

_SEED = 0


@dataclass(frozen=True)
class Scores:
    """n numbers, and whose they are. values: float64 [n]."""

    units: Sequence[str]
    values: Values


@dataclass(frozen=True)
class ScoreDrift:
    """How numbers differ from those before.

    p_value: of the Kolmogorov-Smirnov distance, by exchanging units; None where nothing can be
    judged, and `reason` says why. effect: that distance, the largest difference between the shares
    of units below any one number. before, now: medians. reference, window: units. left_out: numbers
    that are not finite.
    """

    p_value: float | None
    effect: float | None
    before: float | None
    now: float | None
    reference: int
    window: int
    left_out: int = 0
    reason: str | None = None


def measure_score_drift(
    reference: Scores, window: Scores, *, permutations: int = PERMUTATIONS
) -> ScoreDrift:
    """How the numbers of `window` differ from those of `reference`; of a unit with several its
    median counts."""
    before, now = _by_unit(reference), _by_unit(window)
    left_out = sum(int((~np.isfinite(each.values)).sum()) for each in (reference, window))
    medians = _median(before), _median(now)
    counts = len(before.units), len(now.units), left_out
    if why := why_not_judged(*counts[:2]):
        return ScoreDrift(None, None, *medians, *counts, why)
    values = np.concatenate([before.values, now.values])
    order = np.argsort(values, kind="stable")
    _, unit = np.unique([*before.units, *now.units], return_inverse=True)
    is_now = np.arange(len(values)) >= len(before.units)
    chance = np.random.default_rng(_SEED)
    exchange = Exchange.of(is_now[order], unit[order], permutations, chance)
    ends = np.flatnonzero(np.diff(values[order], append=np.inf) > 0)
    below = np.abs(np.cumsum(exchange.weights, axis=1, dtype=np.float64)[:, ends])
    distances = below.max(axis=1)
    p_value = float(p_values(distances)[0])
    return ScoreDrift(p_value, float(distances[0]), *medians, *counts)


def _median(scores: Scores) -> float | None:
    return float(np.median(scores.values)) if len(scores.values) else None


def _by_unit(scores: Scores) -> Scores:
    finite = np.isfinite(scores.values)
    units, unit = np.unique(np.asarray(scores.units, dtype=str)[finite], return_inverse=True)
    order = np.lexsort((scores.values[finite], unit))
    ordered = scores.values[finite][order]
    starts = np.searchsorted(unit[order], np.arange(len(units)))
    sizes = np.diff(starts, append=len(ordered))
    middle = (ordered[starts + (sizes - 1) // 2] + ordered[starts + sizes // 2]) / 2.0
    return Scores(units.tolist(), middle if len(units) else np.empty(0))
