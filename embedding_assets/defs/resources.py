"""What the assets work with, opened once per process from the settings."""

import dagster as dg
from pydantic import PrivateAttr

from embedding_assets.settings import load_settings
from embedding_assets.workspace import Workspace, open_workspace


def configured_workspace(run_id: str | None = None) -> Workspace:
    """The workspace of this process: the model in it is loaded once, whatever runs here.

    A run keeps the model that it began with: when another one is promoted meanwhile, what it
    writes goes to the tables of its own.
    """
    if run_id is None:
        return open_workspace(load_settings())
    if run_id not in _of_runs:
        while len(_of_runs) >= _MOST_RUNS:
            del _of_runs[next(iter(_of_runs))]
        _of_runs[run_id] = open_workspace(load_settings())
    return _of_runs[run_id]


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
_of_runs: dict[str, Workspace] = {}
