from datetime import date, timedelta

import numpy as np
import pytest

from embedding_assets.quality.live import (
    LIVE_SCHEMA,
    DayCount,
    Looks,
    Series,
    judged,
    newest,
    nothing,
)

DAY = date(2026, 3, 1)
LOOKS = Looks(level=0.05, days=7, reference=90)


def series(counts, worse="up", trials=1_000):
    days = [DayCount(DAY + timedelta(days=n), trials, count) for n, count in enumerate(counts)]
    return Series("search", "empty results", "model v1", days, worse, "do something")


def test_a_day_that_is_far_worse_is_called_so_with_a_proposal():
    rows = judged(series([50, 55, 45, 52, 48, 51, 49, 150]), LOOKS)
    assert [row["verdict"] for row in rows] == ["not judged"] * 5 + ["fine"] * 2 + ["worse"]
    last = rows[-1]
    assert (last["observed"], last["proposal"]) == (0.15, "do something")
    assert last["expected"] == pytest.approx(0.05)
    assert list(last) == LIVE_SCHEMA.names


def test_a_day_that_is_far_better_is_fine():
    assert judged(series([50] * 7 + [5]), LOOKS)[-1]["verdict"] == "fine"
    assert judged(series([50] * 7 + [5], worse="down"), LOOKS)[-1]["verdict"] == "worse"


def test_days_that_differ_among_themselves_make_a_judgement_careful():
    restless = judged(series([20, 90, 30, 80, 25, 85, 40, 110]), LOOKS)[-1]
    steady = judged(series([55, 53, 51, 54, 52, 53, 55, 110]), LOOKS)[-1]
    assert restless["p_value"] > 0.05 / 7 > steady["p_value"]


def test_without_a_change_all_looks_of_a_window_together_seldom_alarm():
    chance = np.random.default_rng(0)
    alarms = 0
    for _ in range(300):
        rates = chance.beta(40, 760, size=27)  # days differ among themselves
        counts = chance.binomial(1_000, rates).tolist()
        rows = judged(series(counts), LOOKS)[20:]
        alarms += any(row["verdict"] == "worse" for row in rows)
    assert alarms / 300 <= 0.08


def test_rates_of_0_have_a_spread_as_well():
    rows = judged(series([0] * 7 + [1]), LOOKS)
    assert rows[-1]["verdict"] in ("fine", "watch")
    assert judged(series([0] * 7 + [80]), LOOKS)[-1]["verdict"] == "worse"


def test_few_days_and_few_trials_are_said():
    assert "too few to judge: 2 days before" in judged(series([50] * 3), LOOKS)[-1]["reason"]
    few = judged(series([1] * 8, trials=10), LOOKS)[-1]
    assert few["verdict"] == "not judged"
    assert "10 trials" in few["reason"]


def test_days_without_trials_have_no_row_and_old_days_do_not_count():
    days = [DayCount(DAY, 0, 0), DayCount(DAY + timedelta(days=1), 100, 5)]
    [row] = judged(Series("search", "m", "v", days, "up"), LOOKS)
    assert row["day"] == DAY + timedelta(days=1)
    old = judged(series([50] * 8), Looks(0.05, 7, reference=3))[-1]
    assert old["verdict"] == "not judged"


def test_of_each_measure_the_current_rows_count_and_else_the_last_one():
    gone = judged(series([50] * 3), LOOKS)
    days = [DayCount(DAY + timedelta(days=n), 1_000, 50) for n in range(5)]
    last = DAY + timedelta(days=4)
    live = judged(Series("search", "clicks", "model v2", days, "up", told=(last, last)), LOOKS)
    other = judged(Series("search", "clicks", "model v1", days[:4], "up"), LOOKS)
    rows = [*gone, *live, *other, nothing("apps", "clicks", "none", DAY)]
    assert [(row["measure"], row["model"], row["day"]) for row in newest(rows)] == [
        ("clicks", "model v2", last),
        ("empty results", "model v1", DAY + timedelta(days=2)),
        ("clicks", "", DAY),
    ]
