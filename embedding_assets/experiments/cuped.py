"""Less noise in a metric, by what was known of the units before the experiment."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Self

import numpy as np
import numpy.typing as npt

from embedding_assets.experiments.samples import Sample

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Running moments of units' values y and of their covariate x; two of them add up.

    yy, xx, xy: sums of squares and products about the means (Chan, Golub and LeVeque 1983: no
    digits are lost however large the means are).
    """

    n: int = 0
    y: float = 0.0
    x: float = 0.0
    yy: float = 0.0
    xx: float = 0.0
    xy: float = 0.0
    nonzero: int = 0

    @classmethod
    def of(cls, values: Floats, covariates: Floats | None = None) -> Self:
        """The moments of units; without covariates their x is 0."""
        if not len(values):
            return cls()
        known = np.zeros(len(values)) if covariates is None else covariates
        y, x = values - values.mean(), known - known.mean()
        return cls(
            len(values),
            float(values.mean()),
            float(known.mean()),
            float(y @ y),
            float(x @ x),
            float(x @ y),
            int(np.count_nonzero(values)),
        )

    def __add__(self, other: "Moments") -> "Moments":
        n = self.n + other.n
        if not n:
            return self
        dy, dx = other.y - self.y, other.x - self.x
        weight = self.n * other.n / n
        return Moments(
            n,
            self.y + dy * other.n / n,
            self.x + dx * other.n / n,
            self.yy + other.yy + dy * dy * weight,
            self.xx + other.xx + dx * dx * weight,
            self.xy + other.xy + dx * dy * weight,
            self.nonzero + other.nonzero,
        )


@dataclass(frozen=True)
class Observed:
    """What one arm has shown: units whose covariate is known, and units without (new ones)."""

    known: Moments
    unknown: Moments = Moments()

    @classmethod
    def of(cls, values: Floats, covariates: Floats) -> Self:
        """Of units' values and covariates, NaN where a unit has none."""
        has = np.isfinite(covariates)
        return cls(Moments.of(values[has], covariates[has]), Moments.of(values[~has]))

    def __add__(self, other: "Observed") -> "Observed":
        return Observed(self.known + other.known, self.unknown + other.unknown)


@dataclass(frozen=True)
class Adjusted:
    """The arms with their covariate taken out.

    theta: the slope that was used; reduction: the share of variance that it took away; missing: the
    share of units without covariate.
    """

    samples: dict[str, Sample]
    theta: float
    reduction: float
    missing: float


def adjust(arms: Mapping[str, Observed]) -> Adjusted:
    """The arms' samples of y - theta (x - mean of x), with one theta for all arms.

    Deng, Xu, Kohavi and Walker 2013, "Improving the sensitivity of online controlled experiments by
    utilizing pre-experiment data" (CUPED). theta is the slope within arms, pooled over them. A unit
    without covariate counts with the mean of the others, so nothing is taken from its value.

    The difference of adjusted means estimates the same effect, because x is from before the
    assignment and so has the same distribution in each arm. Asymptotic confidence sequences stay
    valid: an estimated theta changes the estimate only by a product of two vanishing terms (section
    3 of Waudby-Smith et al. 2024). A covariate that the experiment itself can change breaks this.
    """
    centre = _sum(arm.known for arm in arms.values()).x
    filled = {name: _centred(arm.known, centre) + arm.unknown for name, arm in arms.items()}
    within = [sum(getattr(arm, part) for arm in filled.values()) for part in ("yy", "xx", "xy")]
    yy, xx, xy = within
    theta = xy / xx if xx > 0 else 0.0
    units = sum(arm.n for arm in filled.values())
    return Adjusted(
        samples={name: _without(arm, theta) for name, arm in filled.items()},
        theta=theta,
        reduction=theta * xy / yy if yy > 0 else 0.0,
        missing=sum(arm.unknown.n for arm in arms.values()) / max(units, 1),
    )


def _sum(moments: Iterable[Moments]) -> Moments:
    return reduce(add, moments, Moments())


def _centred(known: Moments, centre: float) -> Moments:
    return replace(known, x=known.x - centre) if known.n else known


def _without(arm: Moments, theta: float) -> Sample:
    squares = arm.yy - 2 * theta * arm.xy + theta * theta * arm.xx
    variance = max(squares, 0.0) / (arm.n - 1) if arm.n > 1 else 0.0
    return Sample(arm.n, arm.y - theta * arm.x, variance, arm.nonzero)
