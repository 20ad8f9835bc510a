"""A document's way out: of the index and its old versions, the assets, the caches."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.documents.folder import DocumentFile, list_document_files
from embedding_assets.documents.plan import DERIVED_ASSETS, DOCUMENT_ASSETS
from embedding_assets.documents.reader import pair_id
from embedding_assets.errors import InputError, NotFoundError
from embedding_assets.forget.receipt import MLFLOW_STEP, Receipt, Step, keep_receipt
from embedding_assets.forget.staged import forgetting, sweep_staged
from embedding_assets.forget.used import chunk_texts, indexed_texts, texts_in_use
from embedding_assets.forget.vectors import DoomedVectors
from embedding_assets.ingest import ingested_file
from embedding_assets.quality.drift_table import without_unit
from embedding_assets.search.build import (
    IndexOptions,
    build_without_forgotten,
    remove_versions_with,
    versions_with,
)
from embedding_assets.storage.files import named_errors
from embedding_assets.storage.slices import table_slice

if TYPE_CHECKING:
    from embedding_assets.library import Library
    from embedding_assets.workspace import Workspace

Unregister = Callable[[str], int]
_PARTITIONED = (*DOCUMENT_ASSETS, *DERIVED_ASSETS, "quarantined_documents")


def forget_document(
    workspace: "Workspace",
    doc_id: str,
    *,
    delete_source: bool,
    unregister: Unregister | None = None,
) -> Receipt:
    """Remove a document for good: no search, rollback, sensor or run returns it from now on, even
    if this is interrupted; the same call again finishes.

    Its file stays, and is no longer looked at, unless `delete_source`; to bring the document back,
    give its file another name. Vectors of texts that something else has too stay.
    unregister: takes the key out of whatever orchestrates; how many it took.

    Raises NotFoundError for an id that was never seen, StoreLockedError when a writer does not
    finish in time, OutputError and StoreError subclasses, and what PostgreSQL raises.
    """
    found = _Found.look(workspace, doc_id)
    found.require_known()
    tombstones = workspace.library.snapshots.tombstones
    is_new = doc_id not in tombstones.ids()
    tombstones.add([doc_id])
    listed = Step("tombstones", "listed: no search, rollback or run returns it", int(is_new))
    with forgetting(workspace):
        steps = (listed, *found.steps(), *_outside(workspace, doc_id, unregister))
        source = found.delete_source() if delete_source else Step("source", "left as it is", 0)
        receipt = Receipt("document", doc_id, datetime.now(UTC), (*steps, MLFLOW_STEP, source))
        keep_receipt(receipt, workspace.data_dir)
    return receipt


class _Found:
    """A document, and where something of it may be.

    file: in the watched folder; None when it is not there.
    libraries: those of all models, the one that serves first.
    """

    def __init__(self, workspace: "Workspace", doc_id: str, file: DocumentFile | None) -> None:
        self.workspace = workspace
        self.doc_id = doc_id
        self.file = file
        self.library = workspace.library
        self.libraries = [workspace.library, *(each.library for each in workspace.others)]
        name = sha256(doc_id.encode("utf-8", "surrogatepass")).hexdigest()
        unfinished = workspace.data_dir / "forgotten" / "unfinished" / f"{name}.json"
        self.vectors = DoomedVectors(workspace.data_dir / "vectors", unfinished)

    @classmethod
    def look(cls, workspace: "Workspace", doc_id: str) -> "_Found":
        """Look for it in the watched folder."""
        try:
            files = list_document_files(workspace.library.folder)
        except InputError:  # the folder is gone; what is stored is not
            files = []
        return cls(workspace, doc_id, next((f for f in files if f.doc_id == doc_id), None))

    def require_known(self) -> None:
        """Raises NotFoundError when nothing is known of it."""
        snapshots = self.library.snapshots
        known = (
            self.file is not None
            or self.doc_id in snapshots.tombstones.ids()
            or any(entry.doc_id == self.doc_id for entry in self.library.stored_inventory.entries)
            or any(path.exists() for path in self._ingested())
            or any(self._is_stored(each) for each in self.libraries)
        )
        if not known:
            raise NotFoundError(
                f"No document {self.doc_id!r} is known, in {self.workspace.data_dir} or in "
                f"{self.library.folder}.",
                "`embedding-assets documents list` shows the ids.",
            )

    def steps(self) -> Iterator[Step]:
        """Remove it from the data folder. Its texts are noted first: by them its vectors are
        found."""
        self.vectors.add([text for each in self.libraries for text in self._texts(each)])
        for library in self.libraries:
            yield from self._out_of_index(library)
        for name in _PARTITIONED:
            tables = {each.table(name) for each in self.libraries}
            removed = sum(table.remove(self.doc_id) for table in tables)
            yield Step(name, "partitions removed", removed)
        if cleared := without_unit(self.library.table("embedding_drift"), "documents", self.doc_id):
            yield Step("embedding_drift", "rows cleared of what they name", cleared)
        yield Step("document_files", "rows removed", self._out_of_inventory())
        yield Step("ingested", "files removed", self._remove_ingested())
        used = texts_in_use(self.workspace)
        timeout = self.workspace.settings.storage.lock_timeout_seconds
        yield Step("vectors", "computed vectors removed", self.vectors.remove(used, timeout))
        sweep_staged(self.workspace)
        self.workspace.publish()
        yield Step("warehouse", "published anew", 1)

    def delete_source(self) -> Step:
        """Delete its file, or both halves of a pair."""
        paths = [self.library.folder / part for part in self.file.parts] if self.file else []
        present = [path for path in paths if path.exists() or path.is_symlink()]
        for path in present:
            with named_errors(path):
                path.unlink(missing_ok=True)
        return Step("source", "files deleted", len(present))

    def _is_stored(self, library: "Library") -> bool:
        stored = any(library.table(name).path(self.doc_id).exists() for name in _PARTITIONED)
        return stored or bool(versions_with(library.snapshots, [self.doc_id]))

    def _texts(self, library: "Library") -> list[str]:
        """All that is known to have been embedded of it, by the index's old versions too."""
        chunks, snapshots = library.table("doc_chunks"), library.snapshots
        texts = []
        if chunks.footer(self.doc_id):
            texts += chunk_texts(chunks.read(self.doc_id))
        for version in versions_with(snapshots, [self.doc_id]):
            texts += indexed_texts(snapshots, version, [self.doc_id])
        return texts

    def _out_of_index(self, library: "Library") -> Iterator[Step]:
        snapshots, settings = library.snapshots, self.workspace.settings.search
        options = IndexOptions(settings.exact_up_to, settings.keep_versions)
        before = snapshots.names()
        if before and build_without_forgotten(snapshots, options) is None:
            library.build_index()
        # The build waited for one that was at work already, whose version may hold it too.
        new = [name for name in snapshots.names() if name not in before]
        yield Step("document_index", "published without it", int(bool(new)))
        remove_versions_with(snapshots, [self.doc_id])
        gone = set(before) - set(snapshots.names())
        yield Step("document_index", "versions removed", len(gone))

    def _out_of_inventory(self) -> int:
        stored = self.library.stored_inventory
        left = tuple(entry for entry in stored.entries if entry.doc_id != self.doc_id)
        if len(left) < len(stored.entries):
            kept = replace(stored, entries=left)
            part = table_slice(kept.to_table(), kept.digest, documents=len(left))
            self.library.table("document_files").replace(part)
        return len(stored.entries) - len(left)

    def _ingested(self) -> set[Path]:
        """The names that `ingest` gives: by the id of the pair as it stands."""
        ids = {self.doc_id}
        if self.file:
            ids.add(pair_id(self.file.path.rpartition("/")[2]) or self.doc_id)
        return {ingested_file(doc_id, self.workspace.settings) for doc_id in ids}

    def _remove_ingested(self) -> int:
        present = [path for path in self._ingested() if path.exists()]
        for path in present:
            with named_errors(path):
                path.unlink(missing_ok=True)
        return len(present)


def _outside(workspace: "Workspace", doc_id: str, unregister: Unregister | None) -> Iterator[Step]:
    """What is kept of it outside the data folder."""
    if workspace.settings.search.postgres_url is not None:
        from embedding_assets.search.postgres import forget_document as forget_in_postgres

        removed = forget_in_postgres(workspace.postgres, doc_id)
        yield Step("PostgreSQL", "passages removed", removed)
    if unregister is not None:
        what = "partition keys removed; one that a run at work needs goes with the next sync"
        yield Step("Dagster", what, unregister(doc_id))
