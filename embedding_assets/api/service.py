"""What the routes serve: opened when first used, warmed up in the background at the start."""

import asyncio
import gc
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from embedding_assets.api.batching import QueryEncoder
from embedding_assets.api.concealment import conceal
from embedding_assets.api.content import Content
from embedding_assets.api.encoders import Encoders
from embedding_assets.api.health import Part, Parts
from embedding_assets.api.keys import KeyRing, KeyStore
from embedding_assets.api.lazy import Lazy
from embedding_assets.api.limits import Limiter
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.problems import OverloadedError
from embedding_assets.api.reports import Reports
from embedding_assets.api.steering import Experiments
from embedding_assets.api.strangers import Strangers
from embedding_assets.api.upkeep import Upkeep
from embedding_assets.embedding.encoder import Encoder, Encoding
from embedding_assets.errors import NotFoundError, OutputError, StoreDamagedError
from embedding_assets.search.documents import DocumentSearch
from embedding_assets.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from embedding_assets.apps.service import SimilarityService
    from embedding_assets.search.query_log import QueryLog
    from embedding_assets.workspace import Workspace

P = ParamSpec("P")
T = TypeVar("T")

_THREADS = 4
_DATABASE_THREADS = 4
_MOST_WAITING = 1_024
_REPORT_THREADS = 2
_MOST_REPORTS = 16
_UPKEEP_SECONDS = 1.0
_GIVEN = "given"


