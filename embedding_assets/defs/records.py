"""Order records to account embeddings: the assets, by day and over all days."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date

import dagster as dg

from embedding_assets.asset_tables import PARQUET_ASSETS
from embedding_assets.defs.partitions import days, history_window
from embedding_assets.defs.pictures import cuisine_map
from embedding_assets.defs.policy import record_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.vector_runs import logged_vectors
from embedding_assets.records.blocked import unblocked
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
from embedding_assets.workspace import Workspace


@record_asset(INVENTORY_SCHEMA, "parquet")
def record_files(workspace: WorkspaceResource) -> Slice:
    """The files of `records.source`, with the rows each one holds per day.

    Changed files are read, all others are known. A file that cannot be read is listed with the
    reason, and what it held before stays valid until it is restored or deleted.
    """
    inventory = workspace.open().accounts.inventory()
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

    Rows that belong to no day are in `quarantined_records`. A day of which a file cannot be read
    keeps the rows it had, marked as blocked, while the other days are made; the check
    `raw_records_readable` then fails the run.
    """
    accounts = workspace.open().accounts
    inventory = accounts.inventory()
    blocked = _marked(context, accounts.blocked(_dates(context), inventory).days)
    keys = unblocked(context.partition_keys, blocked)
    return Slices(raw_slices(accounts.days, inventory, keys))


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
    inventory = opened.accounts.inventory()
    opened.tables.keep_only("quarantined_records", "source_file", inventory.files())
    attempts = attempts_of(opened.table_rows("quarantined_records"))
    return Slices(quarantine_slices(opened.accounts.days, inventory, attempts))


@record_asset(CLEAN_SCHEMA, "parquet", partitions_def=days)
def cleaned_records(
    context: dg.AssetExecutionContext, raw_records: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """Valid records: Unicode and white space normalized, instants in UTC, cuisines as a list,
    duplicates dropped."""
    accounts = workspace.open().accounts
    blocked = _marked(context, accounts.blocked(_dates(context)).days)
    keys = unblocked(context.partition_keys, blocked, raw_records)
    return Slices(clean_slices(accounts.days, raw_records, keys))


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
    distinct items, vendors and cuisines in first-seen order.

    A blocked day of the history counts with the rows that are stored of it. Where none are, the
    text is not made: `account_texts_whole_history` then fails the run after the other days.
    """
    accounts = workspace.open().accounts
    inventory = accounts.inventory()
    blocked = accounts.blocked(_dates(context), inventory)
    _marked(context, blocked.texts)
    keys = unblocked(context.partition_keys, blocked.histories)
    return Slices(text_slices(accounts.days, accounts.tables, inventory, keys))


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
    blocked = _marked(context, opened.accounts.blocked(_dates(context)).texts)
    keys = unblocked(context.partition_keys, blocked, account_texts)
    slices = embedding_slices(account_texts, keys, opened.encoder, opened.vectors)
    return Slices(logged_vectors(context, opened, slices))


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
        forgotten = opened.accounts.days.forgotten
        return item_slice(cleaned_records, opened.encoder, opened.vectors, memory, forgotten)

    return Slices(logged_vectors(context, opened, _until_settled(now)))


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


def _mapped(
    context: dg.AssetExecutionContext, workspace: Workspace, slices: Iterable[Slice]
) -> Iterator[Slice]:
    """The slices, logged; afterwards the materialization shows a map of what is stored."""
    yield from logged_vectors(context, workspace, slices)
    table = workspace.table("latest_account_embeddings")
    context.add_asset_metadata({"map": cuisine_map(table)})


def _until_settled(now: Callable[[], Slice]) -> Iterator[Slice]:
    """The slice of a table without partitions; once more when what it is drawn from has changed
    while it was written: otherwise the older of two runs at once could have the last word."""
    part = now()
    yield part
    while (latest := now()).digest != part.digest:
        part = latest
        yield part


def _dates(context: dg.AssetExecutionContext) -> list[date]:
    return sorted(map(date.fromisoformat, context.partition_keys))


def _marked(context: dg.AssetExecutionContext, blocked: Mapping[date, str]) -> Mapping[date, str]:
    """The blocked days; the materialization of each says why its rows are not new."""
    for day, why in sorted(blocked.items()):
        context.log.warning(f"{day} is blocked and stays as it is stored: {why}")
        context.add_asset_metadata({"blocked": why}, partition_key=str(day))
    return blocked
