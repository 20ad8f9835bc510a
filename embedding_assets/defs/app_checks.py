"""What must hold of the app assets, looked at after each materialization."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from embedding_assets.defs.apps import (
    app_catalogue,
    app_index,
    app_performance,
    app_vectors,
    performance_model,
    quarantined_app_rows,
)
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.storage.parquet import ParquetTable

_BATCH_ROWS = 8_192
_LEAST_COVERAGE, _MOST_COVERAGE = 0.85, 0.95
_FEWEST_JUDGED = 100
"""The share that intervals cover of fewer apps says little."""


@dg.asset_check(asset=app_catalogue, blocking=True)
def app_catalogue_one_row_per_app(app_catalogue: ParquetTable) -> dg.AssetCheckResult:
    """No app stands twice, and each has an id."""
    return _once(app_catalogue)


@dg.asset_check(asset=app_performance, blocking=True)
def app_performance_one_row_per_app(app_performance: ParquetTable) -> dg.AssetCheckResult:
    """The counts of each app are summed to one row."""
    return _once(app_performance)


@dg.asset_check(asset=app_vectors, blocking=True)
def app_vectors_comparable(app_vectors: ParquetTable) -> dg.AssetCheckResult:
    """Every vector has a direction: it is not zero and has neither NaN nor infinity."""
    wrong: dict[str, list[str]] = {}
    for version, batch, vectors in _vectors(app_vectors):
        lengths = np.array([np.linalg.norm(each) for each in vectors])
        for row in np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0.0))).tolist():
            wrong.setdefault(version, []).append(batch["app_id"][row].as_py())
    return _result(not wrong, apps={version: ids[:10] for version, ids in wrong.items()})


@dg.asset_check(asset=app_vectors, blocking=True)
def app_vectors_one_dimension(app_vectors: ParquetTable) -> dg.AssetCheckResult:
    """All vectors of a version have the same dimension, and no app has two."""
    found: dict[str, set[int]] = {}
    ids: dict[str, list[str]] = {}
    for version, batch, vectors in _vectors(app_vectors):
        found.setdefault(version, set()).update(len(each) for each in vectors)
        ids.setdefault(version, []).extend(batch["app_id"].to_pylist())
    twice = {name: len(each) - len(set(each)) for name, each in ids.items()}
    passed = all(len(each) <= 1 for each in found.values()) and not any(twice.values())
    dimensions = {version: sorted(each) for version, each in found.items()}
    return _result(passed, dimensions=dimensions, twice=twice)


@dg.asset_check(asset=app_vectors)
def app_vectors_cover_catalogue(
    app_vectors: ParquetTable, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """Every app of the catalogue has a vector in every version; one without is placed by its
    metadata."""
    apps = set(workspace.open().table("app_catalogue").read()["app_id"].to_pylist())
    missing = {}
    for version in app_vectors.keys():
        held = app_vectors.dataset([version]).to_table(columns=["app_id"])["app_id"]
        missing[version] = len(apps - set(held.to_pylist()))
    passed = not any(missing.values())
    return _result(passed, dg.AssetCheckSeverity.WARN, apps=len(apps), missing=missing)


@dg.asset_check(asset=quarantined_app_rows)
def app_files_readable(quarantined_app_rows: ParquetTable) -> dg.AssetCheckResult:
    """Every file could be read: of one that cannot, what was last read of it is still in use."""
    whole = [
        row for row in quarantined_app_rows.dataset().to_table().to_pylist()
        if row["line"] is row["app_id"] is row["value"] is None
    ]  # fmt: skip
    return _result(not whole, files={row["file"]: row["reason"] for row in whole})


@dg.asset_check(asset=performance_model)
def performance_model_intervals_cover(performance_model: ParquetTable) -> dg.AssetCheckResult:
    """The intervals of unseen apps hold 85 to 95 % of their shrunk click rates, in
    cross-validation."""
    figures = {
        version: footer.stats
        for version, footer in performance_model.footers(performance_model.keys()).items()
    }
    covered = {
        version: float(each["coverage"])
        for version, each in figures.items()
        if each.get("apps", 0) >= _FEWEST_JUDGED and each.get("coverage") is not None
    }
    passed = all(_LEAST_COVERAGE <= each <= _MOST_COVERAGE for each in covered.values())
    return _result(passed, dg.AssetCheckSeverity.WARN, coverage=covered)


@dg.asset_check(asset=app_index)
def app_index_complete(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    """The index that is served holds every stored vector, and its files are whole."""
    opened = workspace.open()
    index = opened.catalogue.service.index
    held = {version: entry.rows for version, entry in index.manifest.versions.items()}
    stored = opened.table("app_vectors").footers(held)
    expected = {version: footer.rows for version, footer in stored.items()}
    trouble = opened.catalogue.service.trouble
    return _result(held == expected and trouble is None, held=held, stored=expected)


def _once(table: ParquetTable) -> dg.AssetCheckResult:
    ids = table.dataset().to_table(columns=["app_id"])["app_id"]
    twice = len(ids) - len(ids.unique())
    return _result(not twice and not ids.null_count, rows=len(ids), twice=twice)


def _vectors(
    table: ParquetTable,
) -> Iterator[tuple[str, pa.RecordBatch, list[np.ndarray[Any, np.dtype[np.float32]]]]]:
    """The rows of all versions in batches, with their vectors."""
    for version in table.keys():
        for batch in table.batches([version], _BATCH_ROWS, ["app_id", "vector"]):
            yield version, batch, batch["vector"].to_numpy(zero_copy_only=False).tolist()


def _result(
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    **metadata: Any,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passed, severity=severity, metadata=metadata)
