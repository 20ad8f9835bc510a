"""What a model that left has stored is removed, and models that nothing uses are."""

import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.asset_tables import DUCKDB_ASSETS, MODEL_ASSETS
from embedding_assets.catalogue import app_index_folder
from embedding_assets.errors import StoreLockedError
from embedding_assets.library import index_folder, tombstones_file
from embedding_assets.release.stage import fetched_folder
from embedding_assets.storage.files import named_errors
from embedding_assets.storage.folders import remove_folder
from embedding_assets.training.make import RECORD

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


def remove_unused_models(workspace: "Workspace") -> tuple[str, ...]:
    """Remove models that were made here or fetched from the registry more than `release.keep_days`
    ago, and that neither a seat nor a setting names; their folders, below `models`. The one that
    was made last stays, and what the registry has of them. While one is made, staged, judged or
    promoted, all stay.

    Raises OutputError subclasses.
    """
    with ExitStack() as held:
        try:
            held.enter_context(workspace.seats_file.working())
            held.enter_context(workspace.trainer.working(0))
        except StoreLockedError:
            return ()
        used = list(_used(workspace))
        since = time.time_ns() - workspace.settings.release.keep_days * 86_400e9
        folders = [
            folder
            for kind in (workspace.trainer.folder, fetched_folder(workspace))
            for folder in sorted(kind.glob("[!.]*"))
            if folder.is_dir() and not folder.is_symlink() and _changed(folder) < since
        ]
        gone = [each for each in folders if not _is_used(each, used)]
        for folder in gone:
            remove_folder(folder)
    return tuple(folder.relative_to(workspace.models_dir).as_posix() for folder in gone)


def _used(workspace: "Workspace") -> Iterator[Path]:
    settings = workspace.settings
    names = [settings.model.name, settings.training.base, settings.entities.encoder]
    yield from (Path(name).resolve() for name in names)
    yield from (Path(seat.model).resolve() for seat in workspace.seats.all)
    # By its record's age alone: one that is damaged is told to whoever asks for the model.
    records = workspace.trainer.folder.glob(f"*/{RECORD}")
    yield from [path.parent.resolve() for path in sorted(records, key=_modified)[-1:]]


def _is_used(folder: Path, used: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder.resolve()) for path in used)


def _changed(folder: Path) -> int:
    return max(map(_modified, (folder, *folder.iterdir())))


def _modified(path: Path) -> int:
    return path.lstat().st_mtime_ns


def _remove(path: Path) -> None:
    with named_errors(path):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
