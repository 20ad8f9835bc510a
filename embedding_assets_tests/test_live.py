from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.outcomes import Outcome
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.live import Live
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
    rows = Live(workspace, NOW).rows()
    assert [(row["domain"], row["verdict"]) for row in rows] == [
        ("search", "not judged"), ("search", "not judged"), ("apps", "not judged"),
    ]  # fmt: skip
    assert all(row["reason"] for row in rows)
    assert Live(workspace, NOW).slice(rows).stats["not judged"] == 3


def test_searches_that_find_nothing_are_judged_by_model_and_day(workspace):
    first = date(2026, 3, 20)
    for n in range(8):
        search_on(workspace, first + timedelta(days=n), 200, 4 if n < 7 else 60)
        search_on(workspace, first + timedelta(days=n), 50, 2, model="m v2")
    rows = [row for row in Live(workspace, NOW).rows() if row["measure"] == "empty results"]
    assert len(rows) == 16
    last = {row["model"]: row for row in rows if row["day"] == first + timedelta(days=7)}
    assert last["m v1"]["verdict"] == "worse"
    assert "rollback" in last["m v1"]["proposal"]
    assert last["m v2"]["verdict"] == "fine"


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
    rows = [row for row in Live(workspace, NOW).rows() if row["measure"] == "users with click"]
    assert {row["model"] for row in rows} == {"hybrid (modes)", "keyword (modes)"}
    assert sum(row["trials"] for row in rows) == 30
    assert sum(row["trials"] * row["observed"] for row in rows) == pytest.approx(6)
    assert {row["day"] for row in rows} == {start.date()}
