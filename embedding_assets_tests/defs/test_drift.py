from datetime import UTC, date, datetime, timedelta

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.alerts import Delivery
from embedding_assets.definitions import defs
from embedding_assets.defs import alerting
from embedding_assets.defs.drift import (
    drift_alert,
    model_performance_not_worse,
    performance_alert,
)
from embedding_assets.defs.drift_automation import daily_drift, drift_job
from embedding_assets.defs.resources import WorkspaceResource, configured_workspace
from embedding_assets.quality.live import LIVE_SCHEMA
from embedding_assets.search.query_log import QUERIES, Asked, QueryLog
from embedding_assets.storage.slices import digest_of, table_slice
from embedding_assets.workspace import Workspace
from embedding_assets_tests.defs.test_alerting import Watch, clock, hook  # noqa: F401

JOB = dg.Definitions(
    assets=defs.assets, asset_checks=defs.asset_checks, jobs=[drift_job], resources=defs.resources
).resolve_job_def("drift")
WORSE = {
    "domain": "search", "measure": "empty results", "day": date(2026, 3, 30), "trials": 100,
    "observed": 0.2, "expected": 0.02, "p_value": 0.001, "verdict": "worse", "reason": None,
    "proposal": "go back",
}  # fmt: skip


@pytest.fixture
def alerts(monkeypatch):
    """What people are told."""
    told = []
    monkeypatch.setattr(Workspace, "alert", lambda _, alert: told.append(alert) or ())
    return told


def ask(workspace, days_ago, topic):
    at = datetime.now(UTC) - timedelta(days=days_ago)
    log = QueryLog(workspace.table(QUERIES), clock=at.timestamp)
    chance = np.random.default_rng(days_ago)
    for _ in range(60):
        vector = (np.eye(8)[topic] + chance.normal(0, 0.2, 8)).astype(np.float32)
        log.note(Asked("hybrid", 3, 0.5, "m v1", workspace.fingerprint, "i", vector))
    log.flush()


def checks(done):
    return {each.check_name: each for each in done.get_asset_check_evaluations()}


def test_a_run_without_data_says_so_and_warns_of_nothing(inside, instance, alerts):
    done = JOB.execute_in_process(instance=instance)
    assert done.success
    workspace = configured_workspace()
    rows = workspace.table("embedding_drift").dataset().to_table().to_pylist()
    assert {row["verdict"] for row in rows} == {"not judged"}
    found = checks(done)
    assert found["embedding_drift_stable"].passed
    assert found["model_performance_not_worse"].passed
    assert alerts == []


