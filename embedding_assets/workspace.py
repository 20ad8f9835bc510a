"""The data folder as the settings name it: every table, the model and the registry in one place."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from embedding_assets.accounts import Accounts
from embedding_assets.alerts import Alert, Delivery, send
from embedding_assets.aside import aside
from embedding_assets.asset_tables import (
    ACCOUNT_ASSETS,
    DUCKDB_ASSETS,
    MODEL_ASSETS,
    PARQUET_ASSETS,
)
from embedding_assets.catalogue import Catalogue
from embedding_assets.categories import Categories
from embedding_assets.documents.inventory import without_documents
from embedding_assets.documents.plan import DERIVED_ASSETS, DOCUMENT_ASSETS
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
from embedding_assets.entities import Entities
from embedding_assets.errors import (
    ModelChangedError,
    NotFoundError,
    SettingsError,
)
from embedding_assets.library import Library, tombstones_file
from embedding_assets.memory import require_address_space
from embedding_assets.records.plan import (
    Plan,
)
from embedding_assets.registry import CONTENT, ModelEntry, ModelVersion, Registry, register
from embedding_assets.release.seats import Seat, Seats, SeatsFile, SeatsState
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
        forgotten_documents = Tombstones(tombstones_file(self.data_dir))
        self._documents = Guard(forgotten_documents, without_documents, by_key=True)

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
        guard = self.accounts.guard if asset in ACCOUNT_ASSETS else OPEN
        by_document = (*DOCUMENT_ASSETS, *DERIVED_ASSETS)
        if asset in (*by_document, "document_files", "quarantined_documents"):
            guard = self._documents
        return ParquetTable.at(self.assets_dir(asset), guard)

    @cached_property
    def tables(self) -> DuckTables:
        """The assets kept in DuckDB, as writers see them."""
        storage, seat = self.settings.storage, self.seat
        tables = DuckTables.below(
            self.data_dir,
            storage.lock_timeout_seconds,
            storage.query_memory_mb,
            self.accounts.guard,
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
    def accounts(self) -> Accounts:
        """The accounts of the record files."""
        return Accounts(self)

    @cached_property
    def library(self) -> Library:
        """The documents of the watched folder."""
        return Library(self)

    @cached_property
    def categories(self) -> Categories:
        """The classifier of documents."""
        return Categories(self)

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

    def plan(self) -> Plan:
        """What a run over all days with records, and over all documents, would do and cost;
        changes nothing and waits for no writer."""
        if not self.accounts.has_records and self.library.folder.is_dir():
            return Plan(tuple(self.library.plan()), ())
        made = self.accounts.plan()
        return Plan((*made.assets, *self.library.plan()), made.states)

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
