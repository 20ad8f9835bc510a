"""What the sensor does for documents, at once and without a daemon."""

import os
import shlex
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import dagster as dg

from embedding_assets.defs.document_automation import (
    SYNC_TAG,
    Request,
    end_dead_runs,
    is_busy,
    request_for,
)
from embedding_assets.defs.partitions import doc_ids
from embedding_assets.documents.inventory import DocumentInventory
from embedding_assets.storage.lock import locked
from embedding_assets.workspace import Workspace

_NAME = str(doc_ids.name)
_LONGEST_WAIT_SECONDS = 60.0
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""What fails is raised; what is quarantined is counted."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Synced:
    """What a synchronisation did.

    partition_range: the registered keys that need a run, as Dagster's command line names them;
    None when none does. unsettled: documents that are still being written.
    """

    documents: int
    to_run: int
    deleted: int
    unsettled: int
    quarantined: int
    partition_range: str | None
    run_id: str | None


def sync(workspace: Workspace, *, register_only: bool, say: Say) -> Synced:
    """Register the documents of the watched folder as partitions and run those that need it.

    register_only: leaves the run to `dagster asset materialize`. Files that are still being
    written, and a run that the sensor began, are waited for, a minute at the most; another
    synchronisation as long as `storage.lock_timeout_seconds` says.
    Raises what the run raises, InputNotFoundError without a folder, StoreLockedError.
    """
    library = workspace.library
    timeout = workspace.settings.storage.lock_timeout_seconds
    with _instance() as instance, locked(library.sync_lock, timeout):
        _wait_for_runs(instance, say)
        inventory = _settled(workspace, say)
        work = library.work(inventory)
        request = request_for(work, instance.get_dynamic_partitions(_NAME))
        _register(instance, request)
        run_id = None
        if request.job and not register_only:
            say(f"Documents to read: {len(work.keys)}, to remove: {len(work.deleted)} ...")
            run_id = _run(instance, request.job, request.tags or {})
    return Synced(
        documents=len(work.present),
        to_run=len(work.keys),
        deleted=len(work.deleted),
        unsettled=len(inventory.unsettled),
        quarantined=len(library.quarantined()),
        partition_range="...".join(request.tags.values()) if request.tags else None,
        run_id=run_id,
    )


def redrive(workspace: Workspace, *, say: Say) -> Synced:
    """Try all quarantined documents again; see `sync`."""
    table = workspace.library.table("quarantined_documents")
    for doc_id in table.keys():
        table.remove(doc_id)
    return sync(workspace, register_only=False, say=say)


def unregister(doc_id: str) -> int:
    """Take a document out of the partitions that DAGSTER_HOME knows; how many keys that were.

    A run at work may need the key for its range; then the next synchronisation takes it out.
    """
    with _instance() as instance:
        goes = instance.has_dynamic_partition(_NAME, doc_id) and not is_busy(instance)
        if goes:
            instance.delete_dynamic_partition(_NAME, doc_id)
    return int(goes)


def sync_text(done: Synced) -> str:
    """What was done, for people."""
    lines = [
        f"{done.documents:,} documents, {done.to_run:,} to run, {done.deleted:,} removed, "
        f"{done.quarantined:,} in quarantine"
        + (f", {done.unsettled:,} still being written" if done.unsettled else "")
    ]
    if done.run_id:
        lines.append(f"run {done.run_id} succeeded")
    elif done.partition_range:
        lines.append(f"--partition-range {shlex.quote(done.partition_range)}")
    return "\n".join(lines)


def _settled(workspace: Workspace, say: Say) -> DocumentInventory:
    """The inventory once nothing in the folder is still being written."""
    give_up = time.monotonic() + _LONGEST_WAIT_SECONDS
    inventory = workspace.library.inventory()
    while inventory.unsettled and time.monotonic() < give_up:
        say(f"Waiting for {len(inventory.unsettled)} files that are still being written ...")
        time.sleep(max(0.2, workspace.settings.documents.settle_seconds))
        inventory = workspace.library.inventory(inventory)
    return inventory


def _wait_for_runs(instance: dg.DagsterInstance, say: Say) -> None:
    """Let runs of the sensor end first, whose range of keys would change under them."""
    end_dead_runs(instance)
    give_up = time.monotonic() + _LONGEST_WAIT_SECONDS
    while is_busy(instance) and time.monotonic() < give_up:
        say("Waiting for a run of documents that is queued or running ...")
        time.sleep(1.0)


def _register(instance: dg.DagsterInstance, request: Request) -> None:
    for key in request.delete:
        instance.delete_dynamic_partition(_NAME, key)
    if request.add:
        instance.add_dynamic_partitions(_NAME, list(request.add))


def _instance() -> AbstractContextManager[dg.DagsterInstance]:
    """The instance of DAGSTER_HOME; without one a passing instance, like Dagster's own commands."""
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    return dg.DagsterInstance.ephemeral()


def _run(instance: dg.DagsterInstance, job: str, tags: dict[str, str]) -> str:
    from embedding_assets.definitions import defs

    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance, tags={**tags, SYNC_TAG: "true"}, run_config=_QUIET
    )
    return result.run_id
