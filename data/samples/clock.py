"""When people order: more at weekends, most at meal times, never after the end."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samples.text_columns import digits, fixed_width

DAY_SECONDS = 86_400
HOUR_EDGES = np.arange(25) * 3600.0
# Monday to Sunday.
WEEKDAY_WEIGHTS = (0.85, 0.85, 0.9, 1.0, 1.3, 1.35, 1.15)
# Orders in each hour of a working day and of a day at the weekend.
WORKDAY_HOURS = (1, 1, 0, 0, 0, 1, 2, 4, 5, 3, 3, 9, 14, 9, 4, 3, 4, 8, 15, 16, 12, 7, 4, 2)
WEEKEND_HOURS = (4, 3, 2, 1, 0, 0, 1, 2, 4, 7, 9, 10, 11, 9, 6, 5, 5, 8, 14, 16, 13, 9, 7, 5)


def _cumulated(hours: tuple[int, ...]) -> npt.NDArray[np.float64]:
    return np.concatenate(([0.0], np.cumsum(hours) / sum(hours)))


WORKDAY, WEEKEND = _cumulated(WORKDAY_HOURS), _cumulated(WEEKEND_HOURS)


@dataclass(frozen=True)
class Calendar:
    """The moment of each of n orders in rising order; order i of n is always in the same place.

    days: the dates, oldest first. counts: orders on each day. shares: how much of each day's
    orders falls before the end (1 but for a last day that is not over).
    """

    days: list[date]
    counts: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]

    def timestamps(self, first: int, last: int, rng: np.random.Generator) -> pa.StringArray:
        """ISO-8601 in UTC for the orders first up to last (exclusive)."""
        orders = np.arange(first, last)
        ends = np.cumsum(self.counts)
        day = np.searchsorted(ends, orders, side="right")
        position = orders - (ends - self.counts)[day] + rng.random(len(orders))
        return self._texts(day, self._seconds(day, position / self.counts[day]))

    def _seconds(
        self, day: npt.NDArray[np.int64], quantile: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.int64]:
        weekend = np.array([is_weekend(date_) for date_ in self.days])[day]
        quantile = quantile * self.shares[day]
        seconds = np.where(
            weekend,
            np.interp(quantile, WEEKEND, HOUR_EDGES),
            np.interp(quantile, WORKDAY, HOUR_EDGES),
        )
        whole: npt.NDArray[np.int64] = np.minimum(seconds.astype(np.int64), DAY_SECONDS - 1)
        return whole

    def _texts(self, day: npt.NDArray[np.int64], seconds: npt.NDArray[np.int64]) -> pa.StringArray:
        dates = np.array([list(date_.isoformat().encode()) for date_ in self.days], np.uint8)
        text = np.empty((len(day), 25), np.uint8)
        text[:] = np.frombuffer(b"0000-00-00T00:00:00+00:00", np.uint8)
        text[:, :10] = dates[day]
        text[:, 11:13] = digits(seconds // 3600, 2)
        text[:, 14:16] = digits(seconds // 60 % 60, 2)
        text[:, 17:19] = digits(seconds % 60, 2)
        return fixed_width(text)


def make_calendar(records: int, days: int, end: datetime, rng: np.random.Generator) -> Calendar:
    """`records` orders over the `days` days that end at `end`; none of the latest days is empty.

    end: the last moment; midnight at a day's start leaves that day one moment.
    """
    dates = [end.date() - timedelta(days=back) for back in reversed(range(days))]
    shares = np.ones(days)
    shares[-1] = _share_before(end)
    weights = np.array([WEEKDAY_WEIGHTS[date_.weekday()] for date_ in dates]) * shares
    if not weights.any():
        weights[-1] = 1.0
    counts = np.zeros(days, np.int64)
    certain = min(records, days)
    counts[days - certain :] = 1
    counts += rng.multinomial(records - certain, weights / weights.sum())
    return Calendar(dates, counts, shares)


def is_weekend(day: date) -> bool:
    """Whether people order as at weekends."""
    return day.weekday() >= 5


def _share_before(end: datetime) -> float:
    midnight = datetime.combine(end.date(), datetime.min.time(), end.tzinfo)
    hours = WEEKEND if is_weekend(end.date()) else WORKDAY
    return float(np.interp((end - midnight).total_seconds(), HOUR_EDGES, hours))
