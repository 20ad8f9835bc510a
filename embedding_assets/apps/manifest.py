"""What is known of a version of the app index without opening it."""

import json
from dataclasses import asdict, dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

from embedding_assets.apps.newcomers import Newcomers
from embedding_assets.errors import StoreDamagedError, StoreVersionError

APP_INDEX_CODE = "1"
"""Changes whenever the same rows would become another index."""
_FILE = "manifest.json"


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
        (folder / _FILE).write_text(text + "\n", encoding="utf-8")


def read_app_manifest(folder: Path) -> AppManifest:
    """The manifest of the version in `folder`.

    Raises FileNotFoundError when there is no version, StoreDamagedError when it cannot be read,
    StoreVersionError when another release built it.
    """
    try:
        entry: dict[str, Any] = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        if entry["code"] != APP_INDEX_CODE:
            raise StoreVersionError(
                f"The index in {folder} has format {entry['code']}, not {APP_INDEX_CODE}.",
                "Build the index again: materialize app_index.",
            )
        versions = {name: _entry(each) for name, each in entry["versions"].items()}
        return AppManifest(**{**entry, "versions": versions})
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, str(error)) from error


def file_hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of each file below `folder` but for the manifest, by path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != _FILE)
    return {path.relative_to(folder).as_posix(): _sha256(path) for path in files}


def require_whole(folder: Path, files: dict[str, str]) -> None:
    """Check each file of a version against its hash.

    Raises StoreDamagedError that names the first one which is missing or has changed.
    """
    for name, expected in files.items():
        try:
            found = _sha256(folder / name)
        except OSError as error:
            raise damaged(folder, f"{name}: {error.strerror or error}") from error
        if found != expected:
            raise damaged(folder, f"{name} is not as it was written")


def damaged(folder: Path, why: str) -> StoreDamagedError:
    """The error for a version of which a part is missing or torn."""
    return StoreDamagedError(
        f"The version of the app index in {folder} cannot be read: {why}.",
        "Roll back to the version before it, or build the index again: materialize app_index.",
    )


def _entry(entry: dict[str, Any]) -> VectorsEntry:
    return VectorsEntry(**{**entry, "newcomers": Newcomers.from_entry(entry["newcomers"])})


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
