"""The documents that the settings name: files, what is stored of them, what they still need."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedding_assets.documents.chunk import ChunkLimits, token_counter
from embedding_assets.documents.document import Document
from embedding_assets.documents.entities.finder import Finder
from embedding_assets.documents.entities.slices import entity_digest
from embedding_assets.documents.failure import Failure
from embedding_assets.documents.folder import list_document_files
from embedding_assets.documents.index_rows import StoredDocuments, is_index_stale
from embedding_assets.documents.inventory import DocumentInventory, take_inventory
from embedding_assets.documents.isolate import Source, parse_many
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.plan import (
    DERIVED_ASSETS,
    DOCUMENT_ASSETS,
    FAILED_BEFORE,
    DocumentState,
    Stored,
    plan_documents,
)
from embedding_assets.documents.slices import (
    Chunking,
    Reading,
    ReadingRules,
    chunk_digest,
    chunk_slices,
    vector_digest,
)
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import InputError, NotFoundError, SettingsError
from embedding_assets.settings import Settings
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice, digest_of

if TYPE_CHECKING:
    from embedding_assets.records.plan import AssetPlan
    from embedding_assets.search.build import BuiltIndex
    from embedding_assets.search.documents import DocumentSearch
    from embedding_assets.search.manifest import Manifest
    from embedding_assets.search.snapshots import Snapshots
    from embedding_assets.workspace import Workspace


@dataclass(frozen=True)
class Work:
    """What the documents still need.

    keys: documents that a run would do something for. present: all that the folder has.
    deleted: documents of which something is stored and whose files are gone.
    """

    keys: frozenset[str]
    present: frozenset[str]
    deleted: frozenset[str]
    index_is_stale: bool


class Library:
    """The documents of a workspace."""

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self._settings = workspace.settings.documents
        self.folder = Path(self._settings.source).expanduser()
        self._looked: DocumentInventory | None = None

    def table(self, asset: str) -> ParquetTable:
        """The Parquet files of an asset."""
        return self._workspace.table(asset)

    @property
    def sync_lock(self) -> Path:
        """What a synchronisation outside the daemon holds while it is at work."""
        return self._workspace.data_dir / "documents.lock"

    @cached_property
    def rules(self) -> ReadingRules:
        """How files are read."""
        return reading_rules(self._workspace.settings)

    @cached_property
    def chunk_limits(self) -> ChunkLimits:
        """How large chunks may be. Raises SettingsError when the settings contradict each other."""
        window = self._workspace.model.window
        try:
            return ChunkLimits(self._settings.chunk_tokens or window, self._settings.chunk_overlap)
        except ValueError as error:
            raise SettingsError(
                f"documents.chunk_overlap does not fit documents.chunk_tokens: {error}.",
                "Set an overlap of at most a quarter of the tokens of a chunk.",
            ) from None

    @property
    def tokenizer(self) -> str:
        """What the chunks' tokens are counted with, by its content."""
        return self._workspace.model.content_sha256

    @property
    def stored_inventory(self) -> DocumentInventory:
        """What the files held when `document_files` was last materialized."""
        table = self.table("document_files")
        return DocumentInventory.from_table(table.read()) if table.footer() else DocumentInventory()

    def inventory(self, before: DocumentInventory | None = None) -> DocumentInventory:
        """What the folder holds now, but for forgotten documents; only files that have changed
        since `before`, or since they were last stored, are read."""
        return take_inventory(
            self.folder,
            before or self.stored_inventory,
            self._settings.settle_seconds,
            without=self.snapshots.tombstones.ids(),
        )

    def look(self) -> DocumentInventory:
        """The same for who looks again and again: files that have changed are read once."""
        self._looked = self.inventory(self._looked)
        return self._looked

    def signature(self) -> str:
        """Changes whenever a file appears, changes or goes, the labels' too; no file is read for
        it."""
        files = [tuple(vars(file).values()) for file in list_document_files(self.folder)]
        labels = self._workspace.categories.label_files
        return digest_of(files) if labels is None else digest_of(files, labels.signature())

    def reading(self, keys: Iterable[str]) -> Reading:
        """A pass over the files of some documents; those that are still being written wait."""
        wanted = set(keys)
        entries = self.inventory().entries
        files = {e.doc_id: e for e in entries if e.doc_id in wanted and not e.unsettled}
        return Reading(
            files, self.rules, self.table("documents"), self.table("quarantined_documents")
        )

    def chunk_slices(self, documents: ParquetTable, keys: Iterable[str]) -> Iterator[Slice]:
        """The chunks of some documents."""
        count = token_counter(self._workspace.model)
        chunking = Chunking(count, self.chunk_limits, self.tokenizer)
        return chunk_slices(documents, self.table("doc_chunks"), keys, chunking)

    @cached_property
    def search(self) -> "DocumentSearch":
        """Search in the current version of the index, by the model that made it."""
        from embedding_assets.search.documents import DocumentSearch

        return DocumentSearch(
            self.snapshots,
            lambda manifest: self._workspace.encoder_of(manifest.model.fingerprint),
        )

    @property
    def snapshots(self) -> "Snapshots":
        """The versions of the document index."""
        from embedding_assets.search.snapshots import Snapshots

        workspace = self._workspace
        return Snapshots(
            index_folder(workspace.seat_dir),
            workspace.settings.storage.lock_timeout_seconds,
            tombstones_file(workspace.data_dir),
        )

    def build_index(self) -> "BuiltIndex":
        """Serve an index of exactly what is stored of the documents that the folder has."""
        from embedding_assets.search.build import IndexOptions, IndexSource, build_index
        from embedding_assets.search.manifest import IndexModel

        workspace = self._workspace
        stored = self._stored
        version = workspace.model_version
        model = IndexModel(
            version.name, version.version, version.fingerprint, workspace.model.dimension
        )
        source = IndexSource(
            model,
            stored.digests(version.fingerprint),
            lambda doc_ids: stored.rows(doc_ids, model.dimension),
        )
        settings = workspace.settings.search
        return build_index(
            self.snapshots, source, IndexOptions(settings.exact_up_to, settings.keep_versions)
        )

    def served_version(self) -> str | None:
        """The name of the index version that is searched now; None before the first."""
        try:
            return self.snapshots.current()
        except NotFoundError:
            return None

    def manifest_of(self, name: str) -> "Manifest":
        """What is known of a version of the index. Raises FileNotFoundError, StoreDamagedError."""
        from embedding_assets.search.manifest import read_manifest

        return read_manifest(self.snapshots.path(name))

    def versions(self) -> "list[Manifest]":
        """The versions of the index that are kept, oldest first."""
        from embedding_assets.search.manifest import read_manifest

        return [read_manifest(self.snapshots.path(name)) for name in self.snapshots.names()]

    def roll_back(self) -> "Manifest":
        """Serve the version of the index before the current one.

        Raises NotFoundError when there is none, StoreDamagedError when it cannot be served.
        """
        from embedding_assets.search.index import IndexVersion
        from embedding_assets.search.manifest import read_manifest

        return read_manifest(self.snapshots.path(self.snapshots.rollback(IndexVersion.open)))

    def searchable(self) -> list[str]:
        """The documents with vectors of the configured model."""
        return [*self._stored.digests(self._workspace.fingerprint)]

    @property
    def _stored(self) -> StoredDocuments:
        entries = {entry.doc_id: entry for entry in self.stored_inventory.entries}
        documents, chunks, vectors, categories, entities = (
            self.table(asset) for asset in (*DOCUMENT_ASSETS, *DERIVED_ASSETS)
        )
        return StoredDocuments(documents, chunks, vectors, categories, entities, entries)

    def states(self, inventory: DocumentInventory) -> Iterator[DocumentState]:
        """For each document and asset: missing, stale, fresh or quarantined, and why."""
        fingerprint = self._workspace.known_fingerprint or ""
        tables = [self.table(asset) for asset in DOCUMENT_ASSETS]
        quarantine = self.table("quarantined_documents")
        categories = self._workspace.categories.states()
        finder = self._workspace.entities.expected_finder()
        for entry in inventory.entries:
            if entry.unsettled:
                continue
            failed = quarantine.footer(entry.doc_id)
            document = self.rules.document_digest(entry)
            is_hopeless = self.rules.is_hopeless(entry, failed)
            if is_hopeless:
                reason = str(failed.stats["reason"]) if failed else ""
                yield DocumentState("documents", entry.doc_id, "quarantined", reason)
                last_good = tables[0].footer(entry.doc_id)
                if last_good is None:
                    continue
                document = last_good.digest
            chunks = chunk_digest(document, self.chunk_limits, self.tokenizer)
            digests = (document, chunks, vector_digest(chunks, fingerprint))
            for table, digest, why in [*zip(tables, digests, _WHY, strict=True)][is_hopeless:]:
                stored = table.footer(entry.doc_id)
                if stored is None:
                    reason = _why_missing(failed)
                    yield DocumentState(table.name, entry.doc_id, "missing", reason)
                elif stored.digest != digest:
                    yield DocumentState(table.name, entry.doc_id, "stale", why)
                else:
                    yield DocumentState(table.name, entry.doc_id, "fresh")
            yield from categories.of(entry.doc_id, digests[-1])
            if finder is not None:
                yield from self._entity_state(entry.doc_id, document, finder)

    def _entity_state(self, doc_id: str, document: str, finder: Finder) -> Iterator[DocumentState]:
        """The state of a document's entities; none where nothing finds any and nothing is
        stored."""
        stored = self.table("doc_entities").footer(doc_id)
        if stored is None:
            if finder:
                yield DocumentState("doc_entities", doc_id, "missing", "new")
        elif stored.digest != entity_digest(document, finder.digest):
            why = "the document, the entity model or a rule changed"
            yield DocumentState("doc_entities", doc_id, "stale", why)
        else:
            yield DocumentState("doc_entities", doc_id, "fresh")

    def work(self, inventory: DocumentInventory) -> Work:
        """What the documents still need, another try at those whose reading failed for a passing
        reason included."""
        unfinished = {state.doc_id for state in self.states(inventory) if state.is_due}
        present = {entry.doc_id for entry in inventory.entries}
        deleted = {entry.doc_id for entry in self.stored_inventory.entries} - present
        # A run for anything else builds the index anyway.
        is_stale = not unfinished and not deleted and self._index_is_stale()
        return Work(frozenset(unfinished), frozenset(present), frozenset(deleted), is_stale)

    def _index_is_stale(self) -> bool:
        wanted = self._stored.digests(self._workspace.known_fingerprint or "")
        forgotten = self.snapshots.tombstones.ids()
        kept = {key: digest for key, digest in wanted.items() if key not in forgotten}
        return is_index_stale(self.snapshots, kept)

    def quarantined(self) -> list[dict[str, Any]]:
        """The documents that could not be read, each with reason and mend, by doc_id."""
        table = self.table("quarantined_documents")
        keys = table.keys()
        return table.dataset(keys).to_table().to_pylist() if keys else []

    def plan(self) -> "list[AssetPlan]":
        """What a run over the documents would do and cost; nothing without a watched folder."""
        if not self.folder.is_dir():
            return []
        inventory = self.inventory()
        entries = {entry.doc_id: entry for entry in inventory.entries}
        deleted = {entry.doc_id for entry in self.stored_inventory.entries} - entries.keys()
        stored = Stored(self.table("doc_chunks"), self.table("doc_vectors"))
        return list(plan_documents(list(self.states(inventory)), entries, deleted, stored))

    def drop_deleted(self, inventory: DocumentInventory) -> list[str]:
        """Remove what is stored of documents whose files are gone, by any model; their ids."""
        present = {entry.doc_id for entry in inventory.entries}
        gone = {entry.doc_id for entry in self.stored_inventory.entries} - present
        assets = (*DOCUMENT_ASSETS, *DERIVED_ASSETS, "quarantined_documents")
        everyone = (self._workspace, *self._workspace.others)
        for table in {each.table(asset) for each in everyone for asset in assets}:
            for doc_id in gone:
                table.remove(doc_id)
        return sorted(gone)


