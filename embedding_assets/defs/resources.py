"""What the assets work with, opened once per process from the settings."""

import dagster as dg

from embedding_assets.settings import load_settings
from embedding_assets.workspace import Workspace, open_workspace


def configured_workspace() -> Workspace:
    """The workspace of this process: the model in it is loaded once, whatever runs here."""
    return open_workspace(load_settings())


class WorkspaceResource(dg.ConfigurableResource["WorkspaceResource"]):
    """The data folder, the model and the registry that the settings name."""

    def open(self) -> Workspace:
        """The workspace of this process."""
        return configured_workspace()
