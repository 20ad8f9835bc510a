"""What automations say of runs: which are not finished, and which partitions one covers."""

import dagster as dg
from dagster import DagsterRunStatus

from embedding_assets.storage.files import is_alive

_LAUNCHED_TAG = ".dagster/grpc_info"
"""Of runs whose process Dagster's default launcher started, on the machine of the code server."""

UNFINISHED = [
    DagsterRunStatus.QUEUED, DagsterRunStatus.NOT_STARTED, DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
]  # fmt: skip


def unfinished_runs(instance: dg.DagsterInstance, job: str) -> list[dg.DagsterRun]:
    """The runs of a job that are queued or running."""
    return list(instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNFINISHED)))


def end_killed_runs(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that are called started and have no process any more, now marked as failed, so
    that they are told, begin again and keep no other run waiting.

    The code server tells of a run that was killed, but not after it was killed with it.
    """
    filters = dg.RunsFilter(statuses=[DagsterRunStatus.STARTED])
    killed = []
    for run in instance.get_runs(filters):
        pid = _process_of(instance, run) if _LAUNCHED_TAG in run.tags else None
        if pid is not None and not is_alive(pid):
            instance.report_run_failed(run, f"Its process {pid} was killed, with the code server.")
            killed.append(run)
    return killed


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> int | None:
    kind = dg.DagsterEventType.RUN_START
    for record in instance.get_records_for_run(run.run_id, of_type=kind, limit=1).records:
        event = record.event_log_entry.dagster_event
        return event.pid if event else None
    return None


def range_tags(first: str, last: str) -> dict[str, str]:
    """The tags by which one run covers all partitions from `first` to `last`."""
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
