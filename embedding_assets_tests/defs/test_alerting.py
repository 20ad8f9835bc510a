import shutil

import dagster as dg
import pytest
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationPlanned,
)
from dagster._core.definitions.freshness import FreshnessState, FreshnessStateChange

from embedding_assets.alerts.seen import read_checks
from embedding_assets.definitions import defs
from embedding_assets.defs import alerting, resources
from embedding_assets.defs.policy import DAILY
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.workspace import Workspace
from embedding_assets_tests.alerts.inboxes import mail_server, webhook_server
from embedding_assets_tests.defs.test_automation import orders, settle
from embedding_assets_tests.integration.workplace import write_records

HOUR = 3_600


@pytest.fixture
def hook(inside, monkeypatch):
    with webhook_server() as made:
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__WEBHOOK_URL", made.url)
        yield made


@pytest.fixture
def clock(monkeypatch):
    """What the sensors take for the time; hours() lets some pass."""

    class Clock:
        def __init__(self):
            import time

            self.now = time.time()

        def time(self):
            return self.now

        def hours(self, count):
            self.now += count * HOUR

    made = Clock()
    monkeypatch.setattr(alerting, "time", made)
    return made


class Watch:
    """A sensor with its cursor, as the daemon calls it."""

    def __init__(self, sensor, instance, definitions=defs):
        self.sensor, self.instance, self.definitions = sensor, instance, definitions
        self.cursor = None

    def look(self):
        needed = self.sensor.required_resource_keys
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            resources={"workspace": WorkspaceResource()} if "workspace" in needed else {},
        )
        found = self.sensor(context)
        if isinstance(found, dg.SkipReason):
            return found.skip_message
        self.cursor = found.cursor
        return found.skip_reason.skip_message


@dg.op
def breaks():
    raise ValueError("the disk is on fire")


@dg.job
def doomed():
    breaks()


def failed_run(instance, tags=None, job=doomed):
    result = job.execute_in_process(instance=instance, raise_on_error=False, tags=tags)
    return dg.build_run_status_sensor_context(
        sensor_name="run_failed",
        dagster_instance=instance,
        dagster_run=result.dagster_run,
        dagster_event=result.get_run_failure_event(),
    ).for_run_failure()


def test_a_failed_run_is_told_with_its_cause(hook, instance):
    alerting.run_failed(failed_run(instance))
    [alert] = hook.received
    assert (alert["kind"], alert["severity"]) == ("run_failed", "error")
    assert alert["title"] == "A run of doomed failed: breaks"
    assert alert["facts"]["job"] == "doomed" and alert["facts"]["steps"] == ["breaks"]
    assert alert["text"].splitlines()[-1] == "ValueError: the disk is on fire"


def test_of_a_run_that_is_tried_again_people_are_warned(hook, instance):
    alerting.run_failed(failed_run(instance, {"dagster/will_retry": "true"}))
    [alert] = hook.received
    assert alert["severity"] == "warning" and "tried again by itself" in alert["text"]


def test_the_last_failure_is_told_after_those_that_were_tried_again(hook, instance):
    alerting.run_failed(failed_run(instance, {"dagster/will_retry": "true"}))
    alerting.run_failed(failed_run(instance))
    assert [alert["severity"] for alert in hook.received] == ["warning", "error"]


def test_runs_of_one_job_that_fail_again_and_again_are_told_once(hook, instance):
    for _ in range(4):
        alerting.run_failed(failed_run(instance))
    assert len(hook.received) == 1


def chosen(*names):
    """The job of a run that somebody starts by choosing these assets, which fail."""

    def broken(name):
        @dg.asset(name=name)
        def asset():
            raise ValueError(name)

        return asset

    definitions = dg.Definitions(assets=[broken(name) for name in names])
    return definitions.resolve_implicit_global_asset_job_def()


def test_the_failure_of_one_asset_does_not_hide_that_of_another(hook, instance):
    for names in (["vectors"], ["texts"], ["vectors"]):
        alerting.run_failed(failed_run(instance, job=chosen(*names)))
    assert [alert["title"] for alert in hook.received] == [
        "A run of assets failed: vectors", "A run of assets failed: texts",
    ]  # fmt: skip


def test_the_title_of_a_failed_run_of_many_assets_has_an_end(hook, instance):
    names = [f"asset_of_a_long_name_{number:02}" for number in range(20)]
    alerting.run_failed(failed_run(instance, job=chosen(*names)))
    [alert] = hook.received
    assert alert["title"].startswith("A run of assets failed: asset_of_a_long_name_00, ")
    assert len(alert["title"]) == 200 and alert["title"][-1] == "…"


@pytest.fixture
def closed(inside, monkeypatch):
    """A data folder that this release cannot open."""
    (inside.data_dir / "schema.json").write_text('{"schema_version": 99}')
    monkeypatch.setattr(resources, "open_workspace", lambda settings: Workspace(settings).ensure())
    return inside


