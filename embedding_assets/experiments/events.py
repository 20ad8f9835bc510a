"""What happens in experiments, in the database: exposures, outcomes, covariates, observations."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    FromClause,
    Select,
    and_,
    case,
    exists,
    func,
    null,
    select,
)

from embedding_assets.database import insert, writing
from embedding_assets.experiments.plan import OBSERVED_GUARDS, ExperimentPlan, Metric
from embedding_assets.experiments.store import (
    Stored,
    covariates,
    experiments,
    exposures,
    observations,
    outcomes,
)

UNITS_AT_ONCE = 20_000
CLOCKS_APART = timedelta(seconds=60)
"""By which a sender's clock may be ahead, or behind: what a unit did seems then to come before what
it saw."""
_MINUTE = 60_000_000
_KEYS_AT_ONCE = 10_000  # SQLite takes 32,766 values in a statement.

ObservationKey = tuple[int, int, int]
"""Number of the experiment, number of the variant, minute since 1970."""


class ExposureRow(NamedTuple):
    """A unit that saw its variant; `first_at` in microseconds since 1970."""

    experiment: int
    unit: int
    variant: int
    first_at: int


class OutcomeRow(NamedTuple):
    """What a unit did; `metric` is the metric's number in the plan."""

    experiment: int
    id: bytes
    unit: int
    metric: int
    at: int
    value: float


@dataclass(frozen=True)
class Observation:
    """Requests that were answered with one variant; latency in milliseconds."""

    requests: int = 0
    errors: int = 0
    empty: int = 0
    latency: float = 0.0
    latency_squares: float = 0.0

    def __add__(self, other: "Observation") -> "Observation":
        return Observation(
            self.requests + other.requests,
            self.errors + other.errors,
            self.empty + other.empty,
            self.latency + other.latency,
            self.latency_squares + other.latency_squares,
        )


@dataclass(frozen=True)
class Units:
    """Some units whose windows are closed, in the order of their first exposure.

    variants: int64 [n]; covariates: float64 [n], NaN where unknown; values: by metric float64 [n].
    """

    variants: npt.NDArray[np.int64]
    covariates: npt.NDArray[np.float64]
    values: Mapping[str, npt.NDArray[np.float64]]


