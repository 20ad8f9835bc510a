"""What the pipelines tell Prometheus: what is stored, how old it is, what is due, what failed.

The figures are taken from the data folder alone, so that they are there while Dagster is not.
"""

import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from embedding_assets.alerts.seen import read_checks, read_freshness
from embedding_assets.asset_tables import DUCKDB_ASSETS, PARQUET_ASSETS
from embedding_assets.errors import NotFoundError
from embedding_assets.overdue import due_now
from embedding_assets.quality.drift_table import newest
from embedding_assets.storage.slices import Footer
from embedding_assets.workspace import Workspace

_PREFIX = "embedding_assets_"
_QUARANTINES = {
    "records": "quarantined_records",
    "documents": "quarantined_documents",
    "app_rows": "quarantined_app_rows",
}
_COSTS = {
    "texts": ("texts", "Texts in what is stored."),
    "computed": ("vectors_computed", "Vectors that were computed when it was stored."),
    "reused": ("vectors_reused", "Vectors that were known already when it was stored."),
    "tokens": ("tokens", "Tokens of the texts in what is stored."),
    "truncated_tokens": ("truncated_tokens", "Tokens that were cut; to be 0."),
    "seconds": ("encode_seconds", "Time that the model took for what is stored (s)."),
}
_log = structlog.get_logger()


