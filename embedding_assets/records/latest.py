"""The newest embedding of each account, and of each item, out of all day partitions."""

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.embedding.encoder import Encoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.errors import ModelChangedError
from embedding_assets.records.embed import embed_column, to_wide, wide_schema
from embedding_assets.records.forgotten import (
    Forgotten,
    forgotten_digest,
    nobody,
    remembered_sql,
)
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice, Stats, digest_of

ITEM_CODE = "1"
_BATCH_ROWS = 4_096


def item_schema(dimension: int) -> pa.Schema:
    """The columns of `item_embeddings`: one row per distinct item description."""
    return pa.schema(
        [
            pa.field("item_description", pa.string()),
            pa.field("embedding", pa.list_(pa.float32(), dimension)),
            pa.field("orders", pa.int64()),
            pa.field("accounts", pa.int64()),
            pa.field("main_cuisine", pa.string()),
            pa.field("tokens", pa.int32()),
            pa.field("windows", pa.int32()),
            pa.field("fingerprint", pa.string()),
        ]
    )


def latest_digest(footers: dict[str, Footer], fingerprint: str) -> str:
    """The digest of the latest embeddings drawn from those day partitions."""
    filled = sorted((key, footer.digest) for key, footer in footers.items() if footer.rows)
    return digest_of("latest_account_embeddings", fingerprint, filled)


def latest_slice(embeddings: ParquetTable, fingerprint: str, dimension: int) -> Slice:
    """The newest row of each account (`wide_schema`), by day and account.

    Raises ModelChangedError when a day's vectors come from another model.
    """
    footers = embeddings.footers(embeddings.keys())
    _require_one_model(footers, fingerprint)
    stats: Stats = {"days": sum(footer.rows > 0 for footer in footers.values())}

    def batches() -> Iterator[pa.RecordBatch]:
        filled = sorted(key for key, footer in footers.items() if footer.rows)
        if not filled:
            return
        newest = _newest_days(embeddings, filled)
        for key in filled:
            accounts = newest["account_id"].filter(pc.equal(newest["day"], key))
            for batch in embeddings.batches([key], _BATCH_ROWS):
                yield to_wide(batch.filter(pc.is_in(batch["account_id"], accounts)))

    return Slice(None, latest_digest(footers, fingerprint), wide_schema(dimension), batches, stats)


def item_digest(cleaned: dict[str, Footer], fingerprint: str, forgotten: str = "") -> str:
    """The digest of the item embeddings drawn from those clean days.

    forgotten: `forgotten_digest` of the accounts whose orders do not count.
    """
    days = sorted((key, footer.digest) for key, footer in cleaned.items() if footer.rows)
    left_out = (forgotten,) if forgotten else ()
    return digest_of("item_embeddings", ITEM_CODE, fingerprint, days, *left_out)


def item_slice(
    cleaned: ParquetTable,
    encoder: Encoder,
    vectors: VectorStore,
    query_memory_mb: int,
    forgotten: Forgotten = nobody,
) -> Slice:
    """Every distinct item description with its vector (`item_schema`), sorted; orders of forgotten
    accounts do not count."""
    footers = cleaned.footers(cleaned.keys())
    left_out = forgotten_digest(forgotten())
    stats: Stats = {"forgotten": left_out} if left_out else {}
    schema = item_schema(encoder.dimension)

    def batches() -> Iterator[pa.RecordBatch]:
        filled = sorted(key for key, footer in footers.items() if footer.rows)
        if not filled:
            return
        with counted_items(cleaned, filled, query_memory_mb, forgotten) as reader:
            yield from embed_column(reader, "item_description", schema, encoder, vectors, stats)

    return Slice(None, item_digest(footers, encoder.fingerprint, left_out), schema, batches, stats)


@contextmanager
def counted_items(
    cleaned: ParquetTable, keys: list[str], query_memory_mb: int, forgotten: Forgotten
) -> Iterator[pa.RecordBatchReader]:
    """The distinct items of some clean days with `orders`, `accounts` and `main_cuisine`, sorted.

    Raises NotFoundError when none of the days is stored.
    """
    with query_engine(query_memory_mb) as connection:
        connection.register("stored", cleaned.dataset(keys))
        remembered = remembered_sql("stored", forgotten())
        connection.execute(f"CREATE TEMP VIEW records AS {remembered}")
        yield connection.sql(_ITEMS).to_arrow_reader(_BATCH_ROWS)


def _newest_days(embeddings: ParquetTable, keys: list[str]) -> pa.Table:
    with query_engine() as connection:
        connection.register("embeddings", embeddings.dataset(keys))
        newest = "SELECT account_id, CAST(max(day) AS VARCHAR) AS day FROM embeddings GROUP BY ALL"
        return connection.sql(newest).to_arrow_table()


def _require_one_model(footers: dict[str, Footer], fingerprint: str) -> None:
    foreign = [
        key
        for key, footer in sorted(footers.items())
        if footer.rows and footer.stats.get("fingerprint") != fingerprint
    ]
    if foreign:
        raise ModelChangedError(
            f"{len(foreign)} days of account_embeddings, from {foreign[0]} to {foreign[-1]}, were "
            "made by another model than the configured one.",
            f"Materialize account_embeddings for {foreign[0]}...{foreign[-1]} first.",
        )


_ITEMS = """
    WITH cuisines AS (
        SELECT item_description, cuisine, count(*) AS times
        FROM (SELECT item_description, unnest(vendor_cuisines) AS cuisine FROM records)
        GROUP BY item_description, cuisine
    ),
    main AS (
        SELECT item_description, first(cuisine ORDER BY times DESC, cuisine) AS main_cuisine
        FROM cuisines GROUP BY item_description
    )
    SELECT item_description, count(*) AS orders, count(DISTINCT account_id) AS accounts,
           any_value(main_cuisine) AS main_cuisine
    FROM records LEFT JOIN main USING (item_description)
    GROUP BY item_description ORDER BY item_description"""
