"""The data folder as the settings name it: every table, the model and the registry in one place."""

import json
import os
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.alerts import Alert, Delivery, send
from embedding_assets.apps.predictions import PREDICTION_SCHEMA
from embedding_assets.apps.slices import APP_VECTOR_SCHEMA, MODEL_SCHEMA
from embedding_assets.apps.tables import CATALOGUE_SCHEMA, PERFORMANCE_SCHEMA, REJECT_SCHEMA
from embedding_assets.aside import aside
from embedding_assets.catalogue import Catalogue
from embedding_assets.documents.classify.slices import CATEGORY_SCHEMA, CLASSIFIER_SCHEMA
from embedding_assets.documents.entities.slices import ENTITY_SCHEMA
from embedding_assets.documents.inventory import DOCUMENT_INVENTORY_SCHEMA, without_documents
from embedding_assets.documents.plan import DERIVED_ASSETS, DOCUMENT_ASSETS
from embedding_assets.documents.slices import QUARANTINED_DOCUMENT_SCHEMA, vector_schema
from embedding_assets.documents.table import CHUNK_SCHEMA, DOCUMENT_SCHEMA
from embedding_assets.embedding.encoder import Counts, Encoder, Vectors
from embedding_assets.embedding.first_use import remember, require_unchanged
from embedding_assets.embedding.model import (
    ModelFiles,
    encoder_fingerprint,
    load_encoder,
    resolve_model,
)
from embedding_assets.embedding.precision import PrecisionReport, pin
from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.entities import ENTITY_MODEL_SCHEMA, Entities
from embedding_assets.errors import (
    InputNotFoundError,
    ModelChangedError,
    NotFoundError,
    SettingsError,
)
from embedding_assets.library import Library, tombstones_file
from embedding_assets.memory import require_address_space
from embedding_assets.quality.drift_table import DRIFT_SCHEMA
from embedding_assets.quality.live import LIVE_SCHEMA
from embedding_assets.quality.table import EVALUATION_SCHEMA
from embedding_assets.records.blocked import Blocked, blocked_days
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA
from embedding_assets.records.days import DayTables, RecordDays
from embedding_assets.records.embed import embedding_schema, wide_schema
from embedding_assets.records.forgotten import forgotten_ids, without_accounts
from embedding_assets.records.inventory import INVENTORY_SCHEMA, Inventory, take_inventory
from embedding_assets.records.latest import item_schema
from embedding_assets.records.plan import (
    DayState,
    Derived,
    Plan,
    StoredRecords,
    day_states,
    make_plan,
)
from embedding_assets.records.source import RAW_SCHEMA, list_record_files
from embedding_assets.records.text import TEXT_SCHEMA
from embedding_assets.registry import CONTENT, ModelEntry, ModelVersion, Registry, register
from embedding_assets.release.gate_table import GATES_SCHEMA, GATES_TABLE
from embedding_assets.release.seats import Seat, Seats, SeatsFile, SeatsState
from embedding_assets.search.exact import nearest
from embedding_assets.search.query_log import QUERY_SCHEMA
from embedding_assets.search.similar import (
    Neighbour,
    matrix_of,
    neighbours,
    similar_digest,
    similar_schema,
)
from embedding_assets.search.snapshots import Tombstones
from embedding_assets.settings import Settings
from embedding_assets.storage.files import published
from embedding_assets.storage.guard import OPEN, Guard
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.tables import DuckTables
from embedding_assets.storage.version import ensure_store
from embedding_assets.storage.warehouse import Change, Warehouse

if TYPE_CHECKING:
    from embedding_assets.domain_model import Trainer
    from embedding_assets.experiments.controller import ABTestController
    from embedding_assets.search.postgres_server import PostgresTarget

DAY_ASSETS = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
ACCOUNT_ASSETS = (*DAY_ASSETS, "latest_account_embeddings", "item_embeddings")
"""Parquet assets that hold, or count, what accounts did."""

MODEL_ASSETS = (
    "doc_chunks", "doc_vectors", "document_classifier", "doc_categories", "account_embeddings",
    "latest_account_embeddings", "item_embeddings", "similar_accounts", "similar_items",
)  # fmt: skip
"""Assets that depend on the embedding model: each seat has its own."""

