"""What a model that left has stored is removed."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.asset_tables import DUCKDB_ASSETS, MODEL_ASSETS
from embedding_assets.catalogue import app_index_folder
from embedding_assets.library import index_folder, tombstones_file
from embedding_assets.storage.files import named_errors

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace


def remove_seat(workspace: "Workspace") -> None:
    """Remove the tables and indexes of a seat, and the vectors that its model computed; the list of
    forgotten documents stays, wherever it is.

    Raises StoreLockedError, OutputError subclasses; the same call again finishes.
    """
    for asset in MODEL_ASSETS:
        if asset in DUCKDB_ASSETS:
            workspace.tables.drop(asset)
        else:
            _remove(workspace.assets_dir(asset))
    documents = index_folder(workspace.seat_dir)
    for part in sorted(documents.glob("*")):
        if part not in (tombstones_file(workspace.data_dir), documents / "tombstones.lock"):
            _remove(part)
    _remove(app_index_folder(workspace.seat_dir))
    if workspace.seat.folder:
        _remove(workspace.seat_dir)
    else:
        _remove(workspace.models_dir / "live.json")
    if workspace.seat.fingerprint:
        _remove(workspace.data_dir / "vectors" / workspace.seat.fingerprint)


def _remove(path: Path) -> None:
    with named_errors(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
