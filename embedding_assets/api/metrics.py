"""What the service tells Prometheus, over all worker processes together."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where worker processes put their numbers; to be set before this module is imported."""
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.06, 0.1, 0.2, 0.5, 1, 2.5, 10)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_PREFIX = "embedding_assets_"


class Metrics:
    """The numbers of one application."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self._indexes: dict[str, str] = {}
        labels = ("method", "route")

        def named(name: str) -> str:
            return _PREFIX + name

        self._requests = Counter(
            named("requests"), "Requests answered.", (*labels, "status"), registry=registry
        )
        self._seconds = Histogram(
            named("request_seconds"),
            "Time to the end of an answer (s).",
            labels,
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            named("requests_in_flight"),
            "Requests that are being answered.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._batches = Histogram(
            named("batch_texts"), "Texts encoded together.", buckets=_SIZES, registry=registry
        )
        self._encoder_seconds = Counter(
            named("encoder_seconds"), "Time spent encoding (s).", registry=registry
        )
        self._looked_up = Counter(
            named("query_vectors"),
            "Query vectors asked for, known (hit) or not (miss).",
            ("cache",),
            registry=registry,
        )
        self._limited = Counter(
            named("limited"), "Requests above a limit.", ("limit",), registry=registry
        )
        self._limits_apart = Counter(
            named("limits_without_database"),
            "Requests counted in one process only, because the database was gone.",
            registry=registry,
        )
        self._rows = Gauge(
            named("index_rows"),
            "Rows of the version of an index that is served.",
            ("index", "version"),
            registry=registry,
            multiprocess_mode="livemostrecent",
        )

    def began(self) -> None:
        """A request arrived."""
        self._in_flight.inc()

    def ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. route: its template, never its path."""
        self._in_flight.dec()
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def encoded(self, texts: int, seconds: float) -> None:
        """A batch of texts was encoded."""
        self._batches.observe(texts)
        self._encoder_seconds.inc(seconds)

    def looked_up(self, *, known: int, unknown: int) -> None:
        """Query vectors were asked for."""
        self._looked_up.labels("hit").inc(known)
        self._looked_up.labels("miss").inc(unknown)

    def limited(self, limit: str) -> None:
        """A request was refused because of a limit."""
        self._limited.labels(limit).inc()

    def counted_apart(self) -> None:
        """A request could not be counted in the database."""
        self._limits_apart.inc()

    def index(self, name: str, version: str, rows: int) -> None:
        """That version of an index is served now."""
        before = self._indexes.get(name)
        if before is not None and before != version:
            self._drop(name, before)
        self._indexes[name] = version
        self._rows.labels(name, version).set(rows)

    def text(self) -> bytes:
        """All numbers in the text format of Prometheus."""
        folder = os.environ.get(FOLDER_VARIABLE)
        if not folder:
            return generate_latest(self._registry)
        _drop_dead(Path(folder))
        together = CollectorRegistry()
        together.register(_Together(folder))
        return generate_latest(together)

    def _drop(self, name: str, version: str) -> None:
        if os.environ.get(FOLDER_VARIABLE):
            self._rows.labels(name, version).set(math.nan)  # `_Together` leaves it out
        else:
            self._rows.remove(name, version)

    def close(self) -> None:
        """Take this process out of the numbers that only count processes at work."""
        if os.environ.get(FOLDER_VARIABLE):
            mark_process_dead(os.getpid())  # type: ignore[no-untyped-call]


class _Together(Collector):
    """The numbers of all worker processes but those that are no more: a worker's file keeps every
    series that was ever in it."""

    def __init__(self, folder: str) -> None:
        self._all = MultiProcessCollector(None, folder)  # type: ignore[no-untyped-call]

    def collect(self) -> Iterator[Metric]:
        for metric in self._all.collect():  # type: ignore[no-untyped-call]
            metric.samples = [each for each in metric.samples if not math.isnan(each.value)]
            yield metric


def _drop_dead(folder: Path) -> None:
    """Take out workers that were killed and could not do it themselves."""
    pids = {path.stem.rpartition("_")[2] for path in folder.glob("gauge_live*.db")}
    for pid in map(int, filter(str.isdigit, pids)):
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):  # nobody's, or somebody else's by now
            mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]
