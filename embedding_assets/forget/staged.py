"""One forgetting at a time, and nothing left of writers that died."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.storage.files import sweep
from embedding_assets.storage.lock import locked

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace


@contextmanager
def forgetting(workspace: "Workspace") -> Iterator[None]:
    """Hold the data folder against other forgettings; runs go on.

    Raises StoreLockedError.
    """
    path = workspace.data_dir / "locks" / "forget.lock"
    with locked(path, workspace.settings.storage.lock_timeout_seconds):
        yield


def sweep_staged(workspace: "Workspace") -> None:
    """Remove the half-written files of dead writers, which may hold what was forgotten."""
    for folder in _folders(workspace.data_dir):
        sweep(folder)


def _folders(data_dir: Path) -> Iterator[Path]:
    yield data_dir
    for parent in ("assets", "vectors", "spaces/*/assets"):
        yield from (path for path in data_dir.glob(f"{parent}/*") if path.is_dir())
    yield data_dir / "ingested"
