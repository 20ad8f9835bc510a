"""The upkeep of the vector store: segments merged, and a size budget kept."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.embedding.store import VectorStore
from embedding_assets.storage.lock import locked


@dataclass(frozen=True)
class Upkeep:
    """What the upkeep of the store did, and what is left."""

    merged_segments: int
    dropped_models: int
    dropped_segments: int
    bytes: int


def keep_within_budget(root: Path, budget_bytes: int, live: Collection[str] = ()) -> Upkeep:
    """Drop vectors below `root` until the budget holds: first whole models that are not `live`, the
    longest unchanged first, then the oldest segments. Then merge the segments of every model.

    Dropped vectors are computed again when they are needed; no asset loses a row.

    Raises StoreLockedError when another process is at it.
    """
    with locked(root / "upkeep.lock", timeout_seconds=0):
        folders = sorted((p for p in root.glob("*") if p.is_dir()), key=lambda p: p.stat().st_mtime)
        models = segments = 0
        for folder in folders:
            if folder.name not in live and _size(root) > budget_bytes:
                models += _drop(folder.glob("*.parquet")) > 0
        for path in sorted(root.glob("*/*.parquet"), key=lambda path: path.name):
            if _size(root) > budget_bytes:
                segments += _drop([path])
        merged = sum(VectorStore(root, folder.name, 0).compact() for folder in folders)
        return Upkeep(merged, models, segments, _size(root))


def _drop(paths: Iterable[Path]) -> int:
    dropped = list(paths)
    for path in dropped:
        path.unlink(missing_ok=True)
    return len(dropped)


def _size(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("*/*.parquet"))