class Service:
    """Everything that routes need, on `app.state.service`; get it by `service_of(request)`.

    workspace(): the data folder with the tables of the model that serves now; blocks when first
    called, so call it in a thread.
    engine(): the SQLAlchemy engine of the service's database, its own tables created.
    queries: the encoder of that model with the vectors of recent queries; may be given to anything
    that takes an `Encoder`. In a route `await service.encode(texts)` first: what the core then
    encodes in its thread is known already. encoders: those of all models that have an index here.
    documents(): search in the document index by the model that made it; challenger(): the same in
    that of the model that is tried beside it. apps(): similar apps.
    query_log(): notes searches for whoever looks for drift; None where the settings say so.
    experiments: those that steer requests. reports: what may be said of them.
    content: pages, accounts and maps.
    parts: what health and readiness speak of; a module of routes adds its own in `prepare`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        encoder: Callable[[], Encoder] | None = None,
        is_loopback: bool = True,
    ) -> None:
        """encoder: opens another encoder than those of the models in the data folder.
        is_loopback: whether the server can only be reached from its own machine."""
        self.settings = settings
        sources = (settings.records.source, settings.documents.source, settings.apps.source)
        conceal([settings.data_dir, *sources, Path.home(), Path.cwd()])
        self.is_loopback = is_loopback
        self.after_warm_up: Callable[[], None] | None = None
        self.metrics = Metrics()
        quick = _with_one_thread(settings)
        self.workspace: Callable[[], Workspace] = lambda: _open_workspace(quick)
        self.engine: Lazy[Engine] = Lazy(lambda: open_service_engine(settings))
        self._given = encoder
        self.encoders = Encoders(self._open_encoder, settings.service.query_cache, self.metrics)
        self.documents: Lazy[DocumentSearch] = Lazy(lambda: self._searching(self.workspace))
        self.challenger: Lazy[DocumentSearch] = Lazy(lambda: self._searching(self._challenging))
        self.apps: Lazy[SimilarityService] = Lazy(self._open_apps)
        self.query_log: Lazy[QueryLog | None] = Lazy(self._open_query_log)
        self.experiments = Experiments(self.engine)
        self.content = Content(self.workspace, self.documents, self.apps)
        self._key_store = KeyStore(self.engine)
        self.keys = KeyRing(self._key_store, self.run_database)
        self.limits = Limiter(self.engine, self.metrics)
        self.strangers = Strangers(settings.service.wrong_keys_per_minute)
        self.reports = Reports(self.run_report)
        self.parts = Parts()
        self._threads = _Threads("core", _THREADS)
        self._database_threads = _Threads("database", _DATABASE_THREADS)
        self._report_threads = _Threads("reports", _REPORT_THREADS, _MOST_REPORTS)
        self.parts.add(Part("database", self._look_at_database, self._open_tables))
        self.parts.add(
            Part("model", self._look_at_model, lambda: self.queries.warm(), is_needed=True)
        )
        self.parts.add(Part("apps", self._look_at_apps, lambda: self.apps().warm_up()))
        self.parts.add(Part("documents", self._look_at_documents, self._warm_documents))
        if settings.drift.query_log:
            self.parts.add(Part("query_log", self._look_at_query_log))
        self.content.add_parts(self.parts)
        self._upkeep = [
            Upkeep(do, _UPKEEP_SECONDS)
            for do in (self._keep_apps_open, self._keep_challenger_warm, self.experiments.open)
        ]

    @property
    def queries(self) -> QueryEncoder:
        """The encoder of the model that serves now."""
        return self.encoders.of(_GIVEN if self._given else self.workspace().fingerprint)

    def encoder_of(self, fingerprint: str) -> QueryEncoder:
        """The encoder that reads queries for an index of that model."""
        return self.encoders.of(_GIVEN if self._given else fingerprint)

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function` returns, computed in one of a few threads beside the event loop.

        Raises OverloadedError when too many wait already.
        """
        return await self._threads.run(lambda: function(*args, **kwargs))

    async def run_database(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same in threads of their own: a database that hangs holds up nothing else."""
        return await self._database_threads.run(lambda: function(*args, **kwargs))

    async def run_report(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The same for what reads all of an experiment: no key is looked up later for it."""
        return await self._report_threads.run(lambda: function(*args, **kwargs))

    async def encode(self, texts: Sequence[str]) -> Encoding:
        """The vectors of texts, known or computed together with what others ask for just now.

        Raises OverloadedError when too much waits already.
        """
        return await self.queries.encode_soon(texts)

    def open(self) -> None:
        """Begin to warm up in the background."""
        self.parts.warm_up(then=self.after_warm_up)
        for each in self._upkeep:
            each.start()

    async def close(self) -> None:
        """Finish what is under way and let go of everything."""
        for each in self._upkeep:
            await asyncio.to_thread(each.close)
        await asyncio.to_thread(self.limits.stop)
        await asyncio.to_thread(self.experiments.close)
        if self.query_log.is_open and (log := self.query_log()) is not None:
            await asyncio.to_thread(log.close)
        await asyncio.to_thread(self.content.close)
        self.parts.close()
        self.encoders.close()
        self._threads.close()
        self._database_threads.close()
        self._report_threads.close()
        if self.engine.is_open:
            await asyncio.to_thread(self.engine().dispose)
        self.metrics.close()
        gc.unfreeze()  # what was frozen after warm-up is let go of like everything else

    def _open_encoder(self, fingerprint: str) -> Encoder:
        if self._given:
            return self._given()
        workspace = self.workspace().of(fingerprint)
        workspace.require_live_model()
        return workspace.load_encoder()  # its own would stay when `encoders` lets go of it

    def _searching(self, workspace: "Callable[[], Workspace]") -> DocumentSearch:
        """Search in the index of whichever model `workspace` gives; no index is used before its
        model is loaded."""
        return DocumentSearch(
            lambda: workspace().library.snapshots,
            lambda manifest: self.encoder_of(manifest.model.fingerprint),
            in_background=True,
            prepare=lambda version: self.encoder_of(version.manifest.model.fingerprint).warm(),
        )

    def _challenging(self) -> "Workspace":
        """Raises NotFoundError when no model is tried."""
        workspace = self.workspace()
        challenger = workspace.seats.challenger
        if challenger is None or challenger.staged is None:
            raise NotFoundError(
                "No model is tried beside the one that serves.",
                "Stage one: `embedding-assets model stage MODEL`.",
            )
        return workspace.at(challenger.seat)

    def _open_apps(self) -> "SimilarityService":
        from embedding_assets.apps.service import SimilarityService

        return SimilarityService(lambda: self.workspace().catalogue.snapshots, self.encoder_of)

    def _open_query_log(self) -> "QueryLog | None":
        from embedding_assets.search.query_log import QUERIES, QueryLog

        settings = self.settings.drift
        if not settings.query_log:
            return None
        log = QueryLog(
            self.workspace().table(QUERIES),
            most_per_day=settings.queries_per_day,
            keep_days=settings.query_log_days,
            texts=settings.query_texts,
        )
        log.start()
        return log

    def _look_at_query_log(self) -> dict[str, Any]:
        log = self.query_log() if self.query_log.is_open else None
        if log is None:
            return {}
        status = log.status()
        if status.problem:
            raise OutputError(
                f"Searches wait to be kept: {status.problem}",
                f"Mend it; {status.waiting} wait, {status.dropped} were dropped.",
            )
        return {"waiting": status.waiting, "dropped": status.dropped}

    def _keep_apps_open(self) -> None:
        """Open what was published, so that no request waits for it."""
        if self.apps.is_open:
            with suppress(NotFoundError):  # there may be none
                self.apps().warm_up()

    def _keep_challenger_warm(self) -> None:
        """Open the index of the model that is tried, and load the model, so that no request of an
        experiment waits for them."""
        if self.documents.is_open and self.workspace().seats.challenger:
            with suppress(NotFoundError):  # it may not be complete yet
                manifest = self.challenger().manifest
                self.encoder_of(manifest.model.fingerprint).warm()

    def _look_at_apps(self) -> dict[str, Any]:
        apps = self.apps()
        manifest = apps.index.manifest
        self.metrics.index("apps", manifest.version, manifest.apps)
        if apps.trouble:
            raise StoreDamagedError(
                f"{apps.trouble} The version before it is served.", "Materialize app_index again."
            )
        return {
            "version": manifest.version,
            "rows": manifest.apps,
            "versions": {name: each.rows for name, each in manifest.versions.items()},
        }

    def _look_at_model(self) -> dict[str, Any]:
        encoder = self.queries
        return {
            "name": self.workspace().settings.model.name,
            "fingerprint": encoder.fingerprint,
            "dimension": encoder.dimension,
        }

    def _look_at_documents(self) -> dict[str, Any]:
        manifest = self.documents().manifest
        trouble = self.documents().trouble
        self.metrics.index("documents", manifest.version, manifest.rows)
        if trouble:
            raise StoreDamagedError(
                f"{trouble.error.problem} The version before it is served.", trouble.error.mend
            )
        return {
            "version": manifest.version,
            "rows": manifest.rows,
            "model": manifest.model.version,
        }

    def _warm_documents(self) -> None:
        from embedding_assets.search.documents import Mode

        for mode in Mode:
            self.documents().search("warm up", mode, k=1)

    def _open_tables(self) -> None:
        self._key_store.open()
        self.limits.open()

    def _look_at_database(self) -> dict[str, Any]:
        from embedding_assets.database import reading

        with reading(self.engine()) as connection:
            connection.exec_driver_sql("SELECT 1")
            return {"kind": connection.dialect.name}


class _Threads:
    """A few threads, and a queue before them that does not grow without end."""

    def __init__(self, name: str, count: int, most_waiting: int = _MOST_WAITING) -> None:
        self._executor = ThreadPoolExecutor(count, f"service-{name}")
        self._most_waiting = most_waiting
        self._waiting = 0

    async def run(self, function: Callable[[], T]) -> T:
        if self._waiting >= self._most_waiting:
            raise OverloadedError("Too many requests wait for an answer.")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, function)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)


def _with_one_thread(settings: Settings) -> Settings:
    """Queries are short: one thread answers each of them soonest, and leaves cores to others."""
    model = settings.model.model_copy(update={"threads": settings.model.threads or 1})
    return settings.model_copy(update={"model": model})


def _open_workspace(settings: Settings) -> "Workspace":
    from embedding_assets.workspace import open_workspace

    return open_workspace(settings)


def open_service_engine(settings: Settings, *, make: bool = True) -> "Engine":
    """The engine of the database of keys, limits and experiments.

    make: whether a file is made where there never was one. Raises what `open_engine` does.
    """
    from embedding_assets.database import open_engine, sqlite_url

    url = settings.service.database_url
    if url is not None:
        return open_engine(url.get_secret_value(), make=make)
    return open_engine(sqlite_url(settings.data_dir / "service.db"), make=make)
