import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from embedding_assets.apps.predictions import Arrival
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.outcomes import Outcome
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.live import Live
from embedding_assets.quality.live import newest
from embedding_assets.search.query_log import QUERIES, Asked, QueryLog
from embedding_assets.settings import Settings
from embedding_assets.workspace import Workspace

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)


@pytest.fixture
def workspace(tmp_path, no_environment):
    return Workspace(Settings(data_dir=tmp_path / "store"))


def search_on(workspace, day, searches, empty, model="m v1"):
    at = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    log = QueryLog(workspace.table(QUERIES), clock=lambda: at)
    vector = np.ones(4, np.float32)
    for n in range(searches):
        hits = 0 if n < empty else 3
        log.note(Asked("hybrid", hits, None, model, "f", "i", vector))
    log.flush()


def by_domain(rows):
    return {(row["domain"], row["measure"].split()[0]): row for row in rows}


def test_measures_without_data_have_rows_that_say_so(workspace):
    rows = Live(workspace, now=NOW).rows()
    assert [(row["domain"], row["verdict"]) for row in rows] == [
        ("search", "not judged"), ("search", "not judged"), ("apps", "not judged"),
    ]  # fmt: skip
    assert all(row["reason"] for row in rows)
    assert Live(workspace, now=NOW).slice(rows).stats["not judged"] == 3


def test_searches_that_find_nothing_are_judged_by_model_and_day(workspace):
    first = date(2026, 3, 20)
    for n in range(8):
        search_on(workspace, first + timedelta(days=n), 200, 4 if n < 7 else 60)
        search_on(workspace, first + timedelta(days=n), 50, 2, model="m v2")
    rows = [row for row in Live(workspace, now=NOW).rows() if row["measure"] == "empty results"]
    assert len(rows) == 16
    last = {row["model"]: row for row in rows if row["day"] == first + timedelta(days=7)}
    assert last["m v1"]["verdict"] == "worse"
    assert "rollback" in last["m v1"]["proposal"]
    assert last["m v2"]["verdict"] == "fine"


def serve(workspace, fingerprint):
    live = {"name": "m", "fingerprint": fingerprint, "dimension": 4, "precision": "fp32"}
    path = workspace.data_dir / "models" / "live.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(live))


def told(workspace, **options):
    rows = newest(Live(workspace, **options).rows())
    return {
        (row["model"], row["day"], row["verdict"])
        for row in rows
        if row["current"] and row["measure"] == "empty results"
    }


def test_the_last_whole_day_is_judged_and_not_what_there_is_of_today(workspace):
    serve(workspace, "f")
    for n in range(8):
        search_on(workspace, date(2026, 3, 23) + timedelta(days=n), 200, 4 if n < 7 else 60)
    search_on(workspace, NOW.date(), 200, 4)
    yesterday = NOW.date() - timedelta(days=1)
    assert told(workspace, now=NOW) == {("m v1", yesterday, "worse")}
    assert told(workspace, last=NOW.date()) == {("m v1", NOW.date(), "fine")}


def test_a_bad_day_is_told_of_though_the_night_after_it_was_missed(workspace):
    serve(workspace, "f")
    for n in range(9):
        search_on(workspace, date(2026, 3, 21) + timedelta(days=n), 200, 60 if n == 7 else 4)
    table = workspace.ensure().table("model_performance")
    for days, bad in ((5, set()), (2, {("m v1", date(2026, 3, 28), "worse")})):
        live = Live(workspace, now=NOW - timedelta(days=days - 1))
        rows = live.rows()
        assert {told_of(row) for row in rows if row["current"]} & {*bad} == bad
        table.write(live.slice(rows))
    # It was told of; the next night says nothing of it, and neither does the same one again.
    for days in (2, 1):
        rows = Live(workspace, now=NOW - timedelta(days=days - 1)).rows()
        assert not [row for row in rows if row["current"] and row["verdict"] == "worse"]


def told_of(row):
    return row["model"], row["day"], row["verdict"]


def test_a_new_model_is_judged_by_the_one_before_until_it_has_days_of_its_own(workspace):
    serve(workspace, "f")
    first = date(2026, 3, 10)
    for n in range(18):
        search_on(workspace, first + timedelta(days=n), 200, 4)
    for n in range(18, 21):
        search_on(workspace, first + timedelta(days=n), 200, 80, model="m v2")
    rows = [row for row in Live(workspace, now=NOW).rows() if row["model"] == "m v2"]
    assert [row["verdict"] for row in rows] == ["worse"] * 3
    assert rows[0]["expected"] == pytest.approx(0.02)


def test_of_a_model_that_serves_no_more_and_of_a_day_long_ago_nobody_is_told(workspace):
    serve(workspace, "f")
    for n in range(8):
        search_on(workspace, date(2026, 3, 23) + timedelta(days=n), 200, 4 if n < 7 else 60)
    tomorrow = NOW + timedelta(days=1)
    assert told(workspace, now=tomorrow) == set()
    serve(workspace, "another")
    assert told(workspace, now=NOW) == set()


def test_arrivals_of_the_last_whole_day_are_told_once(workspace, monkeypatch):
    def arrived(number, days_ago):
        shown = np.full(30, 1_000.0)
        return Arrival("v1", f"model {number}", number, NOW - timedelta(days=days_ago), shown / 10,
                       shown / 10, shown / 20, shown, 0)  # fmt: skip

    found = [arrived(1, 2), arrived(2, 1), arrived(3, 1), arrived(4, 0)]
    monkeypatch.setattr("embedding_assets.live.arrivals", lambda *_: iter(found))
    workspace.catalogue.versions = ("v1",)
    rows = [row for row in Live(workspace, now=NOW).rows() if row["domain"] == "apps"]
    assert [row["verdict"] for row in rows] == ["worse"] * 3
    assert [row["model"] for row in rows if row["current"]] == ["v1 model 2", "v1 model 3"]


def test_clicks_come_from_experiments(workspace):
    workspace.data_dir.mkdir(parents=True)
    url = f"sqlite:///{workspace.data_dir / 'service.db'}"
    start = NOW - timedelta(days=3)
    controller = ABTestController(url, lambda: start)
    variants = (Variant("usual", 1, "hybrid"), Variant("new", 1, "keyword"))
    metrics = (Metric("click", "rate"),)
    controller.create(ExperimentPlan("modes", variants, metrics, endpoint="search"))
    controller.start("modes")
    units = [f"user {n}" for n in range(30)]
    controller.expose("modes", units)
    controller.record("modes", [Outcome(unit, unit, "click") for unit in units[:6]])
    controller.store.engine.dispose()
    rows = [row for row in Live(workspace, now=NOW).rows() if row["measure"] == "users with click"]
    assert {row["model"] for row in rows} == {"hybrid (modes)", "keyword (modes)"}
    assert sum(row["trials"] for row in rows) == 30
    assert sum(row["trials"] * row["observed"] for row in rows) == pytest.approx(6)
    assert {row["day"] for row in rows} == {start.date()}
    assert not any(row["current"] for row in rows)
    rows = Live(workspace, last=start.date(), now=NOW).rows()
    assert sum(row["current"] for row in rows) == 2
    controller.stop("modes")
    assert not any(row["current"] for row in Live(workspace, start.date(), NOW).rows())
