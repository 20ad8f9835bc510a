"""What is reported of units, checked before it is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite

from embedding_assets.errors import InputError
from embedding_assets.experiments.assignment import outcome_key, unit_key
from embedding_assets.experiments.events import CLOCKS_APART, OutcomeRow
from embedding_assets.experiments.plan import OBSERVED_GUARDS
from embedding_assets.experiments.store import Stored, micros

MOST_CHARACTERS = 500
"""Of a unit, and of an outcome's id."""

MOST_VALUE = 1e12
"""Sums and squares of values stay exact enough below it."""

_NAMED = 5


class OutcomeError(InputError):
    """Outcomes, units or covariates cannot be used as they were sent."""


@dataclass(frozen=True)
class Outcome:
    """What a unit did.

    id: the sender's own; two outcomes with one id are the same. at: None is now; without zone UTC.
    """

    id: str
    unit: str
    metric: str
    value: float = 1.0
    at: datetime | None = None


@dataclass(frozen=True)
class Recorded:
    """What became of outcomes.

    accepted: counted for the first time; known: counted before; unknown_units: never exposed, so
    nothing of them was kept.
    """

    accepted: int
    known: int
    unknown_units: tuple[str, ...]


@dataclass(frozen=True)
class Sent:
    """Outcomes as they can be stored, and their units by their keys."""

    rows: tuple[OutcomeRow, ...]
    units: Mapping[int, str]


def outcome_rows(stored: Stored, outcomes: Sequence[Outcome], now: datetime) -> Sent:
    """The outcomes as they are stored. Raises OutcomeError naming those that cannot be used."""
    metrics = {metric.name: number for number, metric in enumerate(stored.plan.metrics)}
    measured = {name for name in metrics if name not in OBSERVED_GUARDS}
    _refuse(fault for outcome in outcomes for fault in _faults(outcome, measured, now))
    units, rows = {}, []
    for outcome in outcomes:
        unit = unit_key(stored.salt, outcome.unit)
        units[unit] = outcome.unit
        key, at = outcome_key(stored.salt, outcome.id), micros(outcome.at or now)
        at = min(at, micros(now))  # the sender's clock is ahead
        metric, value = metrics[outcome.metric], float(outcome.value)
        rows.append(OutcomeRow(stored.number, key, unit, metric, at, value))
    return Sent(tuple(rows), units)


def covariate_values(stored: Stored, values: Mapping[str, float]) -> dict[int, float]:
    """Covariates by the keys of their units. Raises OutcomeError naming what cannot be used."""
    require_units(list(values))
    wrong = (unit for unit, value in values.items() if not _is_usable(value))
    _refuse(f"the covariate {values[unit]!r} of {unit!r} is no usable number" for unit in wrong)
    return {unit_key(stored.salt, unit): float(value) for unit, value in values.items()}


def require_units(units: Sequence[str]) -> None:
    """Raise OutcomeError when one of them cannot be a unit."""
    _refuse(_length_fault("the unit", unit) for unit in units if not _has_length(unit))


def _faults(outcome: Outcome, metrics: set[str], now: datetime) -> Iterator[str]:
    if not _has_length(outcome.id):
        yield _length_fault("the id", outcome.id)
    if not _has_length(outcome.unit):
        yield _length_fault("the unit", outcome.unit)
    if outcome.metric not in metrics:
        known = ", ".join(sorted(metrics))
        yield f"{outcome.id!r}: {outcome.metric!r} is no metric to be sent ({known})"
    if not _is_usable(outcome.value):
        yield f"{outcome.id!r}: {outcome.value!r} is no usable number"
    if outcome.at is not None and micros(outcome.at) > micros(now + CLOCKS_APART):
        yield f"{outcome.id!r}: {outcome.at.isoformat()} has not come yet"


def _refuse(faults: Iterator[str]) -> None:
    found = list(faults)
    if found:
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise OutcomeError(
            f"Nothing was kept: {'; '.join(found[:_NAMED])}{more}.",
            "Correct what is named and send all of it again.",
        )


def _has_length(text: str) -> bool:
    return 0 < len(text) <= MOST_CHARACTERS


def _length_fault(what: str, text: str) -> str:
    return f"{what} {text[:20]!r} has {len(text)} characters, not 1 to {MOST_CHARACTERS}"


def _is_usable(value: float) -> bool:
    return isfinite(value) and abs(value) <= MOST_VALUE