def test_of_a_data_folder_that_cannot_be_opened_people_are_told(
    hook, closed, checked, instance, clock
):
    alerting.run_failed(failed_run(instance))
    checked.passes["gate"] = False
    checked.run()
    Watch(alerting.checks_failed, instance, checked.definitions).look()
    judged(instance, "app_index", FreshnessState.FAIL)
    Watch(alerting.assets_not_fresh, instance).look()
    overdue = Watch(alerting.data_overdue, instance)
    assert overdue.look() == "Wrong: data folder"
    clock.hours(7)
    overdue.look()
    kinds = [alert["kind"] for alert in hook.received]
    assert kinds == ["run_failed", "check_failed", "data_stale", "data_overdue"]
    assert "schema version 99" in hook.received[-1]["text"]


def test_a_webhook_that_does_not_answer_breaks_nothing(inside, instance, monkeypatch, capsys):
    monkeypatch.setattr("embedding_assets.alerts.sending._PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__WEBHOOK_URL", "http://127.0.0.1:9/alerts")
    alerting.run_failed(failed_run(instance))
    assert "alert_not_delivered" in capsys.readouterr().out


class Checked:
    """An asset with a blocking check and one that warns, whose outcome a test sets."""

    def __init__(self, instance):
        self.instance = instance
        self.passes = {"gate": True, "drift": True}

        @dg.asset
        def vectors() -> None: ...

        @dg.asset_check(asset=vectors, blocking=True)
        def gate():
            return dg.AssetCheckResult(passed=self.passes["gate"], metadata={"recall": 0.5})

        @dg.asset_check(asset=vectors)
        def drift():
            return dg.AssetCheckResult(
                passed=self.passes["drift"],
                severity=dg.AssetCheckSeverity.WARN,
                description="Queries moved: p = 0.001.",
            )

        self.definitions = dg.Definitions(assets=[vectors], asset_checks=[gate, drift])

    def run(self):
        job = self.definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=self.instance, raise_on_error=False)


@pytest.fixture
def checked(instance):
    return Checked(instance)


def test_a_failed_blocking_check_is_told_once_until_it_passes_and_fails_anew(
    hook, checked, instance, clock, monkeypatch
):
    monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__QUIET_MINUTES", "0")
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    assert watch.look() == "Every check passes."
    checked.run()
    assert watch.look() == "Every check passes."
    checked.passes["gate"] = False
    checked.run()
    assert watch.look() == "Wrong: vectors:gate"
    checked.run()
    watch.look()
    [alert] = hook.received
    assert (alert["kind"], alert["severity"]) == ("check_failed", "error")
    assert alert["title"] == "Checks failed: vectors:gate"
    assert 'vectors:gate (blocking; {"recall": 0.5})' in alert["text"]
    checked.passes["gate"] = True
    checked.run()
    assert watch.look() == "Every check passes."
    checked.passes["gate"] = False
    checked.run()
    watch.look()
    assert len(hook.received) == 2


def test_what_reached_nobody_is_told_at_the_next_look(hook, checked, instance):
    hook.statuses = [404]
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    checked.passes["gate"] = False
    checked.run()
    watch.look()
    assert hook.received == []
    watch.look()
    watch.look()
    assert [each["kind"] for each in hook.received] == ["check_failed"]


@pytest.fixture
def box(hook, monkeypatch):
    """A mail server, beside the webhook."""
    monkeypatch.setattr("embedding_assets.alerts.sending._PAUSE_SECONDS", 0.0)
    with mail_server() as made:
        mail = {"HOST": "127.0.0.1", "PORT": str(made.port), "SECURITY": "none"}
        for name, value in mail.items():
            monkeypatch.setenv(f"EMBEDDING_ASSETS_ALERTS__SMTP_{name}", value)
        monkeypatch.setenv("EMBEDDING_ASSETS_ALERTS__EMAIL_TO", '["a@x.org"]')
        yield made


def test_what_one_way_did_not_tell_is_told_by_that_way_at_the_next_look(
    hook, box, checked, instance, clock
):
    box.answers["MAIL"] = ["451 later", "451 later"]
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    checked.passes["gate"] = False
    checked.run()
    watch.look()
    assert (len(hook.received), len(box.messages)) == (1, 0)
    for _ in range(3):
        clock.hours(2)
        watch.look()
    assert (len(hook.received), len(box.messages)) == (1, 1)
    clock.hours(24)
    watch.look()
    assert [each["kind"] for each in hook.received] == ["check_failed"]  # told within the hour
    assert len(box.messages) == 1


def test_a_way_that_never_works_keeps_no_news_from_the_other(hook, box, checked, instance):
    box.answers["MAIL"] = ["550 no"] * 9
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    checked.passes.update(gate=False, drift=False)
    checked.run()
    watch.look()
    watch.look()
    assert [each["kind"] for each in hook.received] == ["check_failed", "check_warned"]
    assert len(box.answers["MAIL"]) == 7, "one try at each look"


