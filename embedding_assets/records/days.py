"""The day partitions of records: how each day's rows follow from what stands before it."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa
import pyarrow.dataset as ds

from embedding_assets.embedding.encoder import Encoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.clean import CLEAN_CODE, CLEAN_SCHEMA, DayRange, clean
from embedding_assets.records.embed import embed_accounts, embedding_digest, embedding_schema
from embedding_assets.records.inventory import FileDay, Inventory, require_readable
from embedding_assets.records.source import RAW_SCHEMA, RecordFile, list_record_files, read_raw
from embedding_assets.records.text import (
    TEXT_SCHEMA,
    account_texts,
    history_digests,
    text_digest,
    window_start,
)
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Stats, digest_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_ROWS = 65_536
_BATCH_TEXTS = 4_096


@dataclass(frozen=True)
class RecordDays:
    """The source of records and the rules by which it is cut into days."""

    source: str
    start: date
    history_days: int
    query_memory_mb: int = 384

    @property
    def range(self) -> DayRange:
        """The days that exist: from the start to today (UTC)."""
        return DayRange(self.start, datetime.now(UTC).date())

    def window(self, day: date) -> list[date]:
        """The days whose records an account text of `day` is drawn from."""
        first = max(self.start, window_start(day, self.history_days))
        return [first + timedelta(days=i) for i in range((day - first).days + 1)]


def raw_digest(inventory: Inventory, day: date) -> str:
    """The digest of a day's raw records."""
    return digest_of("raw_records", inventory.day_digest(day))


def clean_digest(inventory: Inventory, day: date) -> str:
    """The digest of the clean records made of a day's raw ones."""
    return digest_of("cleaned_records", CLEAN_CODE, raw_digest(inventory, day))


def raw_slices(days: RecordDays, inventory: Inventory, keys: Iterable[str]) -> Iterator[Slice]:
    """For each day: the rows of all files that belong to it, text as it stands (RAW_SCHEMA).

    Drawing the rows of a day raises UnreadableInputError when one of its files cannot be read any
    more; a day that is stored as it should be is not drawn, and stays.
    """
    files = {file.name: file for file in list_record_files(days.source)}
    for key in sorted(keys):
        day = date.fromisoformat(key)
        reader = _raw_reader(days, files, inventory.of_day(day), day)
        yield Slice(key, raw_digest(inventory, day), RAW_SCHEMA, reader)


def clean_slices(days: RecordDays, raw: ParquetTable, keys: Iterable[str]) -> Iterator[Slice]:
    """For each day: its valid raw rows, normalized, without duplicates (CLEAN_SCHEMA)."""
    for key in sorted(keys):
        footer = raw.footer(key)
        digest = digest_of("cleaned_records", CLEAN_CODE, footer.digest if footer else None)
        stats: Stats = {}
        reader = _clean_reader(days, raw, key, stats)
        yield Slice(key, digest, CLEAN_SCHEMA, reader, stats)


def text_slices(
    days: RecordDays, cleaned: ParquetTable, inventory: Inventory, keys: Iterable[str]
) -> Iterator[Slice]:
    """For each day: one text per account with a record on it, drawn from the accounts' history.

    Days inside the history that were never materialized are read from the source.
    """
    wanted = [date.fromisoformat(key) for key in sorted(keys)]
    if not wanted:
        return
    needed = {day for last in wanted for day in days.window(last)}
    with history(days, cleaned, inventory, needed) as records:
        with records(wanted[0], wanted[-1]) as connection:
            digests = history_digests(connection, wanted[0], wanted[-1], days.history_days)
        for day in wanted:
            digest = digests.get(day, text_digest(days.history_days))
            yield Slice(day.isoformat(), digest, TEXT_SCHEMA, _text_reader(days, records, day))


def embedding_slices(
    texts: ParquetTable, keys: Iterable[str], encoder: Encoder, vectors: VectorStore
) -> Iterator[Slice]:
    """For each day: its account texts with their vectors."""
    for key in sorted(keys):
        footer = texts.footer(key)
        digest = embedding_digest(footer.digest if footer else "", encoder.fingerprint)
        stats: Stats = {}
        schema = embedding_schema(encoder.dimension)
        reader = _embedding_reader(texts, key, encoder, vectors, stats)
        yield Slice(key, digest, schema, reader, stats)


