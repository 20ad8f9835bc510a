"""What is known of a version of the app index without opening it."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from embedding_assets.apps.newcomers import Newcomers
from embedding_assets.errors import StoreDamagedError, StoreVersionError
from embedding_assets.search.whole import EXACT, MANIFEST, read_typed

APP_INDEX_CODE = "1"
"""Changes whenever the same rows would become another index."""


@dataclass(frozen=True)
class VectorsEntry:
    """What is known of one version of the vectors.

    digest: over what the vectors were read from. recall: of the nearest, 1 as search is exact.
    newcomers: how new apps are placed, with its measured figures.
    performance: the figures of the model that predicts; None without one.
    """

    rows: int
    dimension: int
    digest: str
    recall: float
    newcomers: Newcomers
    performance: dict[str, Any] | None


@dataclass(frozen=True)
class AppManifest:
    """What is known of a version of the index without opening it.

    digest: over everything that it was built from. apps: all, with or without a vector.
    versions: of the vectors, by name. predicts: the version that predicts unless one is asked for.
    files: SHA-256 of each file by its path in the version's folder. seconds: of building.
    """

    __pydantic_config__: ClassVar[ConfigDict] = EXACT

    version: str
    code: str
    created: str
    digest: str
    apps: int
    versions: dict[str, VectorsEntry]
    predicts: str | None
    files: dict[str, str]
    seconds: float

    def write(self, folder: Path) -> None:
        """Put it into the folder of its version."""
        text = json.dumps(asdict(self), indent=2)
        (folder / MANIFEST).write_text(text + "\n", encoding="utf-8")


@dataclass(frozen=True)
class _Coded:
    """What every format of the manifest has."""

    code: str


_CODES = TypeAdapter(_Coded)
_MANIFESTS = TypeAdapter(AppManifest)


def read_app_manifest(folder: Path) -> AppManifest:
    """The manifest of the version in `folder`.

    Raises FileNotFoundError when there is no version, StoreDamagedError when it cannot be read,
    StoreVersionError when another release built it.
    """
    code = read_typed(folder, _CODES, damaged).code
    if code != APP_INDEX_CODE:
        raise StoreVersionError(
            f"The index in {folder} has format {code}, not {APP_INDEX_CODE}.",
            "Build the index again: materialize app_index.",
        )
    manifest = read_typed(folder, _MANIFESTS, damaged)
    if manifest.version != folder.name:
        raise damaged(folder, f"its manifest is of version {manifest.version}")
    if not manifest.versions:
        raise damaged(folder, "its manifest names no version of the vectors")
    if not manifest.files:
        raise damaged(folder, "its manifest names no file")
    return manifest


def damaged(folder: Path, why: str) -> StoreDamagedError:
    """The error for a version of which a part is missing or torn."""
    return StoreDamagedError(
        f"The version of the app index in {folder} cannot be read: {why}.",
        "Roll back to the version before it, or build the index again: materialize app_index.",
    )
