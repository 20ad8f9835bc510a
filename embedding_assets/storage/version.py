"""The version of the layout on disk: checked before anything in the data folder is touched."""

import json
from collections.abc import Callable
from pathlib import Path

from embedding_assets.errors import StoreVersionError
from embedding_assets.storage.files import published

SCHEMA_VERSION = 1
UPGRADES: dict[int, Callable[[Path], None]] = {}
"""From a version to the function that lifts a data folder to the next one."""


def ensure_store(data_dir: Path) -> None:
    """Mark a new data folder with this schema version, or check that an existing one has it.

    Raises StoreVersionError when the folder is older or newer than this release.
    """
    found = stored_version(data_dir)
    if found is None:
        _write(data_dir, SCHEMA_VERSION)
    elif found < SCHEMA_VERSION:
        raise StoreVersionError(
            f"{data_dir} has schema version {found}, this release needs {SCHEMA_VERSION}.",
            "Run `embedding-assets store upgrade`.",
        )
    elif found > SCHEMA_VERSION:
        raise StoreVersionError(
            f"{data_dir} has schema version {found}, this release knows up to {SCHEMA_VERSION}.",
            "Install the newer release that wrote it, or choose another EMBEDDING_ASSETS_DATA_DIR.",
        )


def upgrade_store(data_dir: Path) -> list[int]:
    """Lift a data folder step by step to this schema version; the versions that were passed.

    Raises StoreVersionError when no way leads from the folder's version to this one.
    """
    passed = []
    while (found := stored_version(data_dir)) is not None and found < SCHEMA_VERSION:
        if found not in UPGRADES:
            raise StoreVersionError(
                f"{data_dir} has schema version {found}, which this release cannot upgrade.",
                "Upgrade through an older release first, or rebuild into a new data folder.",
            )
        UPGRADES[found](data_dir)
        _write(data_dir, found + 1)
        passed.append(found + 1)
    ensure_store(data_dir)
    return passed


def stored_version(data_dir: Path) -> int | None:
    """The schema version of a data folder, None when it has none yet.

    Raises StoreVersionError when the mark cannot be read.
    """
    path = data_dir / "schema.json"
    if not path.exists():
        return None
    try:
        return int(json.loads(path.read_text())["schema_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise StoreVersionError(
            f"{path} cannot be read as a schema version.",
            f'Restore it; this release writes {{"schema_version": {SCHEMA_VERSION}}}.',
        ) from error


def _write(data_dir: Path, version: int) -> None:
    with published(data_dir / "schema.json") as staged:
        staged.write_text(json.dumps({"schema_version": version}) + "\n")