def add_events(engine: Engine, seen: Mapping[ExposureRow, Observation]) -> set[int]:
    """Keep exposures, each with how its request was answered, and tell which of their experiments
    there are.

    Those of other experiments are left out. An answer counts only where the exposure is the unit's
    first, whoever writes and however often: the requests of one unit resemble each other, and
    counted as if they did not they would raise false alarms.
    Raises DatabaseUnavailableError, StoreDamagedError.
    """
    numbers = {row.experiment for row in seen}
    with writing(engine) as connection:
        query = select(experiments.c.number).where(experiments.c.number.in_(numbers))
        known = set(connection.scalars(query))
        first = add_exposures(connection, [row for row in seen if row.experiment in known])
        answers: dict[ObservationKey, Observation] = {}
        for row, observation in seen.items():
            if (row.experiment, row.unit) in first:
                key = (row.experiment, row.variant, row.first_at // _MINUTE)
                answers[key] = answers.get(key, Observation()) + observation
        add_observations(connection, answers)
        return known


def add_exposures(connection: Connection, rows: Iterable[ExposureRow]) -> set[tuple[int, int]]:
    """Keep the first exposure of each unit, whatever the order in which they arrive; the
    experiment and the unit of those that were not exposed before."""
    ordered = [row._asdict() for row in sorted(rows)]
    if not ordered:
        return set()
    keys = (exposures.c.experiment, exposures.c.unit)
    statement = insert(connection, exposures).on_conflict_do_nothing().returning(*keys)
    new = {(each.experiment, each.unit) for each in connection.execute(statement, ordered)}
    known = [row for row in ordered if (row["experiment"], row["unit"]) not in new]
    if known:
        _move_forward(connection, known)
    return new


def _move_forward(connection: Connection, ordered: list[dict[str, Any]]) -> None:
    """Let units count from an earlier exposure than the one that is known."""
    statement = insert(connection, exposures)
    earlier = statement.excluded.first_at < exposures.c.first_at
    statement = statement.on_conflict_do_update(
        index_elements=[exposures.c.experiment, exposures.c.unit],
        set_={"first_at": statement.excluded.first_at},
        where=earlier,
    )
    connection.execute(statement, ordered)


def add_outcomes(connection: Connection, rows: Iterable[OutcomeRow]) -> int:
    """Keep the outcomes whose ids are new, and tell how many these were."""
    distinct = {(row.experiment, row.id): row for row in reversed([*rows])}
    ordered = [row._asdict() for _, row in sorted(distinct.items())]
    if not ordered:
        return 0
    statement = insert(connection, outcomes).on_conflict_do_nothing().returning(outcomes.c.id)
    return len(connection.execute(statement, ordered).all())


def add_covariates(connection: Connection, number: int, values: Mapping[int, float]) -> None:
    """Keep the covariates of units; a unit's later one replaces an earlier one."""
    rows = [
        {"experiment": number, "unit": unit, "value": value}
        for unit, value in sorted(values.items())
    ]
    if not rows:
        return
    statement = insert(connection, covariates)
    statement = statement.on_conflict_do_update(
        index_elements=[covariates.c.experiment, covariates.c.unit],
        set_={"value": statement.excluded.value},
    )
    connection.execute(statement, rows)


def add_observations(connection: Connection, seen: Mapping[ObservationKey, Observation]) -> None:
    """Add to what was observed in each minute."""
    names = ("experiment", "variant", "minute")
    rows = [{**dict(zip(names, key, strict=True)), **vars(seen[key])} for key in sorted(seen)]
    if not rows:
        return
    statement = insert(connection, observations)
    parts = ("requests", "errors", "empty", "latency", "latency_squares")
    statement = statement.on_conflict_do_update(
        index_elements=[observations.c[name] for name in names],
        set_={part: observations.c[part] + statement.excluded[part] for part in parts},
    )
    connection.execute(statement, rows)


def exposed(connection: Connection, number: int, units: Collection[int]) -> set[int]:
    """Those of the `units` that were exposed."""
    found: set[int] = set()
    distinct = sorted(set(units))
    for start in range(0, len(distinct), _KEYS_AT_ONCE):
        among = exposures.c.unit.in_(distinct[start : start + _KEYS_AT_ONCE])
        query = select(exposures.c.unit).where(exposures.c.experiment == number, among)
        found.update(connection.scalars(query))
    return found


@dataclass(frozen=True)
class Exposed:
    """Units that saw a variant; closed: those whose window is."""

    units: int
    closed: int


def exposure_counts(connection: Connection, number: int, exposed_before: int) -> dict[int, Exposed]:
    """How many units saw each variant, and how many of them before then."""
    closed = func.sum(case((exposures.c.first_at < exposed_before, 1), else_=0))
    query = select(exposures.c.variant, func.count(), closed)
    query = query.where(exposures.c.experiment == number).group_by(exposures.c.variant)
    return {
        variant: Exposed(units, int(done)) for variant, units, done in connection.execute(query)
    }


def observed(connection: Connection, number: int) -> dict[int, Observation]:
    """What was observed of each variant."""
    kept = observations.c
    sums = [func.sum(kept.requests), func.sum(kept.errors), func.sum(kept.empty)]
    sums += [func.sum(kept.latency), func.sum(kept.latency_squares)]
    query = select(kept.variant, *sums).where(kept.experiment == number).group_by(kept.variant)
    return {
        row[0]: Observation(int(row[1]), int(row[2]), int(row[3]), row[4], row[5])
        for row in connection.execute(query)
    }


def closed_units(
    connection: Connection, stored: Stored, exposed_before: int, at_once: int = UNITS_AT_ONCE
) -> Iterator[Units]:
    """The units that were first exposed before then, in that order, `at_once` at a time.

    A rate's value is 1 where a unit has a positive outcome in its window, a mean's the sum of
    the outcomes in it.
    """
    measured = [metric for metric in stored.plan.metrics if metric.name not in OBSERVED_GUARDS]
    query = _closed(stored, exposed_before, has_covariates(connection, stored.number))
    # Streamed: all rows at once would not be bounded.
    rows = connection.execute(query, execution_options={"yield_per": at_once})
    for part in rows.partitions():
        yield _units(part, measured)


def has_covariates(connection: Connection, number: int) -> bool:
    """Whether any unit has a covariate."""
    return bool(connection.scalar(select(exists().where(covariates.c.experiment == number))))


def in_window(plan: ExperimentPlan) -> ColumnElement[bool]:
    """Whether an outcome is of an exposure's unit and counts for it."""
    window = round(plan.attribution_seconds * 1_000_000)
    return and_(
        outcomes.c.experiment == exposures.c.experiment,
        outcomes.c.unit == exposures.c.unit,
        outcomes.c.at >= exposures.c.first_at - CLOCKS_APART // timedelta(microseconds=1),
        outcomes.c.at < exposures.c.first_at + window,
    )


def _closed(stored: Stored, exposed_before: int, with_covariates: bool) -> Select[Any]:
    mine = exposures.c.experiment == stored.number
    source: FromClause = exposures.outerjoin(outcomes, in_window(stored.plan))
    covariate: ColumnElement[Any] = null()
    if with_covariates:
        same = and_(
            covariates.c.experiment == exposures.c.experiment,
            covariates.c.unit == exposures.c.unit,
        )
        source = source.outerjoin(covariates, same)
        covariate = func.max(covariates.c.value)
    order = exposures.c["first_at", "unit", "variant"]
    query = select(exposures.c.variant, covariate, *_values(stored.plan.metrics))
    query = query.select_from(source).where(mine, exposures.c.first_at < exposed_before)
    return query.group_by(*order).order_by(*order)


def _values(metrics: Iterable[Metric]) -> list[ColumnElement[Any]]:
    values: list[ColumnElement[Any]] = []
    for number, metric in enumerate(metrics):
        if metric.name not in OBSERVED_GUARDS:
            mine = case((outcomes.c.metric == number, outcomes.c.value))
            values.append(func.max(mine) if metric.kind == "rate" else func.sum(mine))
    return values


def _units(rows: Collection[Any], metrics: Collection[Metric]) -> Units:
    columns = np.array([tuple(row) for row in rows], dtype=np.float64).T
    values = {}
    for metric, column in zip(metrics, columns[2:], strict=True):
        known = np.nan_to_num(column, nan=0.0)
        values[metric.name] = (known > 0).astype(np.float64) if metric.kind == "rate" else known
    return Units(columns[0].astype(np.int64), columns[1], values)