Records: TypeAlias = Callable[[date, date], AbstractContextManager["DuckDBPyConnection"]]


@contextmanager
def history(
    days: RecordDays,
    cleaned: ParquetTable,
    inventory: Inventory,
    needed: Iterable[date],
    is_stale: Callable[[date], bool] = lambda day: False,
) -> Iterator[Records]:
    """Opens connections on which the clean records of days stand as the table `records`.

    Days that are not in `cleaned`, or that `is_stale` refuses, are cleaned from the source into a
    temporary place. Yields `open(first, last)`: `records` then covers what an account text of
    any day in [first, last] needs.
    """
    present = set(cleaned.keys())
    stale = {day for day in needed if day.isoformat() not in present or is_stale(day)}
    replaced = {day.isoformat() for day in stale}
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        from_source = sorted(stale & inventory.days())
        spare = _clean_from_source(days, inventory, from_source, Path(scratch))
        spared = set(spare.keys())

        @contextmanager
        def open_records(first: date, last: date) -> "Iterator[DuckDBPyConnection]":
            keys = {day.isoformat() for day in days.window(first)}
            keys |= {
                (first + timedelta(days=i)).isoformat() for i in range((last - first).days + 1)
            }
            with query_engine(days.query_memory_mb) as connection:
                parts = [
                    *_datasets(cleaned, (keys & present) - replaced),
                    *_datasets(spare, keys & spared),
                ]
                connection.register("records", ds.dataset(parts) if parts else _NOTHING)
                yield connection

        yield open_records


def _datasets(table: ParquetTable, keys: set[str]) -> list[ds.Dataset]:
    return [table.dataset(sorted(keys))] if keys else []


def _clean_from_source(
    days: RecordDays, inventory: Inventory, wanted: list[date], scratch: Path
) -> ParquetTable:
    raw, cleaned = ParquetTable.at(scratch / "raw_records"), ParquetTable.at(scratch / "cleaned")
    keys = [day.isoformat() for day in wanted]
    for part in raw_slices(days, inventory, keys):
        raw.write(part)
    for part in clean_slices(days, raw, keys):
        cleaned.write(part)
    return cleaned


def _raw_reader(
    days: RecordDays, files: Mapping[str, RecordFile], entries: list[FileDay], day: date
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        require_readable(entries)
        with query_engine(days.query_memory_mb) as connection:
            for entry in entries:
                yield from read_raw(connection, files[entry.file], day)

    return read


def _clean_reader(
    days: RecordDays, raw: ParquetTable, key: str, stats: Stats
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        rows = quarantined = kept = 0
        with query_engine(days.query_memory_mb) as connection:
            connection.register("schema", CLEAN_SCHEMA.empty_table())
            connection.execute("CREATE TABLE good AS FROM schema")
            for part in clean(raw.batches([key], _BATCH_ROWS), days.range):
                rows += len(part.good) + len(part.bad)
                quarantined += len(part.bad)
                connection.register("part", part.good)
                connection.execute("INSERT INTO good FROM part")
            query = "SELECT DISTINCT * FROM good ORDER BY feature_timestamp, account_id, row_hash"
            for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
                kept += len(batch)
                yield batch.cast(CLEAN_SCHEMA)
        stats.update(raw=rows, quarantined=quarantined, duplicates=rows - quarantined - kept)

    return read


def _text_reader(
    days: RecordDays, records: Records, day: date
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        with records(day, day) as connection:
            yield from account_texts(connection, history_days=days.history_days, day=day)

    return read


def _embedding_reader(
    texts: ParquetTable, key: str, encoder: Encoder, vectors: VectorStore, stats: Stats
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        batches = texts.batches([key], _BATCH_TEXTS)
        return embed_accounts(batches, encoder, vectors, stats)

    return read


_NOTHING = CLEAN_SCHEMA.empty_table()