_EMPTY_DIMENSION = 1
PARQUET_ASSETS: dict[str, pa.Schema] = {
    "record_files": INVENTORY_SCHEMA,
    "raw_records": RAW_SCHEMA,
    "cleaned_records": CLEAN_SCHEMA,
    "account_texts": TEXT_SCHEMA,
    "account_embeddings": embedding_schema(_EMPTY_DIMENSION),
    "latest_account_embeddings": wide_schema(_EMPTY_DIMENSION),
    "item_embeddings": item_schema(_EMPTY_DIMENSION),
    "document_files": DOCUMENT_INVENTORY_SCHEMA,
    "documents": DOCUMENT_SCHEMA,
    "quarantined_documents": QUARANTINED_DOCUMENT_SCHEMA,
    "doc_chunks": CHUNK_SCHEMA,
    "doc_vectors": vector_schema(_EMPTY_DIMENSION),
    "document_classifier": CLASSIFIER_SCHEMA,
    "doc_categories": CATEGORY_SCHEMA,
    "entity_model": ENTITY_MODEL_SCHEMA,
    "doc_entities": ENTITY_SCHEMA,
    "search_evaluation": EVALUATION_SCHEMA,
    GATES_TABLE: GATES_SCHEMA,
    "search_queries": QUERY_SCHEMA,
    "embedding_drift": DRIFT_SCHEMA,
    "model_performance": LIVE_SCHEMA,
    "app_predictions": PREDICTION_SCHEMA,
    "app_catalogue": CATALOGUE_SCHEMA,
    "app_vectors": APP_VECTOR_SCHEMA,
    "app_performance": PERFORMANCE_SCHEMA,
    "performance_model": MODEL_SCHEMA,
    "quarantined_app_rows": REJECT_SCHEMA,
}
"""Assets kept as Parquet, with the columns that the warehouse shows before any is made."""

DUCKDB_ASSETS: dict[str, pa.Schema] = {
    "quarantined_records": QUARANTINE_SCHEMA,
    "similar_accounts": similar_schema("account_id"),
    "similar_items": similar_schema("item_description"),
}
"""Assets kept as DuckDB tables."""


