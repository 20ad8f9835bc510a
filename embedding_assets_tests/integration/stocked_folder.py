"""A data folder as `make demo` leaves it, but smaller: apps, two documents, accounts, experiments;
filled by the core, without the graph."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa

from embedding_assets.api.service import open_service_engine
from embedding_assets.demo_experiments import APPS, SEARCH
from embedding_assets.documents.slices import vector_slices
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.registry import ModelVersion
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import Slice, digest_of, table_slice
from embedding_assets.workspace import Workspace

GENERATOR = Path(__file__).parents[2] / "data" / "generate_data.py"
DOCUMENTS = ("refund-policy.pdf", "support-answers.json")
ACCOUNTS = {
    "ACC-0000042": "Items: Ramen; Gyoza. Vendors: Bento Momiji. Cuisines: Japanese.",
    "ACC-0000007": "Items: Sushi; Ramen. Vendors: Omakase Naoko. Cuisines: Japanese.",
    "ACC-0000069": "Items: Pizza. Vendors: Gennaro's Pizza. Cuisines: Italian.",
}


def settings_of(folder: Path, model: Path) -> Settings:
    """The settings of a folder of a test's own."""
    return Settings(
        data_dir=folder / "store",
        apps={"source": str(folder / "apps")},
        documents={"source": str(folder / "documents"), "workers": 1, "settle_seconds": 0},
        model={"name": str(model)},
    )


def fill(settings: Settings) -> None:
    """Make the input, store what the graph would of it, and publish the indexes."""
    _generate("--apps", Path(settings.apps.source))
    folder = _generate("--documents", Path(settings.documents.source))
    for path in folder.iterdir():
        if path.name not in DOCUMENTS:
            path.unlink()
    workspace = Workspace(settings).ensure()
    # Else it would be registered with MLflow, which takes longer than all the rest.
    vars(workspace)["model_version"] = ModelVersion("tiny", "1", workspace.fingerprint)
    _store_apps(workspace)
    _store_documents(workspace)
    _store_accounts(workspace)
    _start_experiments(settings)


def _generate(option: str, folder: Path) -> Path:
    subprocess.run([sys.executable, GENERATOR, option, folder], check=True, capture_output=True)
    return folder


def _store_apps(workspace: Workspace) -> None:
    apps = workspace.catalogue
    apps.table("app_catalogue").write(apps.catalogue_slice())
    apps.table("app_performance").write(apps.performance_slice())
    for part in apps.vector_slices(apps.versions):
        apps.table("app_vectors").write(part)
    for part in apps.model_slices(apps.versions):
        apps.table("performance_model").write(part)
    apps.build_index()


def _store_documents(workspace: Workspace) -> None:
    library = workspace.library
    inventory = library.inventory()
    entries = table_slice(inventory.to_table(), inventory.digest)
    library.table("document_files").write(entries)
    reading = library.reading(DOCUMENTS)
    for part in reading.document_slices():
        library.table("documents").write(part)
    assert reading.quarantine_slices() == []
    for part in library.chunk_slices(library.table("documents"), DOCUMENTS):
        library.table("doc_chunks").write(part)
    tables = (library.table("doc_chunks"), library.table("doc_vectors"))
    for part in vector_slices(*tables, DOCUMENTS, workspace.encoder, workspace.vectors):
        library.table("doc_vectors").write(part)
    library.build_index()


def _store_accounts(workspace: Workspace) -> None:
    vectors = workspace.encoder.encode([*ACCOUNTS.values()]).vectors
    columns = {"account_id": [*ACCOUNTS], "text_for_embedding": [*ACCOUNTS.values()]}
    columns |= {f"embedding_{n}": column for n, column in enumerate(vectors.T)}
    columns["main_cuisine"] = ["Japanese", "Japanese", "Italian"]
    rows = pa.table(columns)
    part = Slice(None, digest_of([*ACCOUNTS.items()]), rows.schema, rows.to_batches)
    workspace.table("latest_account_embeddings").write(part)


def _start_experiments(settings: Settings) -> None:
    engine = open_service_engine(settings)
    controller = ABTestController(engine)
    for plan in (APPS, SEARCH):
        controller.create(plan)
        controller.start(plan.id)
    engine.dispose()
