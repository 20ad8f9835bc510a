"""An experiment as it stands: what was stored, judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from embedding_assets.experiments import events
from embedding_assets.experiments.comparisons import Curve, Samples, curves
from embedding_assets.experiments.cuped import Moments, Observed, adjust
from embedding_assets.experiments.decision import Judgement, judge
from embedding_assets.experiments.events import Observation, Units
from embedding_assets.experiments.plan import OBSERVED_GUARDS, Experiment, ExperimentPlan
from embedding_assets.experiments.samples import Sample
from embedding_assets.experiments.store import Stored, micros

if TYPE_CHECKING:
    from sqlalchemy import Connection

_LOOKS = 50
_DAY = timedelta(days=1)

Arms = Mapping[str, Mapping[str, Observed]]
"""Metric, then variant."""


@dataclass(frozen=True)
class Analysis:
    """What may be said of an experiment at a moment.

    exposures: units by variant; waiting: those of them whose window is still open, which are not
    judged yet; curves: how the comparisons went as units came in.
    """

    experiment: Experiment
    at: datetime
    judgement: Judgement
    exposures: Mapping[str, int]
    waiting: int
    curves: tuple[Curve, ...]


def analyse(connection: "Connection", stored: Stored, now: datetime) -> Analysis:
    """Judge the units whose windows are closed, in the order of their first exposure.

    In that order the values of units are final one after the other, whatever comes later: so every
    look is a look at one and the same sequence, which always-valid statistics need.
    """
    plan = stored.plan
    closed_before = micros(now - timedelta(seconds=plan.attribution_seconds))
    counts = events.exposure_counts(connection, stored.number, closed_before)
    exposed = {
        variant.name: counts[number].units if number in counts else 0
        for number, variant in enumerate(plan.variants)
    }
    closed = sum(count.closed for count in counts.values())
    looks = list(_looks(connection, stored, closed_before, closed)) or [{}]
    service = _service_samples(plan, events.observed(connection, stored.number))
    looks[-1] = {**looks[-1], **service}
    judgement = judge(plan, looks[-1], exposed, _days(stored.experiment, now))
    waiting = sum(exposed.values()) - closed
    return Analysis(stored.experiment, now, judgement, exposed, waiting, _curves(plan, looks))


def _looks(
    connection: "Connection", stored: Stored, closed_before: int, closed: int
) -> Iterator[Samples]:
    """The samples after each of at most about fifty equal parts of the closed units."""
    step = max(1, ceil(closed / _LOOKS))
    parts = ceil(step / events.UNITS_AT_ONCE)
    arms: Arms = {}
    seen = 0
    batches = events.closed_units(connection, stored, closed_before, ceil(step / parts))
    for number, units in enumerate(batches, start=1):
        arms = _added(arms, units, stored.plan)
        seen += len(units.variants)
        if number % parts == 0 or seen == closed:
            yield _samples(arms)


def _added(arms: Arms, units: Units, plan: ExperimentPlan) -> Arms:
    added = {}
    for metric, values in units.values.items():
        of_metric = dict(arms.get(metric, {}))
        for number, variant in enumerate(plan.variants):
            mine = units.variants == number
            new = Observed.of(values[mine], units.covariates[mine])
            old = of_metric.get(variant.name, _NOTHING)
            of_metric[variant.name] = Observed(old.known + new.known, old.unknown + new.unknown)
        added[metric] = of_metric
    return added


def _samples(arms: Arms) -> Samples:
    return {metric: adjust(of_metric).samples for metric, of_metric in arms.items()}


def _service_samples(plan: ExperimentPlan, observed: Mapping[int, Observation]) -> Samples:
    """The observed guards: of each unit's first request, so that they are independent."""
    names = {metric.name for metric in plan.metrics} & set(OBSERVED_GUARDS)
    samples = {
        number: {
            "latency": Sample.of_sums(seen.requests, seen.latency, seen.latency_squares),
            "errors": Sample.of_rate(seen.requests, seen.errors),
            "empty": Sample.of_rate(seen.requests, seen.empty),
        }
        for number, seen in observed.items()
    }
    return {
        name: {plan.variants[number].name: of_one[name] for number, of_one in samples.items()}
        for name in names
    }


def _curves(plan: ExperimentPlan, looks: Sequence[Samples]) -> tuple[Curve, ...]:
    """The curves of what units did: the observed guards are known only as of now."""
    return tuple(
        replace(one, points=tuple(point for point in one.points if point.n))
        for one in curves(plan, looks)
        if one.metric not in OBSERVED_GUARDS
    )


def _days(experiment: Experiment, now: datetime) -> float:
    if experiment.started is None:
        return 0.0
    return ((experiment.ended or now) - experiment.started) / _DAY


_NOTHING = Observed(Moments())
