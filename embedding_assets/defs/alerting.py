"""Word of what goes wrong: failed runs, failed and missing checks, data that are not fresh.

Each sensor says in its ticks what it saw; what it tells goes to the log, the webhook and the mail
that the settings name.
"""

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from embedding_assets.alerts import Alert, Delivery, Severity, Way, send, set_up
from embedding_assets.alerts.seen import (
    CheckSeen,
    FreshnessSeen,
    read_checks,
    write_checks,
    write_freshness,
)
from embedding_assets.alerts.standing import Standing
from embedding_assets.defs.check_states import checks_seen, gate_check, gates_seen
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import end_killed_runs
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.overdue import due_now, sample
from embedding_assets.settings import load_settings

if TYPE_CHECKING:
    from dagster._core.definitions.freshness import FreshnessStateRecord
    from dagster_shared.error import SerializableErrorInfo

_UNNAMED_JOB = "__"
"""How the name begins that Dagster gives to the job of every run of chosen assets."""
_MOST_NAMED = 20


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
    broken = context.get_step_failure_events()
    steps = [step.step_key for step in broken if step.step_key]
    causes = [_cause(step.step_failure_data.error) for step in broken[:3]]
    facts = {
        "run_id": run.run_id,
        "job": run.job_name,
        "steps": steps,
        "tried_again": again,
        "tags": {name: value for name, value in run.tags.items() if name[0] != "."},
    }
    text = "\n".join([error, *causes, *(["It is tried again by itself."] if again else [])])
    severity: Severity = "warning" if again else "error"
    _send(Alert("run_failed", _failure(run, steps), text, facts, severity))


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
def checks_failed(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.SensorResult:
    """Tells of each asset check that does not pass, gates and drift among them, and of each that
    did not run after its asset was made: when it begins, and each day while it stays so. What a
    check has told by itself is left to it."""
    _, before = read_checks(_data_dir())
    known = {each.name: each for each in before}
    seen = [*checks_seen(context, known, time.time()), *_gates(context, workspace, before)]
    with _noted(context):
        write_checks(_data_dir(), seen, time.time())
    wrong = {each.name: each for each in seen if each.state != "passed"}
    look = _Look(context, wrong)
    for what in _CHECKS_TOLD:
        mine = {name: each for name, each in wrong.items() if each.kind == what.kind}
        words = {
            name: f"{name} ({'blocking; ' * each.blocking}{each.why})"
            for name, each in mine.items()
        }
        heard = {name: each.told for name, each in mine.items()}
        look.tell(what, words, lambda due: {"checks": [asdict(wrong[name]) for name in due]}, heard)
    return look.result("Every check passes.")


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
    look = _Look(context, late)
    what = _Told("data_stale", "Not made for too long", "error")
    words = {name: f"{name} ({since})" for name, since in late.items()}
    look.tell(what, words, lambda _: {"assets": late})
    return look.result("Every asset that has been made is fresh.")


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
    look = _Look(context, found, hours * 3_600)
    what = _Told("data_overdue", f"Due for {hours:g} hours and not made", "error")
    words = {name: f"{name}: {why}" for name, why in found.items()}
    look.tell(what, words, lambda due: {"partitions": due[:_MOST_NAMED]})
    return look.result("Nothing is due.")


class _Look:
    """One look of a sensor: what stands is told by each way by which it is due, so that one that
    failed is tried again at the next look and the others are not."""

    def __init__(
        self,
        context: dg.SensorEvaluationContext,
        wrong: Collection[str],
        after_seconds: float = 0.0,
    ) -> None:
        self.context, self.after, self.now = context, after_seconds, time.time()
        self.wrong = sorted(wrong)
        self.standing = Standing.from_json(context.cursor).at({*wrong}, self.now)
        self.ways = set_up(load_settings().alerts)

    def tell(
        self,
        what: _Told,
        words: Mapping[str, str],
        facts: Callable[[list[str]], Mapping[str, object]],
        heard: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Tell of what is due, all of it at once. words, facts: of each, and of those that are
        told. heard: by which ways people have it already."""
        due: dict[tuple[str, ...], list[Way]] = {}
        for way in self.ways:
            wanted = words.keys() & self.standing.due(way, self.now, self.after)
            fresh = tuple(sorted(n for n in wanted if way not in (heard or {}).get(n, ())))
            due.setdefault(fresh, []).append(way)
        for names, ways in due.items():
            if names:
                self._send(_alert(what, [*names], words, facts([*names])), names, ways)

    def _send(self, alert: Alert, names: Collection[str], ways: Collection[Way]) -> None:
        self.context.log.error(f"{alert.title}\n{alert.text}")
        made = {each.way: each.state for each in _send(alert, ways)}
        reached = [way for way in ways if made.get(way) == "delivered"]
        self.standing = self.standing.telling(names, reached, time.time())
        # who is not reached must not hold up a tick for long
        self.ways = tuple(way for way in self.ways if made.get(way) != "failed")

    def result(self, fine: str) -> dg.SensorResult:
        """What the tick says, and what is remembered for the next one."""
        reason = f"Wrong: {', '.join(self.wrong[:_MOST_NAMED])}" if self.wrong else fine
        return dg.SensorResult(skip_reason=reason, cursor=self.standing.to_json())


def _alert(
    what: _Told, names: list[str], words: Mapping[str, str], facts: Mapping[str, object]
) -> Alert:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    lines = [words[name] for name in names[:_MOST_NAMED]]
    if len(names) > _MOST_NAMED:
        lines.append(f"… and {len(names) - _MOST_NAMED} more")
    title = f"{what.title}: {', '.join(names[:3])}{more}"
    return Alert(what.kind, title, "\n".join(lines), facts, what.severity)


def _gates(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource, before: Collection[CheckSeen]
) -> list[CheckSeen]:
    """What the gates say; as they were seen before where that cannot be read."""
    try:
        return list(gates_seen(workspace.open()))
    except (OSError, EmbeddingAssetsError) as error:
        context.log.error(f"What the gates say cannot be looked at: {error}")
        return [each for each in before if each.name.startswith(gate_check(""))]


def _failure(run: dg.DagsterRun, steps: Collection[str]) -> str:
    """The title of a failed run: it names the steps, so that the failure of one asset is news
    though another one's was told of the same job."""
    job, failed = run.job_name, sorted(steps)
    if job.startswith(_UNNAMED_JOB):
        chosen = sorted(key.to_user_string() for key in run.asset_selection or ())
        job, failed = "assets", failed or chosen
    return f"A run of {job} failed{': ' * bool(failed)}{', '.join(failed)}"


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


def _data_dir() -> Path:
    return load_settings().data_dir.expanduser()


def _send(alert: Alert, only: Collection[Way] | None = None) -> tuple[Delivery, ...]:
    """Tell people by the settings alone: also of a data folder that cannot be opened."""
    return send(alert, load_settings().alerts, _data_dir(), only)


@contextmanager
def _noted(context: dg.SensorEvaluationContext) -> Iterator[None]:
    """What was seen is told though it cannot be kept."""
    try:
        yield
    except (OSError, EmbeddingAssetsError) as error:
        context.log.error(f"What was seen cannot be kept for the metrics: {error}")