def _why_missing(failed: Footer | None) -> str:
    if failed is None:
        return "new"
    is_transient = failed.stats["class"] == "transient"
    return FAILED_BEFORE if is_transient else "failed under other passwords or limits"


_WHY = (
    "its file or the way of reading it changed",
    "the document or the chunk settings changed",
    "the chunks or the model changed",
)


def index_folder(folder: Path) -> Path:
    """Where the versions of a model's document index are, below its seat's folder."""
    return folder / "index" / "documents"


def tombstones_file(data_dir: Path) -> Path:
    """The list of forgotten documents, which holds for the indexes of all models."""
    return index_folder(data_dir) / "tombstones.json"


def parse_file(path: Path, settings: Settings, password: str | None = None) -> Document:
    """What the parser sees in one file, read in a process of its own within the limits.

    Raises InputError with the reason when it cannot be read.
    """
    rules = reading_rules(settings)
    passwords = (*([password] if password else []), *rules.passwords)
    source = Source(path.name, path)
    [parsed] = parse_many([source], rules.limits, 1, passwords, ocr=rules.ocr)
    if isinstance(parsed.result, Failure):
        reason = parsed.result.reason
        named = reason if path.name in reason else f"{path}: {reason}"
        raise InputError(named, parsed.result.mend)
    return parsed.result


def reading_rules(settings: Settings) -> ReadingRules:
    """How files are read, by the settings."""
    documents = settings.documents
    limits = Limits(
        # On busy cores the clock runs faster than the work; what meets it is tried again.
        seconds=4 * documents.file_seconds,
        cpu_seconds=documents.file_seconds,
        memory_mb=documents.file_memory_mb,
        file_mb=documents.max_file_mb,
    )
    passwords = tuple(each.get_secret_value() for each in documents.passwords)
    folder = Path(documents.source).expanduser()
    # Scans are read again once Tesseract is there.
    ocr = documents.ocr and shutil.which("tesseract") is not None
    return ReadingRules(folder, limits, passwords, ocr, documents.workers or usable_cores())


def open_search() -> "DocumentSearch":
    """Search over the documents that the settings name; loads the model with the first query that
    needs it."""
    from embedding_assets.settings import load_settings
    from embedding_assets.workspace import open_workspace

    return open_workspace(load_settings()).library.search