def test_searches_of_long_ago_go_though_none_are_kept_any_more(inside, instance, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_DRIFT__QUERY_LOG", "false")
    workspace = configured_workspace()
    ask(workspace, 200, topic=0)
    assert workspace.table(QUERIES).keys()
    assert JOB.execute_in_process(instance=instance).success
    assert workspace.table(QUERIES).keys() == []


def test_drift_warns_tells_and_proposes_once_more_with_a_picture(inside, instance, alerts):
    workspace = configured_workspace()
    workspace.switch_model()
    ask(workspace, 20, topic=0)
    ask(workspace, 1, topic=3)
    done = JOB.execute_in_process(instance=instance)
    assert done.success
    check = checks(done)["embedding_drift_stable"]
    assert not check.passed
    assert check.severity is dg.AssetCheckSeverity.WARN
    [alert] = alerts
    assert alert.title == "Queries drift: vectors"
    assert "experiment create" in alert.text
    [event] = [
        e for e in done.get_asset_materialization_events()
        if e.asset_key == dg.AssetKey("embedding_drift")
    ]  # fmt: skip
    metadata = event.materialization.metadata
    assert "data:image/png;base64" in metadata["picture"].value


def test_what_the_night_could_not_tell_is_told_at_a_later_look(
    hook, inside, instance  # noqa: F811
):  # fmt: skip
    workspace = configured_workspace()
    workspace.switch_model()
    ask(workspace, 20, topic=0)
    ask(workspace, 1, topic=3)
    hook.statuses = [404]
    JOB.execute_in_process(instance=instance)
    assert hook.received == []
    watch = Watch(alerting.checks_failed, instance)
    for _ in range(2):
        assert watch.look() == "Wrong: embedding_drift:embedding_drift_stable"
    [alert] = hook.received
    assert alert["kind"] == "check_warned" and "`embedding-assets drift` shows" in alert["text"]


def test_what_the_night_has_told_is_told_once(hook, inside, instance, clock):  # noqa: F811
    workspace = configured_workspace()
    workspace.switch_model()
    ask(workspace, 20, topic=0)
    ask(workspace, 1, topic=3)
    watch = Watch(alerting.checks_failed, instance)
    for _ in range(2):  # the second time shortly after: it is known
        JOB.execute_in_process(instance=instance)
        assert watch.look() == "Wrong: embedding_drift:embedding_drift_stable"
    clock.hours(25)
    watch.look()
    assert [alert["kind"] for alert in hook.received] == ["drift"]


@pytest.mark.parametrize(
    ("states", "told"),
    [
        ([("delivered", "failed")], ["log", "webhook"]),
        ([("told before", "delivered"), ("held back", "delivered")], ["email", "log"]),
    ],
)
def test_the_check_names_the_ways_by_which_all_of_it_is_known(inside, monkeypatch, states, told):
    table = configured_workspace().table("model_performance")
    rows = [WORSE | {"model": f"m{number}", "current": True} for number in range(len(states))]
    table.write(table_slice(pa.Table.from_pylist(rows, LIVE_SCHEMA), digest_of(states)))
    made = iter(
        tuple(map(Delivery, ("log", "webhook", "email"), ("delivered", *each))) for each in states
    )
    monkeypatch.setattr(Workspace, "alert", lambda *_: next(made))
    found = model_performance_not_worse(table, WorkspaceResource())
    assert found.metadata["told_by"].value == told
    assert "20.00% of 100" in found.description


def test_each_bad_day_is_news_of_its_own():
    days = [WORSE | {"model": "m v1", "day": date(2026, 3, day)} for day in (29, 30)]
    assert len({performance_alert(row).key for row in days}) == 2


def test_only_current_rows_of_live_models_are_told(inside, alerts):
    table = configured_workspace().table("model_performance")
    for models in (["gone"], ["gone", "live"]):
        rows = [WORSE | {"model": model, "current": model == "live"} for model in models]
        table.write(table_slice(pa.Table.from_pylist(rows, LIVE_SCHEMA), digest_of(models)))
        found = model_performance_not_worse(table, WorkspaceResource())
        assert found.passed == ("live" not in models)
    assert [alert.facts["model"] for alert in alerts] == ["live"]


def test_it_is_looked_for_each_night():
    assert daily_drift.cron_schedule == "30 4 * * *"
    assert daily_drift.job_name == drift_job.name


def test_alerts_have_figures_and_a_proposal():
    row = {
        "domain": "documents", "measure": "vectors", "window_start": "2026-03-25",
        "window_end": "2026-03-31", "window": 1_000, "reference": 2_000, "effect": 0.1,
        "p_value": 0.001, "proposal": "do this", "groups": [{"texts": ["secret"]}],
    }  # fmt: skip
    alert = drift_alert(row)
    assert "do this" in alert.text and "10.0%" in alert.text
    assert "secret" not in str(alert)
    worse = {
        "domain": "search", "measure": "empty results", "model": "m v1", "day": "2026-03-31",
        "trials": 100, "observed": 0.2, "expected": 0.02, "p_value": 0.001, "proposal": "go back",
    }  # fmt: skip
    assert "20.00% of 100, expected 2.00%" in performance_alert(worse).text
