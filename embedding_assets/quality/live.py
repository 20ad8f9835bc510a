"""How live models perform: shares of successes by day, each day judged by the days before it.

Searches of one day resemble each other, so that days differ more than chance alone among searches
lets them. Each day is therefore judged with the spread that the days before it had among
themselves, beside that of its own searches: a prediction interval by Student's t on the angular
scale, on which shares near 0 spread evenly (Anscombe 1948, Biometrika 35).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa

LIVE_CODE = "3"
"""Changes whenever the same days would be judged otherwise."""
FEWEST_DAYS, FEWEST_TRIALS = 5, 20
"""Days before that a judgement needs, and trials on the day itself."""
Worse: TypeAlias = Literal["up", "down"]
Standing: TypeAlias = Literal["worse", "watch", "fine", "not judged"]

LIVE_SCHEMA = pa.schema(
    [
        pa.field("domain", pa.string(), nullable=False),
        pa.field("measure", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("day", pa.date32(), nullable=False),
        pa.field("trials", pa.int64(), nullable=False),
        pa.field("observed", pa.float64()),
        pa.field("expected", pa.float64()),
        pa.field("p_value", pa.float64()),
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("proposal", pa.string()),
        pa.field("current", pa.bool_(), nullable=False),
    ]
)
"""One row per measure, model and day. trials: searches, users or impressions. observed: what came
of them; expected: what was to be expected by the days before, or by the model's predictions.
current: whether the day is over since the look before, of a model that still serves: what people
are told."""


@dataclass(frozen=True)
class DayCount:
    """What came of the trials of a day."""

    day: date
    trials: int
    successes: int


@dataclass(frozen=True)
class Series:
    """The days of one measure of one model, in their order. worse: where it is bad to go.

    told: the first and the last day of which people are told; None for a model that serves no more.
    before: days of what served before it, by which it is judged until it has enough of its own.
    """

    domain: str
    measure: str
    model: str
    days: Sequence[DayCount]
    worse: Worse
    proposal: str | None = None
    told: tuple[date, date] | None = None
    before: Sequence[DayCount] = ()


@dataclass(frozen=True)
class Looks:
    """How often chance alone may call something worse: `level` for all looks within `days`.

    reference: days before that a day is compared with.
    """

    level: float
    days: int
    reference: int

    def standing(self, p_value: float | None) -> Standing:
        """What a p-value says (Bonferroni over the looks)."""
        if p_value is None:
            return "not judged"
        if p_value <= self.level / self.days:
            return "worse"
        return "watch" if p_value <= self.level else "fine"


def judged(series: Series, looks: Looks) -> list[dict[str, Any]]:
    """A row (LIVE_SCHEMA) for each day that had trials."""
    found = []
    first, last = series.told or (date.max, date.min)
    for place, now in enumerate(series.days):
        if not now.trials:
            continue
        since = now.day - timedelta(days=looks.reference)
        own = series.days[:place]
        known = own if len(_judging(own)) >= FEWEST_DAYS else [*series.before, *own]
        before = [each for each in known if each.trials and each.day >= since]
        expected, p_value, reason = _compared(before, now, series.worse)
        standing = looks.standing(p_value)
        found.append(
            {
                "domain": series.domain, "measure": series.measure, "model": series.model,
                "day": now.day, "trials": now.trials, "observed": now.successes / now.trials,
                "expected": expected, "p_value": p_value, "verdict": standing, "reason": reason,
                "proposal": series.proposal if standing == "worse" else None,
                "current": first <= now.day <= last,
            }
        )  # fmt: skip
    return found


def nothing(domain: str, measure: str, reason: str, day: date) -> dict[str, Any]:
    """The row (LIVE_SCHEMA) of a measure without data."""
    row: dict[str, Any] = dict.fromkeys(LIVE_SCHEMA.names)
    return row | {
        "domain": domain, "measure": measure, "model": "", "day": day, "trials": 0,
        "verdict": "not judged", "reason": reason, "current": False,
    }  # fmt: skip


def _compared(
    before: Sequence[DayCount], now: DayCount, worse: Worse
) -> tuple[float | None, float | None, str | None]:
    """What was to be expected, the one-sided p-value, and why there is none."""
    from scipy.stats import t

    judging = _judging(before)
    total = sum(each.trials for each in before)
    expected = sum(each.successes for each in before) / total if total else None
    if len(judging) < FEWEST_DAYS or now.trials < FEWEST_TRIALS:
        return expected, None, (
            f"too few to judge: {len(judging)} days before with {FEWEST_TRIALS} trials or more, of "
            f"at least {FEWEST_DAYS}, and {now.trials} trials on the day"
        )  # fmt: skip
    angles, chance = np.array([_angle(each) for each in judging]).T
    count = len(judging)
    between = max(0.0, float(angles.var(ddof=1) - chance.mean()))
    angle, own = _angle(now)
    error = np.sqrt(between + own + (between + chance.mean()) / count)
    score = (angle - angles.mean()) / error
    return expected, float(t.sf(score if worse == "up" else -score, count - 1)), None


def _judging(days: Sequence[DayCount]) -> list[DayCount]:
    return [each for each in days if each.trials >= FEWEST_TRIALS]


def _angle(day: DayCount) -> tuple[float, float]:
    """The share on the angular scale, and its variance by chance there."""
    share = (day.successes + 3 / 8) / (day.trials + 3 / 4)
    return float(np.arcsin(np.sqrt(share))), 1 / (4 * day.trials + 2)


def newest(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """How it stands: the current rows, and the last one of each measure that has none."""
    last: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["day"]):
        last[row["domain"], row["measure"]] = row
    current = {(row["domain"], row["measure"]) for row in rows if row["current"]}
    shown = [row for measure, row in last.items() if measure not in current]
    return [*(row for row in rows if row["current"]), *shown]
