"""What came of the checks: as Dagster last ran them; of the gates, as the data folder has them."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg

from embedding_assets.alerts.seen import CheckSeen
from embedding_assets.release.gate_table import GATES, GATES_TABLE, Judgement
from embedding_assets.workspace import Workspace

if TYPE_CHECKING:
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

TOLD_BY = "told_by"
"""Metadata of a check that tells of what it finds by itself: the ways by which it has."""
_GRACE_SECONDS = 3_600
"""A check may be run by itself this much later than its asset before it counts as missing."""
_MOST_WORDS = 300


def checks_seen(
    context: dg.SensorEvaluationContext, before: Mapping[str, CheckSeen], now: float
) -> Iterator[CheckSeen]:
    """What came of each check but the gates when it last ran, as it was seen before where its asset
    is being made just now; nothing of those whose asset was never made."""
    assert context.repository_def is not None
    graph, instance = context.repository_def.asset_graph, context.instance
    gates = dg.AssetKey(GATES_TABLE)
    keys = sorted(key for key in graph.asset_check_keys if key.asset_key != gates)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    made = instance.get_latest_materialization_events({key.asset_key for key in keys})
    for key in keys:
        run = _Run(latest.get(key), made.get(key.asset_key), now)
        name = f"{key.asset_key.to_user_string()}:{key.name}"
        if run.is_at_work(instance):
            yield from filter(None, [before.get(name)])
            continue
        if run.is_new:
            continue
        state, why = run.outcome()
        yield CheckSeen(name, state, graph.get(key).blocking, why, run.at, run.told)


def gates_seen(workspace: Workspace) -> Iterator[CheckSeen]:
    """What the gates say of the model that is tried now, whoever had it judged: a run, or the
    command line. Nothing while none is tried, or while it was not judged against the model that
    serves."""
    seats = workspace.seats
    tried = seats.challenger
    found = Judgement.stored(workspace.table(GATES_TABLE)) if tried else None
    if tried is None or found is None:
        return
    pair = (tried.seat.fingerprint, seats.champion.fingerprint)
    if (found.challenger, found.champion) != pair:
        return
    given = {gate.name: gate for gate in found.gates}
    for name in GATES:
        gate = given.get(name)
        state = "passed" if gate and gate.is_open else "failed"
        words = f"{gate.verdict}: {gate.words}" if gate else "missing: was not judged"
        why = "" if state == "passed" else _cut(words)
        yield CheckSeen(gate_check(name), state, True, why, found.at.timestamp())


def gate_check(name: str) -> str:
    """How the check of a gate is called; of none in particular, how all of them begin."""
    return f"{GATES_TABLE}:{GATES_TABLE}_{name}"


@dataclass(frozen=True)
class _Run:
    """The latest execution of a check, and the latest materialization of its asset."""

    record: "AssetCheckExecutionRecord | None"
    made: dg.EventLogEntry | None
    now: float

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
    def told(self) -> tuple[str, ...]:
        """The ways by which the check itself has told of what it found."""
        said = self.evaluation.metadata.get(TOLD_BY) if self.evaluation else None
        ways = said.value if isinstance(said, dg.JsonMetadataValue) else None
        return tuple(map(str, ways or ()))

    @property
    def is_new(self) -> bool:
        """Whether the check never ran, and need not have."""
        made = self.made.timestamp if self.made else math.inf
        return self.evaluation is None and self.now <= made + _GRACE_SECONDS

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
        if data is None or (made > self.at and self.now > made + _GRACE_SECONDS):
            return "missing", "it did not run after its asset was made"
        if data.passed:
            return "passed", ""
        words = data.description or json.dumps({n: v.value for n, v in data.metadata.items()},
                                               default=str)  # fmt: skip
        state = "warned" if data.severity == dg.AssetCheckSeverity.WARN else "failed"
        return state, _cut(words)


def _cut(words: str) -> str:
    return words if len(words) <= _MOST_WORDS else f"{words[: _MOST_WORDS - 1]}…"
