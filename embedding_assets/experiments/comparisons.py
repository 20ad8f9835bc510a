"""A variant beside the control: difference, lift, interval and p-value of a metric."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, isfinite
from typing import Literal

from embedding_assets.experiments.plan import ExperimentPlan, Metric
from embedding_assets.experiments.samples import Sample, expected_events
from embedding_assets.experiments.sequences import (
    MINIMUM_EVENTS,
    Interval,
    Mixture,
    differences,
    lifts,
    standard_scores,
)

Samples = Mapping[str, Mapping[str, Sample]]
"""What each variant has shown of each metric: metric, then variant."""

Bounds = tuple[float | None, float | None]

_TUNED_FOR = 10
_NOTHING = Sample(0, 0.0, 0.0)
_UNKNOWN: Bounds = (None, None)


@dataclass(frozen=True)
class Comparison:
    """One metric of one variant against another, which is mostly the control.

    difference: of the means; lift: relative to the control's, None where that is not above 0.
    low, high, lift_low, lift_high: always-valid intervals at `level`, None where nothing can be
    said yet. p_value: always-valid, and corrected for all comparisons of its family.
    is_significant: the interval leaves 0 out; is_better, is_worse: on the good or on the bad side.
    is_breached: a guard that is certainly worse than its margin allows.
    """

    metric: str
    variant: str
    control: str
    kind: Literal["rate", "mean"]
    n_control: int
    n: int
    control_mean: float
    mean: float
    difference: float
    low: float | None
    high: float | None
    lift: float | None
    lift_low: float | None
    lift_high: float | None
    level: float
    p_value: float
    is_significant: bool
    is_better: bool
    is_worse: bool
    is_breached: bool

    def is_within(self, indifference: float) -> bool:
        """The lift is certainly smaller than `indifference`, up and down."""
        if self.lift_low is None or self.lift_high is None:
            return False
        return -indifference < self.lift_low and self.lift_high < indifference


@dataclass(frozen=True)
class Point:
    """A comparison after n units of both variants."""

    n: int
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curve:
    """How a comparison with the control went on, look by look."""

    metric: str
    variant: str
    points: tuple[Point, ...]


def mixture_of(plan: ExperimentPlan, metric: Metric) -> Mixture:
    """The boundary for each comparison of `metric`.

    alpha is spent once on the primary metric, once on all guards together and once on all other
    metrics together, and within each in equal parts on the comparisons with the control
    (Bonferroni). So a false winner has a probability of at most alpha, and so has a false alarm of
    any guard. The boundary is narrowest at ten times the minimum number of units.
    """
    alpha = plan.alpha / _family_size(plan, metric)
    return Mixture.tuned(alpha, _TUNED_FOR * 2 * plan.minimum_units)


def compare(
    plan: ExperimentPlan, metric: Metric, samples: Samples, versus: tuple[str, str]
) -> Comparison:
    """The comparison of the second of the variants `versus` with the first."""
    control, variant = (samples.get(metric.name, {}).get(name, _NOTHING) for name in versus)
    mixture, events = mixture_of(plan, metric), expected_events(control, variant, metric.kind)
    is_known = events >= MINIMUM_EVENTS and min(control.n, variant.n) >= 2
    low, high = _bounds(differences(control.arm, variant.arm, mixture)) if is_known else _UNKNOWN
    lift_low, lift_high = (
        _bounds(lifts(control.arm, variant.arm, mixture)) if is_known else _UNKNOWN
    )
    is_above, is_below = low is not None and low > 0, high is not None and high < 0
    return Comparison(
        metric=metric.name,
        variant=versus[1],
        control=versus[0],
        kind=metric.kind,
        n_control=control.n,
        n=variant.n,
        control_mean=control.mean,
        mean=variant.mean,
        difference=variant.mean - control.mean,
        low=low,
        high=high,
        lift=variant.mean / control.mean - 1 if control.mean > 0 else None,
        lift_low=lift_low,
        lift_high=lift_high,
        level=1 - mixture.alpha,
        p_value=_p_value(plan, metric, control, variant) if is_known else 1.0,
        is_significant=is_above or is_below,
        is_better=is_above if metric.direction == "up" else is_below,
        is_worse=is_below if metric.direction == "up" else is_above,
        is_breached=is_known and metric.guard and _is_breached(metric, mixture, control, variant),
    )


def compare_all(plan: ExperimentPlan, samples: Samples) -> tuple[Comparison, ...]:
    """Every variant against the control, by every metric in the order of the plan."""
    return tuple(
        compare(plan, metric, samples, (plan.control.name, variant.name))
        for metric in plan.metrics
        for variant in plan.variants[1:]
    )


def curves(plan: ExperimentPlan, looks: Sequence[Samples]) -> tuple[Curve, ...]:
    """What each comparison has shown after each look; the looks' samples grow."""
    judged = [compare_all(plan, look) for look in looks]
    return tuple(
        Curve(
            of_one[0].metric,
            of_one[0].variant,
            tuple(Point(c.n_control + c.n, c.difference, c.low, c.high) for c in of_one),
        )
        for of_one in zip(*judged, strict=True)
    )


def _family_size(plan: ExperimentPlan, metric: Metric) -> int:
    others = len(plan.variants) - 1
    if metric == plan.primary:
        return others
    guards = sum(one.guard for one in plan.metrics)
    return others * (guards if metric.guard else len(plan.metrics) - guards - 1)


def _bounds(interval: Interval) -> Bounds:
    low, high = float(interval.low), float(interval.high)
    return (low, high) if isfinite(low) and isfinite(high) else _UNKNOWN


def _p_value(plan: ExperimentPlan, metric: Metric, control: Sample, variant: Sample) -> float:
    z = standard_scores(control.arm, variant.arm)
    single = mixture_of(plan, metric).p_values(z, control.n + variant.n)
    return min(1.0, float(single) * _family_size(plan, metric))


def _is_breached(metric: Metric, mixture: Mixture, control: Sample, variant: Sample) -> bool:
    """The mean is certainly beyond what the margin allows, which is relative to the control."""
    sign = 1.0 if metric.direction == "down" else -1.0
    allowed = 1 + sign * copysign(metric.margin or 0.0, control.mean)
    z = sign * float(standard_scores(control.arm, variant.arm, allowed))
    return z > float(mixture.threshold(control.n + variant.n))
