"""How many units did something by day and variant, for whoever watches live models."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Engine, and_, exists, func, select

from embedding_assets.database import reading
from embedding_assets.experiments.events import in_window
from embedding_assets.experiments.plan import Endpoint
from embedding_assets.experiments.store import ExperimentStore, Stored, exposures, outcomes

_MICROSECONDS = 1_000_000
_DAY = 86_400 * _MICROSECONDS


@dataclass(frozen=True)
class DayOfVariant:
    """The units that first saw a variant on a day, and how many had an outcome in time.

    last: the last day on which the time for outcomes is over; None when the experiment has ended.
    """

    endpoint: Endpoint
    experiment: str
    variant: str
    setting: str
    metric: str
    direction: str
    day: date
    units: int
    successes: int
    last: date | None


def days_of_variants(engine: Engine, now: datetime, first: date) -> Iterator[DayOfVariant]:
    """Each day since `first` on which the time for outcomes is over for all units, by variant and
    rate metric of the experiments that steer requests.

    Raises DatabaseUnavailableError, StoreDamagedError.
    """
    for stored in ExperimentStore(engine).all():
        if stored.plan.endpoint != "none":
            yield from _days(engine, stored, now, first)


def _days(engine: Engine, stored: Stored, now: datetime, first: date) -> Iterator[DayOfVariant]:
    plan = stored.plan
    window = int(plan.attribution_seconds * _MICROSECONDS)
    since = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp() * _MICROSECONDS
    closed = (int(now.timestamp() * _MICROSECONDS) - window) // _DAY * _DAY
    is_over = stored.experiment.state != "running"
    last = None if is_over else _date(closed // _DAY - 1)
    for number, metric in enumerate(plan.metrics):
        if metric.kind != "rate" or metric.guard:
            continue
        has_outcome = exists().where(
            and_(in_window(plan), outcomes.c.metric == number, outcomes.c.value > 0)
        )
        query = (
            select(
                exposures.c.variant, (exposures.c.first_at // _DAY).label("day"),
                func.count(), func.count().filter(has_outcome),
            )
            .where(
                exposures.c.experiment == stored.number, exposures.c.first_at >= int(since),
                exposures.c.first_at < closed,
            )
            .group_by(exposures.c.variant, "day").order_by(exposures.c.variant, "day")
        )  # fmt: skip
        with reading(engine) as connection:
            found = connection.execute(query).all()
        for variant, at, units, successes in found:
            chosen = plan.variants[variant]
            yield DayOfVariant(
                plan.endpoint, plan.id, chosen.name, chosen.setting, metric.name, metric.direction,
                _date(int(at)), units, successes, last,
            )  # fmt: skip


def _date(day: int) -> date:
    return datetime.fromtimestamp(day * _DAY / _MICROSECONDS, UTC).date()