def test_a_check_that_warns_is_told_as_a_warning(hook, checked, instance):
    checked.passes["drift"] = False
    checked.run()
    Watch(alerting.checks_failed, instance, checked.definitions).look()
    [alert] = hook.received
    assert (alert["kind"], alert["severity"]) == ("check_warned", "warning")
    assert "Queries moved: p = 0.001." in alert["text"]


def test_a_check_that_did_not_run_after_its_asset_was_made_is_told(hook, checked, instance, clock):
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    checked.run()
    clock.hours(48)
    assert watch.look() == "Every check passes."
    instance.report_runless_asset_event(dg.AssetMaterialization("vectors"))
    clock.hours(2)
    assert watch.look() == "Wrong: vectors:drift, vectors:gate"
    assert hook.received[-1]["kind"] == "check_missing"


def test_what_came_of_the_checks_is_kept_for_those_who_do_not_know_dagster(
    inside, checked, instance
):
    checked.passes["drift"] = False
    checked.run()
    Watch(alerting.checks_failed, instance, checked.definitions).look()
    at, seen = read_checks(inside.data_dir)
    assert at
    assert {each.name: (each.state, each.blocking) for each in seen} == {
        "vectors:gate": ("passed", True), "vectors:drift": ("warned", False),
    }  # fmt: skip


def test_what_cannot_be_kept_is_told_nevertheless(hook, inside, checked, instance, capsys):
    (inside.data_dir / "seen").write_text("no folder")
    checked.passes["gate"] = False
    checked.run()
    Watch(alerting.checks_failed, instance, checked.definitions).look()
    judged(instance, "app_index", FreshnessState.FAIL)
    Watch(alerting.assets_not_fresh, instance).look()
    assert [each["kind"] for each in hook.received] == ["check_failed", "data_stale"]


def test_a_failed_check_stands_while_its_asset_is_made_anew(hook, inside, checked, instance):
    checked.passes["gate"] = False
    checked.run()
    watch = Watch(alerting.checks_failed, instance, checked.definitions)
    assert watch.look() == "Wrong: vectors:gate"
    cursor = watch.cursor
    job = checked.definitions.resolve_implicit_global_asset_job_def()
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    planned = AssetCheckEvaluationPlanned(asset_key=dg.AssetKey("vectors"), check_name="gate")
    kind = dg.DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED.value
    event = dg.DagsterEvent(kind, job.name, event_specific_data=planned)
    instance.report_dagster_event(event, run.run_id)
    assert watch.look() == "Wrong: vectors:gate"
    assert watch.cursor == cursor
    assert {each.name: each.state for each in read_checks(inside.data_dir)[1]} == {
        "vectors:gate": "failed", "vectors:drift": "passed",
    }  # fmt: skip
    assert len(hook.received) == 1


def test_assets_that_are_made_nightly_have_a_freshness_policy():
    nodes = defs.resolve_asset_graph().asset_nodes
    watched = {node.key.to_user_string() for node in nodes if node.freshness_policy == DAILY}
    assert {"raw_records", "account_embeddings", "latest_account_embeddings"} <= watched
    assert {"document_files", "document_index", "app_index"} <= watched
    assert "documents" not in watched  # made when their file changes


def judged(instance, asset, state):
    instance._report_runless_asset_event(
        FreshnessStateChange(
            key=dg.AssetKey(asset),
            new_state=state,
            previous_state=FreshnessState.UNKNOWN,
            state_change_timestamp=1_790_000_000.0,
        )
    )


def test_an_asset_that_fails_its_freshness_policy_is_told(hook, instance):
    watch = Watch(alerting.assets_not_fresh, instance)
    assert "has not been looked at" in watch.look()
    judged(instance, "document_index", FreshnessState.PASS)
    assert watch.look() == "Every asset that has been made is fresh."
    judged(instance, "document_index", FreshnessState.WARN)
    judged(instance, "app_index", FreshnessState.FAIL)
    assert watch.look() == "Wrong: app_index"
    [alert] = hook.received
    assert alert["kind"] == "data_stale" and "app_index (since 2026-09-21" in alert["text"]
    watch.look()
    assert len(hook.received) == 1


def test_what_stays_due_is_told_after_some_hours(hook, inside, instance, clock):
    watch = Watch(alerting.data_overdue, instance)
    assert watch.look() == "Nothing is due."
    write_records(inside.source / "a.parquet", orders(3, 4))
    assert "raw_records[2026-03-03]" in watch.look()
    clock.hours(5)
    watch.look()
    assert hook.received == []
    clock.hours(2)
    watch.look()
    [alert] = hook.received
    assert alert["kind"] == "data_overdue" and "raw_records[2026-03-03]: " in alert["text"]
    settle(instance)
    assert watch.look() == "Nothing is due."


def test_where_there_are_no_folders_nothing_is_due(inside, instance):
    for folder in (inside.source, inside.documents):
        shutil.rmtree(folder)
    assert Watch(alerting.data_overdue, instance).look() == "Nothing is due."
