"""What automations say of runs: which are not finished, and which partitions one covers."""

import time
from pathlib import Path

import dagster as dg
from dagster import DagsterRunStatus

from embedding_assets.defs.resources import run_lock
from embedding_assets.storage.lock import holder, signer

_FORGOTTEN_SECONDS = 30 * 86_400
"""A lock of a run that this instance does not know may be another instance's so long."""

UNFINISHED = [
    DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]  # fmt: skip


def unfinished_runs(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    """The runs of a job that are queued or running."""
    return list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED)))


def end_killed_runs(instance: dg.DagsterInstance, data_dir: Path) -> list[dg.DagsterRun]:
    """The runs that are called started and whose process has ended, now marked as failed, so that
    they are told, begin again and keep no other run waiting.

    The code server tells of a run that was killed, but not after it was killed with it. A run's
    own process holds a lock in the data folder (`run_lock`), which its death releases wherever it
    ran. Runs without such a lock are left alone: those of other code, of other data folders, and
    those whose steps are processes of their own.
    """
    killed = []
    for path in sorted(run_lock(data_dir, "*").parent.glob("*.lock")):
        if holder(path) is not None:
            continue
        run = instance.get_run_by_id(path.stem)  # read once the process is gone: its last word
        if run is None:
            if time.time() - path.stat().st_mtime > _FORGOTTEN_SECONDS:
                path.unlink(missing_ok=True)
        elif run.is_finished:
            path.unlink(missing_ok=True)
        elif run.status == DagsterRunStatus.STARTED and _began_in(instance, run, signer(path)):
            instance.report_run_failed(run, "Its process was killed, with the code server.")
            killed.append(run)
    return killed


def _began_in(instance: dg.DagsterInstance, run: dg.DagsterRun, pid: int | None) -> bool:
    """Whether it was the process of the run itself, and not of one of its steps."""
    kind = dg.DagsterEventType.RUN_START
    found = instance.get_records_for_run(run.run_id, of_type=kind, limit=1).records
    events = [record.event_log_entry.dagster_event for record in found]
    return pid is not None and pid in [event.pid for event in events if event]


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which one run covers all partitions from `first` to `last`."""
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
