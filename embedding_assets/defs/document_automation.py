"""When documents are read by themselves: a sensor on the watched folder, and an hourly look for
what is still missing, stale or worth another try."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

import dagster as dg

from embedding_assets.defs.documents import (
    doc_categories,
    doc_chunks,
    doc_vectors,
    document_classifier,
    document_files,
    document_index,
    read_documents,
)
from embedding_assets.defs.entities import doc_entities, entity_model
from embedding_assets.defs.partitions import doc_ids
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import range_tags, unfinished_runs
from embedding_assets.errors import StoreLockedError
from embedding_assets.library import Library, Work
from embedding_assets.settings import load_settings
from embedding_assets.storage.lock import locked
from embedding_assets.storage.slices import digest_of

SYNC_TAG = "embedding_assets/sync"
"""Marks runs inside `embedding-assets documents sync`, which holds a lock until they end."""
_TOO_MANY_AT_ONCE = 10
"""A folder that was full and is empty is more often a lost mount than a wish."""
_automation = load_settings().automation

documents_job = dg.define_asset_job(
    "documents",
    selection=dg.AssetSelection.assets(
        document_files,
        read_documents,
        doc_chunks,
        doc_vectors,
        document_classifier,
        doc_categories,
        entity_model,
        doc_entities,
        document_index,
    ),  # fmt: skip
    description="Documents to vectors to the index that is searched, in one run for any of them.",
)

document_index_job = dg.define_asset_job(
    "document_cleanup",
    selection=dg.AssetSelection.assets(document_files, document_index),
    description="Takes documents that are gone out of every asset and of the index.",
)


@dataclass(frozen=True)
class Request:
    """The run that the documents need, and how the dynamic partitions must change before it.

    add: keys in the order in which they are added; delete: keys that go, before that.
    job: None when nothing is to be done. tags: name the range of keys.
    """

    job: str | None
    add: Sequence[str] = ()
    delete: Sequence[str] = ()
    tags: dict[str, str] | None = None


def request_for(work: Work, registered: Sequence[str]) -> Request:
    """One run over just the documents of `work`, whatever is `registered` in between them.

    Dagster names the partitions of a run by a range of keys in the order in which they were
    added. Documents that lie scattered in it are taken out and added again: they stand at the end
    then, side by side. What Dagster knows of them stays, as it is kept by key.
    """
    kept = [key for key in registered if key in work.present]
    gone = [key for key in registered if key not in work.present]
    known = [key for key in kept if key in work.keys]
    new = sorted(work.keys - set(known))
    others = sorted(work.present - set(kept) - work.keys)
    if not work.keys:
        is_due = gone or work.deleted or work.index_is_stale
        return Request(document_index_job.name if is_due else None, others, gone)
    is_last = kept[len(kept) - len(known) :] == known
    if is_last or (not new and _are_neighbours(kept, known)):
        return Request(documents_job.name, [*new, *others], gone, _range([*known, *new]))
    moved = [*known, *new]
    return Request(documents_job.name, [*moved, *others], [*gone, *known], _range(moved))


@dg.sensor(
    jobs=[documents_job, document_index_job],
    minimum_interval_seconds=_automation.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def document_files_changed(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.SensorResult | dg.SkipReason:
    """New, changed and deleted files of `documents.source`, told by their content: one run reads
    the changed ones, chunks and embeds them, and publishes the index without the deleted ones.

    A file that is still being written is left until it is complete. While a run is queued or
    running nothing changes.
    """
    library = workspace.open().library
    if not library.folder.is_dir():
        return dg.SkipReason(f"The folder of documents, {library.folder}, does not exist.")
    signature = library.signature()
    if signature == context.cursor:
        return dg.SkipReason("No document has changed.")
    if _is_busy(context.instance, library):
        return dg.SkipReason("Documents have changed; a documents run is queued or running.")
    return _result(context.instance, library, signature)


@dg.schedule(
    job=documents_job, cron_schedule="50 * * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def backfill_documents(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Hourly: one run over the registered documents that are missing or stale, for example after
    a failed run, a change of settings or of the model, and over those whose reading failed for a
    passing reason; also when a run ended before it built the index."""
    library = workspace.open().library
    if not library.folder.is_dir():
        return dg.SkipReason(f"The folder of documents, {library.folder}, does not exist.")
    if _is_busy(context.instance, library):
        return dg.SkipReason("A documents run is queued or running.")
    registered = list(context.instance.get_dynamic_partitions(str(doc_ids.name)))
    work = library.work(library.inventory())
    covering = [key for key in registered if key in work.keys]
    if not covering and work.index_is_stale:
        covering = registered[-1:]  # costs nothing; the index comes after it
    if not covering:
        return dg.SkipReason("Every registered document is fresh.")
    return dg.RunRequest(job_name=documents_job.name, tags=_range(covering))


