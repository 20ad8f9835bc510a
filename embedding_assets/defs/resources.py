"""What the assets work with, opened once per process from the settings."""

import os
from contextlib import suppress
from pathlib import Path

import dagster as dg
from pydantic import PrivateAttr

from embedding_assets.errors import StoreLockedError
from embedding_assets.settings import load_settings
from embedding_assets.storage.lock import hold
from embedding_assets.workspace import Workspace, open_workspace


def configured_workspace(run_id: str | None = None) -> Workspace:
    """The workspace of this process: the model in it is loaded once, whatever runs here.

    A run keeps the model that it began with: when another one is promoted meanwhile, what it
    writes goes to the tables of its own. And it holds a lock of its own as long as its process
    lives, by which others see whether it does.
    """
    if run_id is None:
        return open_workspace(load_settings())
    if run_id not in _of_runs:
        while len(_of_runs) >= _MOST_RUNS:
            _, lock = _of_runs.pop(next(iter(_of_runs)))
            if lock is not None:
                os.close(lock)
        workspace = open_workspace(load_settings())
        _of_runs[run_id] = workspace, _held(run_lock(workspace.data_dir, run_id))
    return _of_runs[run_id][0]


def run_lock(data_dir: Path, run_id: str) -> Path:
    """What the process of a run holds locked while it lives."""
    return data_dir / "locks" / "runs" / f"{run_id}.lock"


def _held(path: Path) -> int | None:
    with suppress(OSError, StoreLockedError):  # a run that holds none is never taken for killed
        return hold(path)
    return None


class WorkspaceResource(dg.ConfigurableResource["WorkspaceResource"]):
    """The data folder, the model and the registry that the settings name."""

    _run_id: str | None = PrivateAttr(None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Remember the run; sensors and schedules have none."""
        self._run_id = context.run.run_id if context.run else None

    def open(self) -> Workspace:
        """The workspace of this process."""
        return configured_workspace(self._run_id)


_MOST_RUNS = 8
_of_runs: dict[str, tuple[Workspace, int | None]] = {}
"""The workspace of each run of this process, and the lock that it holds."""
