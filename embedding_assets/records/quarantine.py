"""Rows that belong to no day or break the schema: kept per source file, with the reason."""

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.records.clean import CLEAN_CODE, QUARANTINE_SCHEMA, clean
from embedding_assets.records.days import RecordDays
from embedding_assets.records.forgotten import without_accounts
from embedding_assets.records.inventory import FileDay, Inventory
from embedding_assets.records.source import (
    RAW_SCHEMA,
    RecordFile,
    list_record_files,
    raw_records_sql,
    readable,
)
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.slices import Slice, Stats, digest_of

Attempts = Mapping[tuple[str, int | None], int]
FORGOTTEN_ROWS = "forgotten_of_no_day"
_BATCH_ROWS = 65_536


def quarantine_slices(
    days: RecordDays, inventory: Inventory, attempts: Attempts
) -> Iterator[Slice]:
    """For each record file: its rows that cannot be used (QUARANTINE_SCHEMA); a file that cannot
    be read is one row without a row number.

    attempts: how often each row, by file and row number, was tried before.
    """
    files = {file.name: file for file in list_record_files(days.source)}
    for name, entries in inventory.files().items():
        if name in files:
            reader = _Reader(days, files[name], entries, attempts)
            digest = quarantine_digest(days, entries)
            yield Slice(name, digest, QUARANTINE_SCHEMA, reader.batches, reader.stats)


def quarantine_digest(days: RecordDays, entries: list[FileDay]) -> str:
    """The digest of a file's quarantined rows; those of a future day are judged anew each day, all
    others once."""
    content = sorted((str(entry.day), entry.rows, entry.digest, entry.error) for entry in entries)
    today = days.range.last
    awaits = any(entry.day is not None and entry.day > today for entry in entries)
    return digest_of(
        "quarantined_records", CLEAN_CODE, days.start, content, today if awaits else ""
    )


def attempts_of(quarantined: pa.Table) -> dict[tuple[str, int | None], int]:
    """How often each row was tried, from the stored quarantine."""
    columns = (quarantined[name].to_pylist() for name in ("source_file", "source_row", "attempts"))
    return {(file, row): tried for file, row, tried in zip(*columns, strict=True)}


def of_no_day(quarantined: pa.RecordBatch | pa.Table) -> int:
    """How many of the rows belong to no day."""
    return pc.sum(pc.match_substring(quarantined["reason"], "feature_timestamp")).as_py() or 0


class _Reader:
    """stats: `forgotten_of_no_day`, when there are any, counts rows that were left out."""

    def __init__(
        self, days: RecordDays, file: RecordFile, entries: list[FileDay], attempts: Attempts
    ) -> None:
        self.days = days
        self.file = file
        self.error = entries[0].error
        self.attempts = attempts
        self.stats: Stats = {}

    def batches(self) -> Iterator[pa.RecordBatch]:
        if self.error:
            row = {"source_file": self.file.name, "reason": self.error, "class": "transient"}
            yield self._counted(pa.RecordBatch.from_pylist([row], schema=QUARANTINE_SCHEMA))
            return
        self.stats.clear()
        query = raw_records_sql(self.file.path, self.file.name)
        with query_engine(self.days.query_memory_mb) as connection, readable(self.file.path):
            reader = connection.sql(query).to_arrow_reader(_BATCH_ROWS)
            raw = (batch.select(RAW_SCHEMA.names).cast(RAW_SCHEMA) for batch in reader)
            for part in clean(raw, self.days.range):
                bad = self._remembered(part.bad)
                if len(bad):
                    yield self._counted(bad)

    def _remembered(self, bad: pa.RecordBatch) -> pa.RecordBatch:
        kept = without_accounts(bad, self.days.forgotten())
        if left_out := of_no_day(bad) - of_no_day(kept):
            self.stats[FORGOTTEN_ROWS] = self.stats.get(FORGOTTEN_ROWS, 0) + left_out
        return kept

    def _counted(self, bad: pa.RecordBatch) -> pa.RecordBatch:
        rows = zip(bad["source_file"].to_pylist(), bad["source_row"].to_pylist(), strict=True)
        tried = pa.array([self.attempts.get(row, 0) + 1 for row in rows], pa.int32())
        position = bad.schema.get_field_index("attempts")
        return bad.set_column(position, QUARANTINE_SCHEMA.field("attempts"), tried)
