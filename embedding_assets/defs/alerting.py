"""Word of what goes wrong: failed runs, failed and missing checks, data that are not fresh.

Each sensor says in its ticks what it saw; what it tells goes to the log, the webhook and the mail
that the settings name.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from embedding_assets.alerts import Alert, Delivery, Severity, send
from embedding_assets.alerts.seen import (
    CheckSeen,
    FreshnessSeen,
    read_checks,
    write_checks,
    write_freshness,
)
from embedding_assets.alerts.standing import Standing
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import end_killed_runs
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.overdue import due_now, sample
from embedding_assets.settings import load_settings

if TYPE_CHECKING:
    from dagster._core.definitions.freshness import FreshnessStateRecord
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord
    from dagster_shared.error import SerializableErrorInfo

_GRACE_SECONDS = 3_600
"""A check may be run by itself this much later than its asset before it counts as missing."""
_SELF_TOLD = ("embedding_drift:", "model_performance:")
"""Checks that tell of what they find by themselves, with a proposal."""
_MOST_NAMED = 20
_MOST_WORDS = 300


@dataclass(frozen=True)
class _Told:
    kind: str
    title: str
    severity: Severity


_CHECKS_TOLD = (
    _Told("check_failed", "Checks failed", "error"),
    _Told("check_warned", "Checks warn", "warning"),
    _Told("check_missing", "Checks did not run", "warning"),
)


@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def run_failed(context: dg.RunFailureSensorContext) -> None:
    """Tells of each failed run, and whether it is tried again by itself."""
    run, error = context.dagster_run, context.failure_event.message or "It gave no reason."
    again = run.tags.get("dagster/will_retry") == "true"
    context.log.error(f"Run {run.run_id} of {run.job_name} failed: {error}")
    steps = context.get_step_failure_events()
    causes = [_cause(step.step_failure_data.error) for step in steps[:3]]
    facts = {
        "run_id": run.run_id,
        "job": run.job_name,
        "steps": [step.step_key for step in steps],
        "tried_again": again,
        "tags": {name: value for name, value in run.tags.items() if name[0] != "."},
    }
    text = "\n".join([error, *causes, *(["It is tried again by itself."] if again else [])])
    severity: Severity = "warning" if again else "error"
    _send(Alert("run_failed", f"A run of {run.job_name} failed", text, facts, severity))


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def runs_killed(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Marks runs as failed that were killed together with the code server, which nothing else
    tells: then `run_failed` tells of them, and they begin again."""
    killed = end_killed_runs(context.instance, _data_dir())
    for run in killed:
        context.log.error(f"Run {run.run_id} of {run.job_name} was killed.")
    names = ", ".join(run.run_id for run in killed)
    return dg.SkipReason(f"Killed: {names}" if killed else "No run was killed.")


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def checks_failed(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Tells of each asset check that does not pass, gates and drift among them, and of each that
    did not run after its asset was made: when it begins, and each day while it stays so."""
    _, before = read_checks(_data_dir())
    seen = list(_checks(context, {each.name: each for each in before}))
    with _noted(context):
        write_checks(_data_dir(), seen, time.time())
    wrong = {each.name: each for each in seen if each.state != "passed"}
    standing, due = _looked(context.cursor, set(wrong))
    for what in _CHECKS_TOLD:
        mine = [wrong[name] for name in sorted(due) if wrong[name].kind == what.kind]
        if what.kind == "check_warned":
            mine = [each for each in mine if not each.name.startswith(_SELF_TOLD)]
        if not mine:
            continue
        told = [f"{each.name} ({'blocking; ' * each.blocking}{each.why})" for each in mine]
        if not _tell(context, what, told, {"checks": [asdict(each) for each in mine]}):
            break  # the next look tries again: who is not reached must not hold up a tick for long
        standing = standing.telling({each.name for each in mine}, time.time())
    return _result(standing, sorted(wrong), "Every check passes.")


@dg.sensor(minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def assets_not_fresh(
    context: dg.SensorEvaluationContext,
) -> dg.SensorResult | dg.SkipReason:
    """Tells of assets that fail their freshness policy: no run has made, or looked through, them
    for longer than `alerts.stale_hours`."""
    assert context.repository_def is not None
    nodes = context.repository_def.asset_graph.asset_nodes
    keys = [node.key for node in nodes if node.freshness_policy is not None]
    records = context.instance.get_freshness_state_records(keys)
    if not records:
        return dg.SkipReason("Freshness has not been looked at: `freshness` in dagster.yaml.")
    made = context.instance.get_latest_materialization_events(keys)
    with _noted(context):
        write_freshness(_data_dir(), _freshness(records, made), time.time())
    late = {
        key.to_user_string(): f"since {record.updated_at:%Y-%m-%d %H:%M} UTC"
        for key, record in records.items()
        if record.freshness_state.value == "FAIL"
    }
    standing, due = _looked(context.cursor, set(late))
    if due:
        told = [f"{name} ({late[name]})" for name in sorted(due)]
        what = _Told("data_stale", "Not made for too long", "error")
        if _tell(context, what, told, {"assets": late}):
            standing = standing.telling(due, time.time())
    return _result(standing, sorted(late), "Every asset that has been made is fresh.")


@dg.sensor(minimum_interval_seconds=3_600, default_status=dg.DefaultSensorStatus.RUNNING)
def data_overdue(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.SensorResult:
    """Tells of days and documents that are missing, stale or blocked for `alerts.overdue_hours`,
    in which sensors and hourly schedules should have had them made."""
    known = set(Standing.from_json(context.cursor).since)
    try:
        found = {name: each.why for name, each in sample(due_now(workspace.open()), known).items()}
    except EmbeddingAssetsError as error:  # what was due still is: nothing can be made meanwhile
        context.log.error(f"What is due cannot be looked at: {error}")
        found = dict.fromkeys({*known, "data folder"}, str(error))
    hours = load_settings().alerts.overdue_hours
    standing, due = _looked(context.cursor, set(found), hours * 3_600)
    if due:
        told = [f"{name}: {found[name]}" for name in sorted(due)]
        what = _Told("data_overdue", f"Due for {hours:g} hours and not made", "error")
        if _tell(context, what, told, {"partitions": sorted(due)[:_MOST_NAMED]}):
            standing = standing.telling(due, time.time())
    return _result(standing, sorted(found), "Nothing is due.")


def _cause(error: "SerializableErrorInfo | None") -> str:
    """What was raised in the first place, without the frames around it."""
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else ""


def _freshness(
    records: "Mapping[dg.AssetKey, FreshnessStateRecord]",
    made: Mapping[dg.AssetKey, dg.EventLogEntry | None],
) -> Iterator[FreshnessSeen]:
    for key, record in sorted(records.items()):
        event = made.get(key)
        at = event.timestamp if event else 0.0
        yield FreshnessSeen(key.to_user_string(), record.freshness_state.value, at)


def _looked(
    cursor: str | None, wrong: set[str], after_seconds: float = 0.0
) -> tuple[Standing, set[str]]:
    """What stands after this look, and what of it is to be told."""
    now = time.time()
    standing = Standing.from_json(cursor).at(wrong, now)
    return standing, standing.due(now, after_seconds)


def _data_dir() -> Path:
    return load_settings().data_dir.expanduser()


def _send(alert: Alert) -> tuple[Delivery, ...]:
    """Tell people by the settings alone: also of a data folder that cannot be opened."""
    settings = load_settings()
    return send(alert, settings.alerts, settings.data_dir.expanduser())


@contextmanager
def _noted(context: dg.SensorEvaluationContext) -> Iterator[None]:
    """What was seen is told though it cannot be kept."""
    try:
        yield
    except (OSError, EmbeddingAssetsError) as error:
        context.log.error(f"What was seen cannot be kept for the metrics: {error}")


def _tell(
    context: dg.SensorEvaluationContext,
    what: _Told,
    told: list[str],
    facts: Mapping[str, object],
) -> bool:
    """Tell of several things at once; whether somebody was reached, or there is only the log."""
    names = ", ".join(each.partition(" ")[0] for each in told[:3])
    more = f" and {len(told) - 3} more" if len(told) > 3 else ""
    context.log.error(f"{what.title}: {'; '.join(told[:_MOST_NAMED])}")
    rest = [f"… and {len(told) - _MOST_NAMED} more"] if len(told) > _MOST_NAMED else []
    text = "\n".join([*told[:_MOST_NAMED], *rest])
    title = f"{what.title}: {names}{more}"
    made = _send(Alert(what.kind, title, text, facts, what.severity))
    ways = [each.state for each in made if each.way != "log"]
    return "delivered" in ways or not {"failed", "held back"} & {*ways}


def _result(standing: Standing, wrong: list[str], fine: str) -> dg.SensorResult:
    reason = f"Wrong: {', '.join(wrong[:_MOST_NAMED])}" if wrong else fine
    return dg.SensorResult(skip_reason=reason, cursor=standing.to_json())


def _checks(
    context: dg.SensorEvaluationContext, before: Mapping[str, CheckSeen]
) -> Iterator[CheckSeen]:
    """What came of each check when it last ran, as it was seen before where its asset is being made
    just now; nothing of those whose asset was never made."""
    assert context.repository_def is not None
    graph, instance = context.repository_def.asset_graph, context.instance
    keys = sorted(graph.asset_check_keys)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    made = instance.get_latest_materialization_events({key.asset_key for key in keys})
    for key in keys:
        run = _Run(latest.get(key), made.get(key.asset_key))
        name = f"{key.asset_key.to_user_string()}:{key.name}"
        if run.is_at_work(instance):
            yield from filter(None, [before.get(name)])
            continue
        if run.is_new:
            continue
        state, why = run.outcome()
        yield CheckSeen(name, state, graph.get(key).blocking, why, run.at)


@dataclass(frozen=True)
class _Run:
    """The latest execution of a check, and the latest materialization of its asset."""

    record: "AssetCheckExecutionRecord | None"
    made: dg.EventLogEntry | None

    @property
    def evaluation(self) -> dg.AssetCheckEvaluation | None:
        event = self.record.event if self.record else None
        data = event.dagster_event.event_specific_data if event and event.dagster_event else None
        return data if isinstance(data, dg.AssetCheckEvaluation) else None

    @property
    def at(self) -> float:
        if self.evaluation is None or self.record is None or self.record.event is None:
            return 0.0
        return float(self.record.event.timestamp)

    @property
    def is_new(self) -> bool:
        """Whether the check never ran, and need not have."""
        made = self.made.timestamp if self.made else math.inf
        return self.evaluation is None and time.time() <= made + _GRACE_SECONDS

    def is_at_work(self, instance: dg.DagsterInstance) -> bool:
        """Whether the run that made the asset, or was to run the check, is not finished."""
        if self.evaluation is not None and (self.made is None or self.made.timestamp <= self.at):
            return False
        ids = {each.run_id for each in (self.record, self.made) if each is not None}
        runs = (instance.get_run_by_id(each) for each in ids)
        return any(run is not None and not run.is_finished for run in runs)

    def outcome(self) -> tuple[str, str]:
        """The state of the check, and why."""
        data, made = self.evaluation, self.made.timestamp if self.made else 0.0
        if data is None or (made > self.at and time.time() > made + _GRACE_SECONDS):
            return "missing", "it did not run after its asset was made"
        if data.passed:
            return "passed", ""
        words = data.description or json.dumps({n: v.value for n, v in data.metadata.items()},
                                               default=str)  # fmt: skip
        state = "warned" if data.severity == dg.AssetCheckSeverity.WARN else "failed"
        return state, words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 1]}…"
