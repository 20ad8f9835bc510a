"""What is known of a version of the document index without opening it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedding_assets.errors import StoreDamagedError

INDEX_CODE = "1"
"""Changes whenever the same rows would become another index."""


@dataclass(frozen=True)
class IndexModel:
    """The model whose vectors an index holds.

    version: as people name it, for example in the registry.
    """

    name: str
    version: str
    fingerprint: str
    dimension: int


@dataclass(frozen=True)
class Manifest:
    """What is known of a version without opening it.

    digest: over everything that it was built from.
    method: `exact`, or `approximate` with the recall of the ten nearest against exact search, over
        sampled queries, by filter; 1 throughout where the method is exact.
    cells, candidates: how an approximate search works; 0 for an exact one.
    seconds: of building, by step. reused: rows taken over from the version before.
    """

    version: str
    code: str
    created: str
    model: IndexModel
    digest: str
    rows: int
    documents: int
    method: str
    recall_at_10: dict[str, float]
    exact_up_to_rows: int
    cells: int
    candidates: int
    seconds: dict[str, float]
    reused: int

    def write(self, folder: Path) -> None:
        """Put it into the folder of its version."""
        (folder / "manifest.json").write_text(json.dumps(asdict(self), indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the version in `folder`.

    Raises FileNotFoundError when there is no version, StoreDamagedError when it cannot be read.
    """
    try:
        entry: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
        return Manifest(**{**entry, "model": IndexModel(**entry["model"])})
    except (ValueError, KeyError, TypeError) as error:
        raise damaged(folder, str(error)) from error


def damaged(folder: Path, why: str) -> StoreDamagedError:
    """The error for a version of which a part is missing or torn."""
    return StoreDamagedError(
        f"The index version in {folder} cannot be read: {why}.",
        "Roll back to the version before it, or build the index again.",
    )
