"""Order records to account embeddings: the assets, by day and over all days."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import dagster as dg

from embedding_assets.defs.partitions import days, history_window
from embedding_assets.defs.pictures import cuisine_map, length_histogram
from embedding_assets.defs.policy import record_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA
from embedding_assets.records.days import clean_slices, embedding_slices, raw_slices, text_slices
from embedding_assets.records.inventory import INVENTORY_SCHEMA
from embedding_assets.records.latest import item_slice, latest_slice
from embedding_assets.records.quarantine import attempts_of, quarantine_slices
from embedding_assets.records.source import RAW_SCHEMA
from embedding_assets.records.text import TEXT_SCHEMA
from embedding_assets.search.similar import similar_schema, similar_slice
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices, table_slice
from embedding_assets.workspace import PARQUET_ASSETS, Workspace

_SUMMED = (
    "texts", "tokens", "reused", "computed", "computed_tokens", "windowed", "truncated_tokens",
    "seconds",
)  # fmt: skip


@record_asset(INVENTORY_SCHEMA, "parquet")
def record_files(workspace: WorkspaceResource) -> Slice:
    """The files of `records.source`, with the rows each one holds per day.

    Changed files are read, all others are known. A file that cannot be read is listed with the
    reason, and what it held before stays valid until it is restored or deleted.
    """
    inventory = workspace.open().inventory()
    return table_slice(
        inventory.to_table(),
        inventory.digest,
        files=len(inventory.files()),
        rows=sum(entry.rows for entry in inventory.entries),
        unreadable=len(inventory.errors),
    )


@record_asset(RAW_SCHEMA, "parquet", partitions_def=days, deps=[record_files])
def raw_records(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """The rows of all record files by UTC day of `feature_timestamp`, text as it stands.

    Rows that belong to no day are in `quarantined_records`.
    """
    opened = workspace.open()
    return Slices(raw_slices(opened.days, opened.inventory(), context.partition_keys))


@record_asset(
    QUARANTINE_SCHEMA, "duckdb", deps=[record_files], metadata={"slice_column": "source_file"}
)
def quarantined_records(workspace: WorkspaceResource) -> Slices:
    """Rows that belong to no day or break the schema, and files that cannot be read, each with
    the reason.

    `transient` ones are tried again by themselves, `permanent` ones when their file is mended;
    `embedding-assets quarantine redrive` tries all of them at once.
    """
    opened = workspace.open()
    inventory = opened.inventory()
    opened.tables.keep_only("quarantined_records", "source_file", inventory.files())
    attempts = attempts_of(opened.table_rows("quarantined_records"))
    return Slices(quarantine_slices(opened.days, inventory, attempts))


@record_asset(CLEAN_SCHEMA, "parquet", partitions_def=days)
def cleaned_records(
    context: dg.AssetExecutionContext, raw_records: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """Valid records: Unicode and white space normalized, instants in UTC, cuisines as a list,
    duplicates dropped."""
    return Slices(clean_slices(workspace.open().days, raw_records, context.partition_keys))


@record_asset(
    TEXT_SCHEMA,
    "parquet",
    partitions_def=days,
    ins={"cleaned_records": dg.AssetIn(partition_mapping=history_window)},
)
def account_texts(
    context: dg.AssetExecutionContext, cleaned_records: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """One text per account with an order on the day, drawn from its history up to that day:
    distinct items, vendors and cuisines in first-seen order."""
    opened = workspace.open()
    inventory = opened.inventory()
    return Slices(text_slices(opened.days, cleaned_records, inventory, context.partition_keys))


@record_asset(
    PARQUET_ASSETS["account_embeddings"], "parquet", partitions_def=days, kinds={"mlflow"}
)
def account_embeddings(
    context: dg.AssetExecutionContext, account_texts: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """The account texts of the day with their vectors, unit length.

    Vectors computed before, by any run, are reused; texts longer than the model's window are read
    in windows and pooled by token count, so nothing is cut.
    """
    opened = workspace.open()
    keys = sorted(context.partition_keys)
    slices = embedding_slices(account_texts, keys, opened.encoder, opened.vectors)
    return Slices(_logged(context, opened, slices))


@record_asset(PARQUET_ASSETS["latest_account_embeddings"], "parquet", kinds={"mlflow"})
def latest_account_embeddings(
    context: dg.AssetExecutionContext,
    account_embeddings: ParquetTable,
    workspace: WorkspaceResource,
) -> Slices:
    """The newest embedding of each account: `account_id`, `text_for_embedding`, `embedding_0` …
    `embedding_N`, then provenance."""
    opened = workspace.open()

    def now() -> Slice:
        return latest_slice(account_embeddings, opened.fingerprint, opened.model.dimension)

    return Slices(_mapped(context, opened, _until_settled(now)))


@record_asset(PARQUET_ASSETS["item_embeddings"], "parquet", kinds={"mlflow"})
def item_embeddings(
    context: dg.AssetExecutionContext, cleaned_records: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """Every distinct item description with its vector and how often it was ordered."""
    opened = workspace.open()
    memory = opened.settings.storage.query_memory_mb

    def now() -> Slice:
        return item_slice(cleaned_records, opened.encoder, opened.vectors, memory)

    return Slices(_logged(context, opened, _until_settled(now)))


@record_asset(similar_schema("account_id"), "duckdb")
def similar_accounts(
    latest_account_embeddings: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """For each account the most similar others by cosine, exact."""
    top = workspace.open().settings.similarity.top
    return Slices(
        _until_settled(lambda: similar_slice(latest_account_embeddings, "account_id", top))
    )


@record_asset(similar_schema("item_description"), "duckdb")
def similar_items(item_embeddings: ParquetTable, workspace: WorkspaceResource) -> Slices:
    """For each item the most similar others by cosine, exact."""
    top = workspace.open().settings.similarity.top
    return Slices(_until_settled(lambda: similar_slice(item_embeddings, "item_description", top)))


def _logged(
    context: dg.AssetExecutionContext, workspace: Workspace, slices: Iterable[Slice]
) -> Iterator[Slice]:
    """The same slices; what they cost becomes one MLflow run, which the materialization links."""
    version = workspace.model_version
    asset = context.asset_key.path[-1]
    tags = {"dagster_run_id": context.run.run_id}
    with workspace.registry.vector_run(asset, version, _model_settings(workspace), tags) as run:
        context.add_asset_metadata(
            {"model": str(version), "mlflow_run": dg.MetadataValue.url(run.link)}
        )
        table = workspace.table(asset)
        for part in slices:
            yield part
            run.add({name: part.stats[name] for name in _SUMMED if name in part.stats})
            stored = table.footer(part.key)
            run.add({"rows": stored.rows if stored else 0})
        window = workspace.model.window
        context.add_asset_metadata(
            {"text_lengths": length_histogram(table, _keys(context), window)}
        )


def _mapped(
    context: dg.AssetExecutionContext, workspace: Workspace, slices: Iterable[Slice]
) -> Iterator[Slice]:
    """The slices, logged; afterwards the materialization shows a map of what is stored."""
    yield from _logged(context, workspace, slices)
    table = workspace.table("latest_account_embeddings")
    context.add_asset_metadata({"map": cuisine_map(table, "account_id")})


def _until_settled(now: Callable[[], Slice]) -> Iterator[Slice]:
    """The slice of a table without partitions; once more when what it is drawn from has changed
    while it was written: otherwise the older of two runs at once could have the last word."""
    part = now()
    yield part
    while (latest := now()).digest != part.digest:
        part = latest
        yield part


def _keys(context: dg.AssetExecutionContext) -> list[str] | None:
    partitioned = context.assets_def.partitions_def is not None
    return sorted(context.partition_keys) if partitioned else None


def _model_settings(workspace: Workspace) -> dict[str, Any]:
    settings = workspace.settings
    return {
        "precision": workspace.precision.precision,
        "backend": workspace.precision.backend,
        "window": workspace.model.window,
        "history_days": settings.records.history_days,
    }
