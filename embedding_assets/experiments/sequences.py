"""Intervals for the difference between two arms that stay valid however often they are looked at.

The method is the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
2024, "Time-uniform central limit theory and asymptotic confidence sequences", Annals of Statistics
52(6), with Robbins' normal mixture as its boundary. It is applied to the average treatment effect
of a randomised stream (their section 3): the difference of two running means is, up to vanishing
terms, the running mean of one stream of n0 + n1 influence values with variance
(n0 + n1) * (s1^2 / n1 + s0^2 / n0). So the arms may have unequal and random sizes, and the clock is
the number of units in both arms.

The theory is about large samples. Two precautions keep it right in small ones, by measurement
(docs/experiments.md): the variance is never taken below the one that both arms share, which matters
when a small arm has by chance seen few of the rare large values; and before `MINIMUM_EVENTS` there
is no interval at all.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MINIMUM_EVENTS = 20
"""Events that the smaller arm must be expected to hold before an interval is shown."""

_ROUNDS = 100


@dataclass(frozen=True)
class Mixture:
    """Robbins' normal mixture boundary at level `alpha`, two-sided, with precision `rho`.

    rho counts in units and must be fixed before the first look: the boundary holds for any, and is
    narrowest around the size that it was tuned for.
    """

    alpha: float
    rho: float

    @classmethod
    def tuned(cls, alpha: float, units: float) -> Self:
        """The boundary that is narrowest when both arms together hold so many units.

        With u = units / rho the width is minimal where u = log(1 + u) - 2 log(alpha) (Howard,
        Ramdas, McAuliffe and Sekhon 2021, section 3.5); iterating that equation converges.
        """
        u = -2 * np.log(alpha)
        for _ in range(_ROUNDS):
            u = np.log1p(u) - 2 * np.log(alpha)
        return cls(alpha, float(units / u))

    def threshold(self, units: npt.ArrayLike) -> Floats:
        """How many standard errors an estimate may be off after `units`, uniformly over time."""
        u = np.asarray(units, dtype=np.float64) / self.rho
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt((1 + 1 / u) * (np.log1p(u) - 2 * np.log(self.alpha))))

    def p_values(self, z: npt.ArrayLike, units: npt.ArrayLike) -> Floats:
        """Always-valid p-values of estimates that are `z` standard errors away from the null.

        The inverse of the mixture's e-value. At most alpha exactly where |z| reaches `threshold`.
        """
        u = np.asarray(units, dtype=np.float64) / self.rho
        log_e = u / (1 + u) * np.square(np.asarray(z, dtype=np.float64)) / 2 - np.log1p(u) / 2
        return np.exp(-np.maximum(log_e, 0.0))


@dataclass(frozen=True)
class Arm:
    """What one arm has shown so far; all arrays have one shape, for many looks at once.

    n: units; mean, variance: of their values.
    """

    n: Floats
    mean: Floats
    variance: Floats


@dataclass(frozen=True)
class Interval:
    """Lower and upper bounds, infinite where nothing can be said."""

    low: Floats
    high: Floats


def standard_scores(control: Arm, variant: Arm, factor: float = 1.0) -> Floats:
    """By how many standard errors the variant's mean is above `factor` times the control's."""
    gap = variant.mean - factor * control.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(gap == 0, 0.0, gap / np.sqrt(_variance(control, variant, factor)))


def differences(control: Arm, variant: Arm, mixture: Mixture) -> Interval:
    """Where the variant's mean minus the control's lies, at all looks together with 1 - alpha."""
    with np.errstate(invalid="ignore"):
        width = mixture.threshold(control.n + variant.n) * np.sqrt(_variance(control, variant, 1.0))
    gap = variant.mean - control.mean
    known = _has_variance(control, variant)
    return Interval(np.where(known, gap - width, -np.inf), np.where(known, gap + width, np.inf))


def lifts(control: Arm, variant: Arm, mixture: Mixture) -> Interval:
    """Where the variant's mean relative to the control's, minus 1, lies: all ratios r that
    `standard_scores` at r does not exclude (Fieller 1954, with a time-uniform boundary).

    It excludes 0 exactly when `differences` does. Infinite where the control's mean is not clearly
    above 0, because a ratio then says nothing.
    """
    boundary = mixture.threshold(control.n + variant.n)
    with np.errstate(divide="ignore", invalid="ignore"):
        shared = _shared_variance(control, variant)
        own = _ratios(control, variant, boundary, (control.variance, variant.variance))
        pooled = _ratios(control, variant, boundary, (shared, shared))
    low, high = np.minimum(own.low, pooled.low), np.maximum(own.high, pooled.high)
    known = _has_variance(control, variant) & np.isfinite(low) & np.isfinite(high)
    return Interval(np.where(known, low - 1, -np.inf), np.where(known, high - 1, np.inf))


def _has_variance(control: Arm, variant: Arm) -> npt.NDArray[np.bool_]:
    return np.minimum(control.n, variant.n) >= 2


def _variance(control: Arm, variant: Arm, factor: float) -> Floats:
    """Of variant.mean - factor * control.mean; not below what the shared variance gives."""
    square = factor * factor
    own = variant.variance / variant.n + square * control.variance / control.n
    shared = _shared_variance(control, variant) * (1 / variant.n + square / control.n)
    return np.maximum(own, shared)


def _shared_variance(control: Arm, variant: Arm) -> Floats:
    total = control.n * control.variance + variant.n * variant.variance
    return np.asarray(total / (control.n + variant.n))


def _ratios(
    control: Arm, variant: Arm, boundary: Floats, variances: tuple[Floats, Floats]
) -> Interval:
    """The r with (m1 - r m0)^2 <= boundary^2 (v1 / n1 + r^2 v0 / n0): between two roots."""
    square = np.square(boundary)
    a = np.square(control.mean) - square * variances[0] / control.n
    b = control.mean * variant.mean
    c = np.square(variant.mean) - square * variances[1] / variant.n
    root = np.sqrt(np.maximum(np.square(b) - a * c, 0.0))
    bounded = (a > 0) & (control.mean > 0)
    low = np.where(bounded, (b - root) / a, -np.inf)
    return Interval(low, np.where(bounded, (b + root) / a, np.inf))
