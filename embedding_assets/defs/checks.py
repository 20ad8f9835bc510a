"""What must hold of the record assets, looked at after each materialization.

The checks have no partitions of their own, so that one run over many days gives one result; each
looks at just the days of its run.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa

from embedding_assets.defs.records import (
    account_embeddings,
    account_texts,
    cleaned_records,
    item_embeddings,
    latest_account_embeddings,
    quarantined_records,
    raw_records,
)
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.embedding.store import text_keys
from embedding_assets.records.clean import failures, record_schema
from embedding_assets.records.embed import wide_schema
from embedding_assets.records.inventory import require_readable
from embedding_assets.records.quarantine import FORGOTTEN_ROWS, of_no_day
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer

_BATCH_ROWS = 16_384
_UNIT_TOLERANCE = 1e-4


@dg.asset_check(asset=raw_records)
def raw_records_readable(
    context: dg.AssetCheckExecutionContext, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """Every day of the run could be made from its files.

    Raises UnreadableInputError, so that a run which was asked for days that a broken file blocks
    ends as failed and is told of, after it has made all other days; the blocked ones keep the
    rows they had.
    """
    opened = workspace.open()
    table = opened.table("raw_records")
    days = _asked(context, table)
    require_readable(days, opened.accounts.blocked(days).days)
    return _result(True, days=len(days))


@dg.asset_check(asset=account_texts)
def account_texts_whole_history(
    context: dg.AssetCheckExecutionContext,
    account_texts: ParquetTable,
    workspace: WorkspaceResource,
) -> dg.AssetCheckResult:
    """Every day of the run has its history: no text was drawn from records with a gap.

    Raises UnreadableInputError as `raw_records_readable` does.
    """
    opened = workspace.open()
    days = _asked(context, account_texts)
    require_readable(days, opened.accounts.blocked(days).histories)
    return _result(True, days=len(days))


@dg.asset_check(asset=cleaned_records, blocking=True)
def cleaned_records_schema(
    context: dg.AssetCheckExecutionContext,
    cleaned_records: ParquetTable,
    workspace: WorkspaceResource,
) -> dg.AssetCheckResult:
    """Every clean record keeps the schema by which raw ones are judged."""
    schema = record_schema(workspace.open().accounts.days.range)
    broken: dict[str, list[str]] = {}
    for batch in _batches(cleaned_records, _days(context, cleaned_records), list(schema.columns)):
        for row, reasons in failures(batch.to_pandas(), schema).items():
            broken[batch["account_id"][row].as_py()] = reasons
    return _result(not broken, broken=len(broken), examples=_few(broken))


@dg.asset_check(asset=cleaned_records, blocking=True)
def cleaned_records_complete(
    context: dg.AssetCheckExecutionContext,
    cleaned_records: ParquetTable,
    workspace: WorkspaceResource,
) -> dg.AssetCheckResult:
    """Each raw row of the day is a clean record, a dropped duplicate or quarantined."""
    raw = workspace.open().table("raw_records").footers(_days(context, cleaned_records))
    cleaned = cleaned_records.footers(_days(context, cleaned_records))
    lost = {
        key: raw[key].rows - _accounted(footer)
        for key, footer in cleaned.items()
        if key in raw and raw[key].rows != _accounted(footer)
    }
    return _result(not lost, days=len(cleaned), lost=_few(lost))


@dg.asset_check(asset=quarantined_records)
def quarantined_records_complete(
    quarantined_records: pa.Table, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """Every row that belongs to no day is in quarantine, or was left out as its account is
    forgotten."""
    opened = workspace.open()
    accounts = opened.accounts
    entries = [entry for entry in accounts.stored_inventory.entries if not entry.error]
    expected = sum(entry.rows for entry in entries if entry.day not in accounts.days.range)
    slices = opened.warehouse.footers("quarantined_records")
    forgotten = sum(int(footer.stats.get(FORGOTTEN_ROWS, 0)) for footer in slices)
    found = of_no_day(quarantined_records)
    reasons = quarantined_records["reason"].value_counts().to_pylist()
    return _result(
        found + forgotten == expected, expected=expected, found=found, forgotten=forgotten,
        rows=len(quarantined_records),
        reasons={each["values"]: each["counts"] for each in reasons},
    )  # fmt: skip


@dg.asset_check(asset=account_texts, blocking=True)
def account_texts_one_row_per_account(
    context: dg.AssetCheckExecutionContext, account_texts: ParquetTable
) -> dg.AssetCheckResult:
    """No account has two texts on one day."""
    return _result(**_duplicates(account_texts, _days(context, account_texts)))


@dg.asset_check(asset=account_embeddings, blocking=True)
def account_embeddings_one_row_per_account(
    context: dg.AssetCheckExecutionContext, account_embeddings: ParquetTable
) -> dg.AssetCheckResult:
    """No account has two embeddings on one day."""
    return _result(**_duplicates(account_embeddings, _days(context, account_embeddings)))


@dg.asset_check(asset=account_embeddings, blocking=True)
def account_embeddings_unit_length(
    context: dg.AssetCheckExecutionContext, account_embeddings: ParquetTable
) -> dg.AssetCheckResult:
    """Every vector has length 1 and no NaN."""
    return _result(**_lengths(account_embeddings, _days(context, account_embeddings)))


@dg.asset_check(asset=item_embeddings, blocking=True)
def item_embeddings_unit_length(item_embeddings: ParquetTable) -> dg.AssetCheckResult:
    """Every vector has length 1 and no NaN."""
    return _result(**_lengths(item_embeddings, None))


@dg.asset_check(asset=account_embeddings)
def account_embeddings_nothing_truncated(
    context: dg.AssetCheckExecutionContext,
    account_embeddings: ParquetTable,
    workspace: WorkspaceResource,
) -> dg.AssetCheckResult:
    """Every text was read in as many windows as its tokens need."""
    window = workspace.open().model.window
    cut = rows = windowed = 0
    for batch in _batches(
        account_embeddings, _days(context, account_embeddings), ["tokens", "windows"]
    ):
        needed = np.maximum(1, -(-batch["tokens"].to_numpy() // window))
        windows = batch["windows"].to_numpy()
        cut += int((windows < needed).sum())
        windowed += int((windows > 1).sum())
        rows += len(batch)
    return _result(cut == 0, rows=rows, cut=cut, read_in_windows=windowed)


@dg.asset_check(asset=account_embeddings)
def account_embeddings_vectors_reusable(
    context: dg.AssetCheckExecutionContext,
    account_embeddings: ParquetTable,
    workspace: WorkspaceResource,
) -> dg.AssetCheckResult:
    """Each text's vector stands in the store, so that no later run computes it again; the share
    that this run reused is shown."""
    vectors = workspace.open().vectors
    rows = missing = 0
    for batch in _batches(
        account_embeddings, _days(context, account_embeddings), ["text_for_embedding"]
    ):
        keys = text_keys(batch["text_for_embedding"].to_pylist(), vectors.fingerprint)
        missing += int((~vectors.contains(keys)).sum())
        rows += len(batch)
    stats = [
        footer.stats
        for footer in account_embeddings.footers(_days(context, account_embeddings)).values()
    ]
    reused, texts = (sum(each.get(name, 0) for each in stats) for name in ("reused", "texts"))
    share = reused / texts if texts else 1.0
    return _result(
        missing == 0, dg.AssetCheckSeverity.WARN, rows=rows, missing=missing, reused_share=share
    )


@dg.asset_check(asset=latest_account_embeddings, blocking=True)
def latest_account_embeddings_layout(
    latest_account_embeddings: ParquetTable, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """One row per account, with the promised columns in their order."""
    expected = wide_schema(workspace.open().model.dimension).names
    dataset = latest_account_embeddings.dataset()
    accounts = dataset.to_table(columns=["account_id"])["account_id"]
    twice = len(accounts) - len(accounts.unique())
    passed = dataset.schema.names == expected and twice == 0
    return _result(passed, accounts=len(accounts), twice=twice, columns=len(expected))


def _asked(context: dg.AssetCheckExecutionContext, table: ParquetTable) -> list[date]:
    """The days of the run; all stored days when a check is run by itself."""
    if context.has_partition_key or context.has_partition_key_range:
        return sorted(map(date.fromisoformat, context.partition_keys))
    return sorted(map(date.fromisoformat, table.keys()))


def _days(context: dg.AssetCheckExecutionContext, table: ParquetTable) -> list[str]:
    """The stored days of the run; all stored days when a check is run by itself."""
    if context.has_partition_key or context.has_partition_key_range:
        return sorted(table.footers(context.partition_keys))
    return table.keys()


def _batches(
    table: ParquetTable, keys: list[str] | None, columns: list[str]
) -> Iterator[pa.RecordBatch]:
    # One day at a time: after a change of model, vectors of different length stand side by side.
    for each in [None] if keys is None else [[key] for key in keys]:
        yield from table.batches(each, _BATCH_ROWS, columns)


def _accounted(footer: Footer) -> int:
    return footer.rows + int(footer.stats["quarantined"]) + int(footer.stats["duplicates"])


def _duplicates(table: ParquetTable, keys: list[str]) -> dict[str, Any]:
    twice = {}
    for key in keys:
        accounts = [batch["account_id"] for batch in _batches(table, [key], ["account_id"])]
        ids = pa.chunked_array(accounts, pa.string())
        if len(ids) > len(ids.unique()):
            twice[key] = len(ids) - len(ids.unique())
    return {"passed": not twice, "days": len(keys), "duplicates": _few(twice)}


def _lengths(table: ParquetTable, keys: list[str] | None) -> dict[str, Any]:
    rows, worst, nan = 0, 0.0, 0
    for batch in _batches(table, keys, ["embedding"]):
        if not len(batch):
            continue
        vectors = batch["embedding"].flatten().to_numpy().reshape(len(batch), -1)
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        nan += int(np.isnan(lengths).sum())
        worst = max(worst, float(np.nanmax(np.abs(lengths - 1.0), initial=0.0)))
        rows += len(batch)
    passed = nan == 0 and worst <= _UNIT_TOLERANCE
    return {"passed": passed, "rows": rows, "nan": nan, "largest_deviation": worst}


def _few(found: dict[str, Any]) -> dict[str, Any]:
    return dict(sorted(found.items())[:10])


def _result(
    passed: bool,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    **metadata: Any,
) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=passed, severity=severity, metadata=metadata)