class Workspace:
    """What the settings name, opened when it is first used, with the tables of one model.

    seat: which model's tables, the champion's by default. settings: those given, with the name and
    the precision of that model.
    """

    def __init__(self, settings: Settings, seat: Seat | None = None) -> None:
        self.data_dir = settings.data_dir.expanduser()
        self._given = settings.model_copy(update={"data_dir": self.data_dir})
        self.seats_file = SeatsFile(self.data_dir)
        self.seat = seat or self.seats.champion
        self.settings = _seated(self._given, self.seat)
        self.forgotten_accounts = Tombstones(self.data_dir / "forgotten" / "accounts.json")
        forgotten_documents = Tombstones(tombstones_file(self.data_dir))
        self._accounts = Guard(self.forgotten_accounts, without_accounts)
        self._documents = Guard(forgotten_documents, without_documents, by_key=True)
        self.days = RecordDays(
            os.path.expanduser(settings.records.source),
            settings.records.start_date,
            settings.records.history_days,
            settings.storage.query_memory_mb,
            self._accounts.ids,
        )
        self._looked: Inventory | None = None

    def ensure(self) -> "Workspace":
        """Create the data folder or check its schema version.

        Raises StoreVersionError, NotEnoughMemoryError.
        """
        require_address_space()
        ensure_store(self.data_dir)
        return self

    @property
    def seats(self) -> Seats:
        """Which model serves, which one is tried and which can be gone back to, as it is now."""
        return self.seats_file.read(_first_seat(self._given))

    def serving(self) -> "Workspace":
        """The same data folder with the tables of the model that serves now."""
        return open_workspace(self._given)

    def at(self, seat: Seat) -> "Workspace":
        """The same data folder with the tables of another model."""
        is_own = (seat.folder, seat.model) == (self.seat.folder, self.seat.model)
        return self if is_own else workspace_at(self._given, seat)

    def fingerprint_of(self, model: str, precision: str) -> str:
        """The fingerprint that a model would have here; its precision is measured if it is new.

        Raises ModelError subclasses.
        """
        return Workspace(self._given, Seat(model, precision)).fingerprint

    @property
    def others(self) -> "list[Workspace]":
        """The tables of every other model of which something may be stored."""
        seats = {seat.folder: seat for seat in self.seats.all}
        return [self.at(seat) for folder, seat in seats.items() if folder != self.seat.folder]

    @property
    def seat_dir(self) -> Path:
        """Where all that depends on the model is."""
        return self.data_dir / self.seat.folder

    def assets_dir(self, asset: str) -> Path:
        """Where the Parquet files of an asset are."""
        own = self.seat_dir if asset in MODEL_ASSETS else self.data_dir
        return own / "assets" / asset

    def table(self, asset: str) -> ParquetTable:
        """The Parquet files of an asset; what was forgotten cannot be written to them."""
        guard = self._accounts if asset in ACCOUNT_ASSETS else OPEN
        by_document = (*DOCUMENT_ASSETS, *DERIVED_ASSETS)
        if asset in (*by_document, "document_files", "quarantined_documents"):
            guard = self._documents
        return ParquetTable.at(self.assets_dir(asset), guard)

    @cached_property
    def tables(self) -> DuckTables:
        """The assets kept in DuckDB, as writers see them."""
        storage, seat = self.settings.storage, self.seat
        tables = DuckTables.below(
            self.data_dir, storage.lock_timeout_seconds, storage.query_memory_mb, self._accounts
        )
        if not seat.folder:
            return tables
        own = set(MODEL_ASSETS) & DUCKDB_ASSETS.keys()
        return replace(tables, stored_as={name: f"{name}@{Path(seat.folder).name}" for name in own})

    def table_rows(self, asset: str) -> pa.Table:
        """All rows of an asset kept in DuckDB as last published, without waiting for a writer;
        none while it was never made."""
        try:
            return self.warehouse.read(asset)
        except NotFoundError:
            return DUCKDB_ASSETS[asset].empty_table()

    @cached_property
    def warehouse(self) -> Warehouse:
        """The file that shows every asset to readers."""
        path = self.data_dir / "warehouse.duckdb"
        folders = {
            asset: (self.assets_dir(asset), schema) for asset, schema in PARQUET_ASSETS.items()
        }
        return Warehouse(path, self.tables, folders, {**DUCKDB_ASSETS})

    def publish(self) -> None:
        """Let the warehouse show what is stored now of the model that serves, whichever this is.

        Raises StoreLockedError, OutputError subclasses; the old file then stays.
        """
        shown = None
        while shown != (serving := self.serving()).seat:
            serving.warehouse.publish()
            shown = serving.seat

    @contextmanager
    def following(self) -> Iterator[Change]:
        """`Warehouse.following` of the model that serves at the block's end."""
        before = self.serving().seat
        with self.warehouse.following(self.publish) as change:
            yield change
            change.is_due = change.is_due or self.serving().seat != before

    @cached_property
    def registry(self) -> Registry:
        """The registry of model versions and runs."""
        uri = self.settings.tracking_uri
        return Registry(uri, self.settings.mlflow.experiment, self.data_dir)

    @cached_property
    def experiments(self) -> "ABTestController":
        """The experiments of the service's database.

        Raises DatabaseUnavailableError when there is none.
        """
        from embedding_assets.database import open_engine, sqlite_url
        from embedding_assets.experiments.controller import ABTestController

        url = self.settings.service.database_url
        place = url.get_secret_value() if url else sqlite_url(self.data_dir / "service.db")
        return ABTestController(open_engine(place, make=False))

    @cached_property
    def library(self) -> Library:
        """The documents of the watched folder."""
        return Library(self)

    @cached_property
    def entities(self) -> Entities:
        """The entity model and the rules."""
        return Entities(self)

    @cached_property
    def catalogue(self) -> Catalogue:
        """The apps of the app files."""
        return Catalogue(self)

    def alert(self, alert: Alert) -> tuple[Delivery, ...]:
        """Tell people, as the settings say; the same thing is not told each time it happens."""
        return send(alert, self.settings.alerts, self.data_dir)

    @cached_property
    def trainer(self) -> "Trainer":
        """What makes a model of the texts that are stored here."""
        from embedding_assets.domain_model import Trainer

        return Trainer(self)

    @property
    def postgres(self) -> "PostgresTarget":
        """Where document vectors are published.

        Raises SettingsError when the settings name no database.
        """
        from embedding_assets.search.postgres_server import PostgresTarget

        url = self.settings.search.postgres_url
        if url is None:
            raise SettingsError(
                "search.postgres_url is not set, so that there is no database to publish to.",
                "Set it to postgresql://user:password@host/database of a server with pgvector.",
            )
        return PostgresTarget(url.get_secret_value())

    @property
    def evaluation_folder(self) -> Path:
        """The labelled queries that search is judged by.

        Raises SettingsError when the settings name none.
        """
        folder = self.settings.search.evaluation
        if folder is None:
            raise SettingsError(
                "search.evaluation is not set, so that there is nothing to judge search by.",
                "Name a folder with labelled queries: corpus.jsonl, queries.jsonl and qrels.tsv.",
            )
        return Path(folder).expanduser()

    @property
    def day_tables(self) -> DayTables:
        """The stored day partitions of records."""
        return DayTables(*(self.table(asset) for asset in DAY_ASSETS))

    @property
    def stored_inventory(self) -> Inventory:
        """What the record files held when `record_files` was last materialized."""
        table = self.table("record_files")
        return Inventory.from_table(table.read()) if table.footer() else Inventory()

    def inventory(self, retry: Iterable[str] = ()) -> Inventory:
        """What the record files hold now; only changed files, and those of `retry`, are read."""
        memory = self.settings.storage.query_memory_mb
        return take_inventory(self.days.source, self.stored_inventory, memory, retry)

    def look(self) -> Inventory:
        """The same for who looks again and again: files that have changed are read once."""
        memory, before = self.settings.storage.query_memory_mb, self._looked
        self._looked = take_inventory(self.days.source, before or self.stored_inventory, memory)
        return self._looked

    def blocked(self, inventory: Inventory, wanted: Iterable[date]) -> Blocked:
        """Which days a run could not make as they should be, because of an unreadable file."""
        return blocked_days(self.days, self.day_tables, inventory, wanted)

    def day_states(self, inventory: Inventory) -> list[DayState]:
        """For each day and asset: missing, stale, blocked or fresh, and why."""
        return day_states(self.days, self.day_tables, inventory, self.known_fingerprint)

    def plan(self) -> Plan:
        """What a run over all days with records, and over all documents, would do and cost;
        changes nothing and waits for no writer."""
        if not self.has_records and self.library.folder.is_dir():
            return Plan(tuple(self.library.plan()), ())
        vectors = self.vectors if self.known_fingerprint else None
        stored, inventory = self._stored_records(), self.inventory()
        made = make_plan(self.days, stored, inventory, vectors, self.count_tokens)
        return Plan((*made.assets, *self.library.plan()), made.states)

    @property
    def has_records(self) -> bool:
        """Whether records are used here: their source exists, or something of them is stored."""
        try:
            list_record_files(self.days.source)
        except InputNotFoundError:
            return self.table("record_files").footer() is not None
        return True

    def _stored_records(self) -> StoredRecords:
        top = self.settings.similarity.top
        sources = {
            "similar_accounts": "latest_account_embeddings", "similar_items": "item_embeddings",
        }  # fmt: skip
        return StoredRecords(
            days=self.day_tables,
            files=self.table("record_files"),
            quarantine={f.key: f for f in self.warehouse.footers("quarantined_records") if f.key},
            latest=self.table("latest_account_embeddings"),
            items=self.table("item_embeddings"),
            derived=tuple(
                Derived(
                    asset=asset,
                    source=source,
                    stored=next(iter(self.warehouse.footers(asset)), None),
                    digest=lambda digest: similar_digest(digest, top),
                )
                for asset, source in sources.items()
            ),
        )

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the tokens of each text, counted without loading the model's weights."""
        from embedding_assets.embedding.windows import TextReader, read_tokenizer

        reader = TextReader.of(read_tokenizer(self.model.folder), self.model.window)
        return np.array([len(ids) for ids in reader.read(texts)], dtype=np.int32)

    def rows(self, asset: str) -> int:
        """How many rows of an asset are stored."""
        table = self.table(asset)
        footers = [table.footer(), *table.footers(table.keys()).values()]
        return sum(footer.rows for footer in footers if footer)

    def similar_accounts(self, account: str, top: int) -> list[Neighbour]:
        """The `top` accounts most similar to one account, exact.

        Raises NotFoundError when the account has no embedding.
        """
        table = self.table("latest_account_embeddings")
        texts = table.dataset().to_table(columns=["text_for_embedding"])["text_for_embedding"]
        with matrix_of(table, "account_id") as (ids, vectors):
            if len(hidden := forgotten_ids(ids, self.days.forgotten())):
                kept = np.flatnonzero(~pc.is_in(ids, value_set=hidden).to_numpy(False))
                ids, texts, vectors = ids.take(kept), texts.take(kept), vectors[kept]
            row = pc.index(ids, account).as_py()
            if row < 0:
                raise NotFoundError(
                    f"The account {account!r} has no embedding in {table.folder}.",
                    "Check the id, or materialize its days first.",
                )
            found = nearest(np.asarray(vectors[row : row + 1]), vectors, top + 1)
        return neighbours(found, ids, texts, top, without=row)

    def similar_items(self, text: str, top: int) -> list[Neighbour]:
        """The `top` items most similar to any text, exact; nothing is stored.

        Raises NotFoundError while no item is embedded, ModelChangedError when another model than
        the configured one embedded them.
        """
        table = self.table("item_embeddings")
        with matrix_of(table, "item_description") as (ids, vectors):
            footer = table.footer()
            if not len(ids):
                return []
            if footer and footer.stats.get("fingerprint") != self.fingerprint:
                raise ModelChangedError(
                    f"The vectors in {table.folder} were made by another model than "
                    f"{self.settings.model.name}, which the settings name.",
                    "Materialize item_embeddings, or set the model back.",
                )
            found = nearest(self.vector_of(text), vectors, top + 1)
        row = pc.index(ids, text).as_py()
        return neighbours(found, ids, pa.chunked_array([ids]), top, without=row)

    def vector_of(self, text: str) -> Vectors:
        """float32 [1, d]: the vector of a text, as it is stored or else computed; a query leaves
        nothing in the store."""
        stored, known = self.vectors.get(text_keys([text], self.fingerprint))
        return known.vectors if stored[0] else self.encoder.encode([text]).vectors

    @property
    def models_dir(self) -> Path:
        """Where unpacked models and what is pinned of them are."""
        return self.data_dir / "models"

    @cached_property
    def model(self) -> ModelFiles:
        """The model's files, checked. Raises ModelLoadError, ModelDamagedError."""
        model = resolve_model(self.settings.model.name, self.models_dir)
        require_unchanged(model, self.models_dir)
        return model

    @cached_property
    def precision(self) -> PrecisionReport:
        """How this model's vectors are computed, measured once and pinned."""
        return pin(self.model, self.models_dir, self.settings.model.precision)

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the configured model, without loading its weights."""
        return encoder_fingerprint(self.model, self.precision)

    @property
    def known_fingerprint(self) -> str | None:
        """The configured model's fingerprint; None while nothing was embedded here yet."""
        return self.fingerprint if self.live_model() else None

    @cached_property
    def encoder(self) -> Encoder:
        """The configured encoder, loaded once per process.

        Raises ModelChangedError when the stored embeddings are another model's.
        """
        self.require_live_model()
        return self.load_encoder()

    def load_encoder(self) -> Encoder:
        """The same, loaded anew and whatever is stored: for whoever keeps it, and lets go of it."""
        options = self.settings.model
        encoder = load_encoder(
            self.model, self.precision, device=options.device, threads=options.threads
        )
        remember(self.model, self.models_dir)
        return encoder

    def encoder_of(self, fingerprint: str) -> Encoder:
        """The encoder of any model that has a seat here, loaded once per process.

        Raises ModelChangedError when none has that fingerprint.
        """
        return self.of(fingerprint).encoder

    def of(self, fingerprint: str) -> "Workspace":
        """The same data folder with the tables of any model that has a seat here.

        Raises ModelChangedError when none has that fingerprint.
        """
        if fingerprint == self.fingerprint:
            return self
        for seat in self.seats.all:
            if seat.fingerprint == fingerprint:
                return self.at(seat)
        raise ModelChangedError(
            f"No model with the fingerprint {fingerprint[:12]} is known in {self.data_dir}; "
            f"{self.settings.model.name} has {self.fingerprint[:12]}.",
            "Build what was made by it again: run `embedding-assets documents sync`.",
        )

    @cached_property
    def vectors(self) -> VectorStore:
        """Every vector that the configured model ever computed here."""
        return VectorStore(self.data_dir / "vectors", self.fingerprint, self.model.dimension)

    @cached_property
    def model_version(self) -> ModelVersion:
        """The registered version of the configured model, registered at first use."""
        registry = self.registry
        entry = ModelEntry(
            self.settings.model.name, self.model.folder, self.fingerprint, self.model_details()
        )
        return registry.version_of(entry.name, entry.fingerprint) or aside(
            register, registry.tracking_uri, registry.experiment, self.data_dir, entry
        )

    def require_live_model(self) -> None:
        """Make the model the one of its empty seat, or check that it is.

        Raises ModelChangedError when its tables are another model's, or when the settings name a
        model that was never staged.
        """
        live, seats = self.live_model(), self.seats
        name = self.settings.model.name
        wanted = self._given.model.name
        if live is None:
            self._write_live()
        elif live["fingerprint"] != self.fingerprint:
            raise ModelChangedError(
                f"The embeddings in {self.data_dir} were made by {live['name']} "
                f"(dimension {live['dimension']}, {live['precision']}, fingerprint "
                f"{live['fingerprint'][:12]}); the settings name {name} "
                f"(dimension {self.model.dimension}, {self.precision.precision}, fingerprint "
                f"{self.fingerprint[:12]}).",
                _STAGE_IT.format(live["name"], name),
            )
        if self.seat.folder == seats.champion.folder and wanted not in (seats.configured, name):
            since = f" since {seats.since[:16]} UTC" if seats.since else ""
            raise ModelChangedError(
                f"The settings name {wanted}, but {name} serves in {self.data_dir}{since}.",
                _STAGE_IT.format(name, wanted),
            )

    def switch_model(self) -> None:
        """Make the configured model the one whose vectors this data folder holds.

        Raises ModelChangedError where models take turns: which one serves is then said elsewhere.
        """
        if self.seats_file.state() is not None:
            raise ModelChangedError(
                f"In {self.data_dir} models take turns; {self.settings.model.name} serves.",
                f"Stage the one that you want: `embedding-assets model stage "
                f"{self._given.model.name}`.",
            )
        self._write_live()

    def _write_live(self) -> None:
        entry = {
            "name": self.settings.model.name,
            "fingerprint": self.fingerprint,
            "dimension": self.model.dimension,
            "precision": self.precision.precision,
        }
        with published(self._live_path) as staged:
            staged.write_text(json.dumps(entry, indent=2) + "\n")

    def live_model(self) -> dict[str, str] | None:
        """Name, fingerprint, dimension and precision of the model that made what is stored."""
        path = self._live_path
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def _live_path(self) -> Path:
        return (self.seat_dir if self.seat.folder else self.models_dir) / "live.json"

    def model_details(self) -> dict[str, str]:
        """All that decides the configured model's vectors, in words."""
        report = self.precision
        return {
            "model": self.settings.model.name,
            CONTENT: self.model.content_sha256,
            "precision": report.precision,
            "backend": report.backend,
            "min_cosine": f"{report.min_cosine:.6f}",
            "dimension": str(self.model.dimension),
            "window": str(self.model.window),
        }