class PipelineCollector(Collector):
    """Gauges of a data folder, taken anew at the most every `seconds`, and never so often that
    taking them is more than a tenth of the time; in between a scrape gets the last ones."""

    def __init__(
        self, workspace: Workspace, seconds: float = 30.0, now: Callable[[], float] = time.time
    ) -> None:
        self._workspace = workspace
        self._seconds = seconds
        self._now = now
        self._taken: tuple[float, float, list[Metric]] | None = None
        self._lock = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """All gauges."""
        with self._lock:
            now = self._now()
            if self._taken is None or now >= self._taken[0] + max(
                self._seconds, 9 * self._taken[1]
            ):
                began = time.perf_counter()
                gauges = list(_all(self._workspace.serving()))  # another model may serve by now
                self._taken = now, time.perf_counter() - began, gauges
            at, took, gauges = self._taken
        yield from gauges
        yield _one("collected_timestamp_seconds", "When these figures were taken.", at)
        yield _one("collect_seconds", "How long it took (s).", took)

    def text(self) -> bytes:
        """All gauges in the text format of Prometheus."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)


def _all(workspace: Workspace) -> Iterator[Metric]:
    """Every group of gauges; one that cannot be taken is missing, and counted as such."""
    failed = []
    for group in _GROUPS:
        try:
            yield from list(group(workspace))
        except Exception as error:  # noqa: BLE001 - one damaged file leaves the other groups
            failed.append(group.__name__.strip("_"))
            _log.warning("metrics_failed", group=failed[-1], reason=str(error))
    gauge = _gauge("collect_failed", "Groups of figures that could not be taken.", "group")
    for group in _GROUPS:
        name = group.__name__.strip("_")
        gauge.add_metric([name], name in failed)
    yield gauge


def _assets(workspace: Workspace) -> Iterator[Metric]:
    rows = _gauge("asset_rows", "Rows that are stored.", "asset")
    parts = _gauge("asset_partitions", "Partitions that are stored.", "asset")
    changed = _gauge("asset_changed_timestamp_seconds", "When it was last written.", "asset")
    costs = {stat: _gauge(f"asset_{name}", text, "asset") for stat, (name, text) in _COSTS.items()}
    for asset, footers, at in _stored(workspace):
        rows.add_metric([asset], sum(footer.rows for footer in footers))
        parts.add_metric([asset], len(footers))
        if at:
            changed.add_metric([asset], at)
        for stat, gauge in costs.items():
            if any(stat in footer.stats for footer in footers):
                gauge.add_metric([asset], sum(footer.stats.get(stat, 0) for footer in footers))
    yield from (rows, parts, changed, *costs.values())


def _stored(workspace: Workspace) -> Iterator[tuple[str, list[Footer], float]]:
    """Each asset with the footers of what is stored of it, and when it was last replaced."""
    for asset in PARQUET_ASSETS:
        table = workspace.table(asset)
        whole = table.footer()
        footers = [whole] if whole else [*table.footers(table.keys()).values()]
        yield asset, footers, _newest(Path(str(table.folder)))
    for asset in DUCKDB_ASSETS:
        yield asset, list(workspace.warehouse.footers(asset)), 0.0


def _newest(folder: Path) -> float:
    """When the newest file was written: a write that failed changes the folder, too."""
    try:
        with os.scandir(folder) as files:
            return max((_changed(file) for file in files), default=0.0)
    except FileNotFoundError:
        return 0.0


def _changed(file: "os.DirEntry[str]") -> float:
    try:
        return file.stat().st_mtime if file.name.endswith(".parquet") else 0.0
    except FileNotFoundError:
        return 0.0


def _due(workspace: Workspace) -> Iterator[Metric]:
    gauge = _gauge(
        "partitions_due", "Partitions that a run would make, or cannot make.", "asset", "state"
    )
    counts = Counter((each.asset, each.state) for each in due_now(workspace))
    for (asset, state), count in sorted(counts.items()):
        gauge.add_metric([asset, state], count)
    yield gauge


def _quarantined(workspace: Workspace) -> Iterator[Metric]:
    gauge = _gauge("quarantined", "Rows and documents that cannot be used.", "kind")
    for kind, asset in _QUARANTINES.items():
        if asset in DUCKDB_ASSETS:
            footers: Iterable[Footer] = workspace.warehouse.footers(asset)
        else:
            table = workspace.table(asset)
            footers = [*table.footers(table.keys()).values(), *filter(None, [table.footer()])]
        gauge.add_metric([kind], sum(footer.rows for footer in footers))
    yield gauge


def _vectors(workspace: Workspace) -> Iterator[Metric]:
    from embedding_assets.embedding.store import VectorStore

    count = _gauge("vectors", "Vectors in the store.", "fingerprint")
    size = _gauge("vector_store_bytes", "Size of the vector store (bytes).", "fingerprint")
    root = workspace.data_dir / "vectors"
    for folder in sorted(path for path in root.glob("*") if path.is_dir()):
        name = folder.name
        count.add_metric([name[:12]], len(VectorStore(root, name, 0)))
        size.add_metric([name[:12]], sum(_size(path) for path in folder.iterdir()))
    yield from (count, size)


def _indexes(workspace: Workspace) -> Iterator[Metric]:
    info = _gauge("index_info", "The version of an index that is served.", "index", "version")
    at = _gauge("index_published_timestamp_seconds", "When it was published.", "index")
    served = {
        "documents": workspace.library.snapshots,
        "apps": workspace.catalogue.snapshots,
    }
    for name, snapshots in served.items():
        try:
            version = snapshots.current()
        except NotFoundError:
            continue
        info.add_metric([name, version], 1)
        at.add_metric([name], snapshots.path(version).stat().st_mtime)
    yield from (info, at)


def _model(workspace: Workspace) -> Iterator[Metric]:
    labels = ("name", "fingerprint", "dimension", "precision")
    gauge = _gauge("live_model_info", "The model that made what is served.", *labels)
    live: Mapping[str, object] | None = workspace.live_model()
    if live:
        values = [str(live[label]) for label in labels]
        gauge.add_metric([values[0], values[1][:12], *values[2:]], 1)
    yield gauge


def _checks(workspace: Workspace) -> Iterator[Metric]:
    labels = ("check", "blocking")
    passed = _gauge("check_passed", "1 where an asset check passes, 0 where not.", *labels)
    state = _gauge("check_state", "1 for the state that a check is in.", "check", "state")
    at, checks = read_checks(workspace.data_dir)
    for check in checks:
        passed.add_metric([check.name, str(check.blocking).lower()], check.state == "passed")
        state.add_metric([check.name, check.state], 1)
    yield from (passed, state)
    if at:
        yield _one("checks_seen_timestamp_seconds", "When the checks were last looked at.", at)


def _freshness(workspace: Workspace) -> Iterator[Metric]:
    fresh = _gauge("asset_fresh", "1 where its freshness policy holds, 0 where not.", "asset")
    made = _gauge("asset_made_timestamp_seconds", "When a run last made or looked through it.",
                  "asset")  # fmt: skip
    _, seen = read_freshness(workspace.data_dir)
    for each in seen:
        fresh.add_metric([each.asset], each.state != "FAIL")
        if each.made:
            made.add_metric([each.asset], each.made)
    yield from (fresh, made)


def _drift(workspace: Workspace) -> Iterator[Metric]:
    labels = ("domain", "measure")
    moved = _gauge("drift", "1 where the last window has drifted, 0 where not.", *labels)
    p_value = _gauge("drift_p_value", "How likely chance alone does that much.", *labels)
    effect = _gauge("drift_effect", "How much has moved, 0 to 1.", *labels)
    end = _gauge("drift_window_end_timestamp_seconds", "The last day that was looked at.", *labels)
    for row in newest(workspace.table("embedding_drift")):
        values = [str(row[label]) for label in labels]
        day = datetime.combine(row["window_end"], datetime.min.time(), UTC)
        end.add_metric(values, day.timestamp())
        if row["p_value"] is not None:  # without data there is no verdict
            moved.add_metric(values, row["verdict"] == "drift")
            p_value.add_metric(values, row["p_value"])
        if row["effect"] is not None:
            effect.add_metric(values, row["effect"])
    yield from (moved, p_value, effect, end)


def _disk(workspace: Workspace) -> Iterator[Metric]:
    usage = shutil.disk_usage(workspace.data_dir)
    yield _one("disk_free_bytes", "Space left where the data folder is (bytes).", usage.free)
    yield _one("disk_size_bytes", "Size of that disk (bytes).", usage.total)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(_PREFIX + name, text, labels=labels)


def _one(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(_PREFIX + name, text, value=value)


_GROUPS = (
    _assets, _due, _quarantined, _vectors, _indexes, _model, _checks, _freshness, _drift, _disk,
)  # fmt: skip
