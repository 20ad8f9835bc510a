"""A small data folder with documents, accounts and items, and a second model to try beside."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets import workspace as workspace_module
from embedding_assets.embedding import precision
from embedding_assets.records.days import clean_slices, raw_slices, text_slices
from embedding_assets.registry import FINGERPRINT, ModelVersion, Registry, registered_name
from embedding_assets.release.work import PARTS
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import table_slice
from embedding_assets.workspace import Workspace, open_workspace

TOPICS = {
    "soup": "Boil the onions in butter until they are soft and golden. "
    "Pour in the hot stock, let it simmer and serve the soup with toasted bread.",
    "cake": "Beat the butter with sugar and eggs until the mixture is light. "
    "Bake the cake for forty minutes and let it cool on a rack before you cut it.",
    "law": "The court found for the plaintiff because the contract had been broken. "
    "The defendant appealed, and the higher court upheld the judgement in part.",
    "moon": "The lander touched down near the crater rim after a long descent. "
    "Its instruments measured the temperature of the dust for eleven days.",
}
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Place:
    """A data folder, the model that serves there, and one that may be tried."""

    folder: Path
    first: Path
    second: Path

    def settings(self, **more) -> Settings:
        """The settings of the folder."""
        return Settings(
            data_dir=self.folder / "store",
            documents={"source": str(self.folder / "documents"), "workers": 1, "settle_seconds": 0},
            records={"source": str(self.folder / "records"), "start_date": "2026-02-20"},
            apps={"source": str(self.folder / "apps")},
            **{"model": {"name": str(self.first), "threads": 1}, **more},
        )

    def open(self, **more) -> Workspace:
        """What serves now."""
        return open_workspace(self.settings(**more))

    def copy(self, folder: Path) -> "Place":
        """The same in another folder."""
        shutil.copytree(self.folder, folder)
        return Place(folder, self.first, self.second)


def fill(place: Place) -> Workspace:
    """Documents, four accounts with four orders each, and what the first model makes of them."""
    write_documents(place, TOPICS)
    _write_records(place)
    workspace = place.open()
    read_documents(workspace)
    _read_records(workspace)
    workspace.require_live_model()
    for part in PARTS:
        for _ in part.make(workspace):
            pass
    workspace.warehouse.publish()
    return workspace


def write_documents(place: Place, texts: dict[str, str]) -> None:
    """One JSON document per text."""
    folder = place.folder / "documents"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / f"{name}.json").write_text(json.dumps({"title": name.title(), "text": text}))


def read_documents(workspace: Workspace) -> None:
    """What the folder holds, as the graph would store it."""
    library = workspace.library
    inventory = library.inventory()
    library.drop_deleted(inventory)
    library.table("document_files").write(table_slice(inventory.to_table(), inventory.digest))
    reading = library.reading([entry.doc_id for entry in inventory.entries])
    for part in reading.document_slices():
        library.table("documents").write(part)
    assert reading.quarantine_slices() == []


def _write_records(place: Place) -> None:
    rows = [
        {
            "account_id": f"account-{n}",
            "item_description": f"{topic} {dish}",
            "vendor_name": f"The {topic} house",
            "vendor_cuisines": "Italian, Thai" if n % 2 else "French",
            "feature_timestamp": (DAY + timedelta(hours=dish_number)).isoformat(),
        }
        for n, topic in enumerate(TOPICS)
        for dish_number, dish in enumerate(("bowl", "plate", "deluxe", "to go"))
    ]
    (place.folder / "records").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), place.folder / "records" / "records.parquet")


def _read_records(workspace: Workspace) -> None:
    inventory = workspace.accounts.inventory()
    files = table_slice(inventory.to_table(), inventory.digest)
    workspace.table("record_files").write(files)
    keys, tables = ["2026-03-01"], workspace.accounts.tables
    for part in raw_slices(workspace.accounts.days, inventory, keys):
        tables.raw.write(part)
    for part in clean_slices(workspace.accounts.days, tables.raw, keys):
        tables.cleaned.write(part)
    for part in text_slices(workspace.accounts.days, tables, inventory, keys):
        tables.texts.write(part)


def without_upload(registry: Registry, entry, experiment) -> ModelVersion:
    """Registers a version without its files, which takes longer than all the rest."""
    name = registered_name(entry.name)
    if not registry.client.search_registered_models(f"name = '{name}'"):
        registry.client.create_registered_model(name)
    tags = {**entry.details, FINGERPRINT: entry.fingerprint}
    made = registry.client.create_model_version(name, "file:///nowhere", tags=tags)
    return ModelVersion(name, str(made.version), entry.fingerprint)


@contextmanager
def quick() -> Iterator[None]:
    """What has a process of its own otherwise is done in this one; versions have no files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Registry, "_register", without_upload)
        for module in (workspace_module, precision):
            patch.setattr(module, "aside", lambda function, *args: function(*args))
        yield
