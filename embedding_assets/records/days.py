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
from embedding_assets.records.blocked import blocked_days
from embedding_assets.records.clean import CLEAN_CODE, CLEAN_SCHEMA, DayRange, clean
from embedding_assets.records.embed import embed_accounts, embedding_digest, embedding_schema
from embedding_assets.records.forgotten import Forgotten, nobody, without_accounts
from embedding_assets.records.inventory import Inventory, raw_digest, require_readable
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
    """The source of records and the rules by which it is cut into days.

    forgotten: the accounts whose records are left out.
    """

    source: str
    start: date
    history_days: int
    query_memory_mb: int = 384
    forgotten: Forgotten = nobody

    @property
    def range(self) -> DayRange:
        """The days that exist: from the start to today (UTC)."""
        return DayRange(self.start, datetime.now(UTC).date())

    def window(self, day: date) -> list[date]:
        """The days whose records an account text of `day` is drawn from."""
        first = max(self.start, window_start(day, self.history_days))
        return [first + timedelta(days=i) for i in range((day - first).days + 1)]


@dataclass(frozen=True)
class DayTables:
    """The stored day partitions of records."""

    raw: ParquetTable
    cleaned: ParquetTable
    texts: ParquetTable
    embeddings: ParquetTable


def clean_digest(raw: str | None) -> str:
    """The digest of the clean records made of the raw ones of that digest."""
    return digest_of("cleaned_records", CLEAN_CODE, raw)


def raw_slices(days: RecordDays, inventory: Inventory, keys: Iterable[str]) -> Iterator[Slice]:
    """For each day: the rows of all files that belong to it, text as it stands (RAW_SCHEMA).

    Drawing the rows of a day raises UnreadableInputError when one of its files cannot be read any
    more; a day that is stored as it should be is not drawn, and stays. `blocked_days` tells
    beforehand which days would raise.
    """
    files = {file.name: file for file in list_record_files(days.source)}
    for key in sorted(keys):
        day = date.fromisoformat(key)
        reader = _raw_reader(days, files, inventory, day)
        yield Slice(key, raw_digest(inventory, day), RAW_SCHEMA, reader)


def clean_slices(days: RecordDays, raw: ParquetTable, keys: Iterable[str]) -> Iterator[Slice]:
    """For each day: its valid raw rows, normalized, without duplicates (CLEAN_SCHEMA)."""
    for key in sorted(keys):
        footer = raw.footer(key)
        digest = clean_digest(footer.digest if footer else None)
        stats: Stats = {}
        reader = _clean_reader(days, raw, key, stats)
        yield Slice(key, digest, CLEAN_SCHEMA, reader, stats)


def text_slices(
    days: RecordDays, tables: DayTables, inventory: Inventory, keys: Iterable[str]
) -> Iterator[Slice]:
    """For each day: one text per account with a record on it, drawn from the accounts' history.

    Days inside the history that were never materialized are read from the source. Raises
    UnreadableInputError when one of them cannot be read: `Blocked.histories` tells beforehand.
    """
    wanted = [date.fromisoformat(key) for key in sorted(keys)]
    if not wanted:
        return
    require_readable(wanted, blocked_days(days, tables, inventory, wanted).histories)
    needed = {day for last in wanted for day in days.window(last)}
    with history(days, tables, inventory, needed) as records:
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
    tables: DayTables,
    inventory: Inventory,
    needed: Iterable[date],
    is_stale: Callable[[date], bool] = lambda day: False,
) -> Iterator[Records]:
    """Opens connections on which the clean records of days stand as the table `records`.

    Days that are not stored clean, or that `is_stale` refuses, are cleaned into a temporary place,
    from the stored raw rows where those are what a run would leave, else from the source. A day
    that can be had in neither way has no records there. Yields `open(first, last)`: `records`
    then covers what an account text of any day in [first, last] needs.
    """
    present = set(tables.cleaned.keys())
    stale = {day for day in needed if str(day) not in present or is_stale(day)}
    replaced = set(map(str, stale))
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as scratch:
        anew = sorted(stale & inventory.days())
        spare = _clean_anew(days, tables.raw, inventory, anew, Path(scratch))
        spared = set(spare.keys())

        @contextmanager
        def open_records(first: date, last: date) -> "Iterator[DuckDBPyConnection]":
            keys = {str(day) for day in days.window(first)}
            keys |= {str(first + timedelta(days=i)) for i in range((last - first).days + 1)}
            with query_engine(days.query_memory_mb) as connection:
                parts = [
                    *_datasets(tables.cleaned, (keys & present) - replaced),
                    *_datasets(spare, keys & spared),
                ]
                connection.register("records", ds.dataset(parts) if parts else _NOTHING)
                yield connection

        yield open_records


def _datasets(table: ParquetTable, keys: set[str]) -> list[ds.Dataset]:
    return [table.dataset(sorted(keys))] if keys else []


def _clean_anew(
    days: RecordDays, raw: ParquetTable, inventory: Inventory, wanted: list[date], scratch: Path
) -> ParquetTable:
    """The clean records of those of the `wanted` days that can be had."""
    unreadable = inventory.unreadable_days
    stored = raw.footers(map(str, wanted))
    kept = {
        day
        for day in wanted
        if str(day) in stored
        and (day in unreadable or stored[str(day)].digest == raw_digest(inventory, day))
    }
    fresh, cleaned = ParquetTable.at(scratch / "raw_records"), ParquetTable.at(scratch / "cleaned")
    from_source = [str(day) for day in wanted if day not in kept and day not in unreadable]
    for part in raw_slices(days, inventory, from_source):
        fresh.write(part)
    for part in clean_slices(days, fresh, from_source):
        cleaned.write(part)
    for part in clean_slices(days, raw, map(str, sorted(kept))):
        cleaned.write(part)
    return cleaned


def _raw_reader(
    days: RecordDays, files: Mapping[str, RecordFile], inventory: Inventory, day: date
) -> Callable[[], Iterator[pa.RecordBatch]]:
    def read() -> Iterator[pa.RecordBatch]:
        require_readable([day], inventory.unreadable_days)
        with query_engine(days.query_memory_mb) as connection:
            for entry in inventory.of_day(day):
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
            batches = raw.batches([key], _BATCH_ROWS)
            remembered = (without_accounts(batch, days.forgotten()) for batch in batches)
            for part in clean(remembered, days.range):
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
        batches = map(texts.guard.kept, texts.batches([key], _BATCH_TEXTS))
        return embed_accounts(batches, encoder, vectors, stats)

    return read


_NOTHING = CLEAN_SCHEMA.empty_table()