@dg.schedule(
    job=document_index_job, cron_schedule="35 0 * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def daily_documents(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Nightly, whatever has changed: one run that finds the index as it should be, so that it is
    known to be fresh; it publishes nothing where nothing changed."""
    library = workspace.open().library
    if not library.folder.is_dir():
        return dg.SkipReason(f"The folder of documents, {library.folder}, does not exist.")
    if _is_busy(context.instance, library):
        return dg.SkipReason("A documents run is queued or running.")
    if not library.table("document_files").footer():
        return dg.SkipReason("No document was ever read.")
    work = library.work(library.inventory())
    if not work.present and work.deleted:  # that is the sensor's to judge
        return dg.SkipReason(f"{library.folder} is empty.")
    return dg.RunRequest()


def _result(
    instance: dg.DagsterInstance, library: Library, signature: str
) -> dg.SensorResult | dg.SkipReason:
    inventory = library.inventory()
    registered = instance.get_dynamic_partitions(str(doc_ids.name))
    work = library.work(inventory)
    if not work.present and len(work.deleted) >= _TOO_MANY_AT_ONCE:
        return dg.SkipReason(
            f"{library.folder} is empty: all {len(work.deleted)} documents would be removed. "
            "Mount it again; or, if they are meant to go, run `embedding-assets documents sync`."
        )
    request = request_for(work, registered)
    changes: list[dg.DeleteDynamicPartitionsRequest | dg.AddDynamicPartitionsRequest] = []
    if request.delete:
        changes.append(doc_ids.build_delete_request(list(request.delete)))
    if request.add:
        changes.append(doc_ids.build_add_request(list(request.add)))
    runs = []
    if request.job:
        # Not the signature alone: a file that is complete only now leaves it as it was.
        key = digest_of(signature, sorted(work.keys), sorted(work.deleted))
        runs.append(dg.RunRequest(job_name=request.job, run_key=key, tags=request.tags or {}))
    unsettled = len(inventory.unsettled)
    waiting = f"{unsettled} files are still being written." if unsettled else None
    return dg.SensorResult(
        run_requests=runs or None,
        skip_reason=None if runs else waiting or "The documents are the same.",
        # Without a new cursor the sensor looks again, when those files are complete.
        cursor=None if unsettled else signature,
        dynamic_partitions_requests=changes,
    )


def is_busy(instance: dg.DagsterInstance) -> bool:
    """Whether a run of documents is queued or running."""
    return bool(_unfinished(instance))


def end_dead_runs(instance: dg.DagsterInstance) -> None:
    """Mark runs of `documents sync` as failed whose process was killed, which nothing else tells.

    For whoever knows that no synchronisation is at work.
    """
    for run in _unfinished(instance):
        if SYNC_TAG in run.tags:
            instance.report_run_failed(run, "The process of `documents sync` was killed.")


def _is_busy(instance: dg.DagsterInstance, library: Library) -> bool:
    if not is_busy(instance):
        return False
    with suppress(StoreLockedError), locked(library.sync_lock, timeout_seconds=0):
        end_dead_runs(instance)
    return is_busy(instance)


def _unfinished(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    return [
        run
        for job in (documents_job, document_index_job)
        for run in unfinished_runs(instance, job.name)
    ]


def _range(keys: Sequence[str]) -> dict[str, str]:
    return range_tags(keys[0], keys[-1])


def _are_neighbours(order: Sequence[str], keys: Sequence[str]) -> bool:
    start = order.index(keys[0])
    return list(order[start : start + len(keys)]) == list(keys)
