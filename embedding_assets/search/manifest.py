"""What is known of a version of the document index without opening it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter

from embedding_assets.errors import StoreDamagedError
from embedding_assets.search.whole import EXACT, MANIFEST, read_typed

INDEX_CODE = "2"
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
    files: SHA-256 of each file by its path in the version's folder; none where the version was
        built before they were kept.
    """

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

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
    files: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Put it into the folder of its version."""
        text = json.dumps(asdict(self), indent=2)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


_MANIFESTS = TypeAdapter(Manifest)


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the version in `folder`.

    Raises FileNotFoundError when there is no version, StoreDamagedError when it cannot be read.
    """
    manifest = read_typed(folder, _MANIFESTS, damaged)
    if manifest.version != folder.name:
        raise damaged(folder, f"its manifest is of version {manifest.version}")
    return manifest


def damaged(folder: Path, why: str) -> StoreDamagedError:
    """The error for a version of which a part is missing or torn."""
    return StoreDamagedError(
        f"The index version in {folder} cannot be read: {why}.",
        "Roll back to the version before it, or build the index again.",
    )