def open_workspace(settings: Settings) -> Workspace:
    """The workspace of those settings with the champion's tables, one per process and champion, so
    that a model is loaded once. Another champion is seen at once, and costs a look at a file."""
    file = SeatsFile(settings.data_dir.expanduser())
    seats = _read_seats(file, file.state(), _first_seat(settings))
    return workspace_at(settings, seats.champion)


def workspace_at(settings: Settings, seat: Seat) -> Workspace:
    """The workspace of those settings with the tables of a model, one per process."""
    with _opening:  # of several threads, only one makes it
        return _workspace_at(settings, seat)


@lru_cache(maxsize=16)
def _workspace_at(settings: Settings, seat: Seat) -> Workspace:
    return Workspace(settings, seat).ensure()


def seated(settings: Settings) -> Settings:
    """The settings with the name and the precision of the model that serves."""
    file = SeatsFile(settings.data_dir.expanduser())
    return _seated(settings, file.read(_first_seat(settings)).champion)


@lru_cache(maxsize=16)
def _read_seats(file: SeatsFile, state: SeatsState, first: Seat) -> Seats:
    """state: only that the file is read again when it changed."""
    return file.read(first)


def _first_seat(settings: Settings) -> Seat:
    return Seat(settings.model.name, settings.model.precision)


def _seated(settings: Settings, seat: Seat) -> Settings:
    seated = {"name": seat.model, "precision": seat.precision}
    return settings.model_copy(update={"model": settings.model.model_copy(update=seated)})


_opening = threading.Lock()
_STAGE_IT = (
    "Set the model back to {0}; or stage the new one beside it, `embedding-assets model stage "
    "{1}`, and promote it once it has proved itself."
)
