"""Raw records to clean ones: normalized, validated, each row either good or with its reason."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from embedding_assets.records.source import RECORD_COLUMNS
from embedding_assets.storage.duck import connect

if TYPE_CHECKING:
    import pandas as pd
    import pandera.pandas as pandera
    from duckdb import DuckDBPyConnection

CLEAN_CODE = "1"
"""Changes whenever the same raw rows would become other clean rows."""

CLEAN_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("item_description", pa.string()),
        pa.field("vendor_name", pa.string()),
        pa.field("vendor_cuisines", pa.list_(pa.string())),
        pa.field("feature_timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("day", pa.date32()),
        pa.field("row_hash", pa.int64()),
    ]
)

QUARANTINE_SCHEMA = pa.schema(
    [
        pa.field("source_file", pa.string()),
        pa.field("source_row", pa.int64()),
        *(pa.field(name, pa.string()) for name in RECORD_COLUMNS),
        pa.field("reason", pa.string()),
        pa.field("class", pa.string()),
        pa.field("attempts", pa.int32()),
    ]
)

_FUTURE = "feature_timestamp lies in the future"
_REASONS = {
    ("account_id", "not_nullable"): "account_id is empty",
    ("item_description", "not_nullable"): "item_description is empty",
    ("feature_timestamp", "not_nullable"): "feature_timestamp is empty or not ISO-8601",
    ("feature_timestamp", "not_in_the_future"): _FUTURE,
    ("feature_timestamp", "not_before_start"): "feature_timestamp lies before records.start_date",
}


@dataclass(frozen=True)
class DayRange:
    """The days that records may belong to, both included (UTC)."""

    first: date
    last: date

    def __contains__(self, day: object) -> bool:
        return isinstance(day, date) and self.first <= day <= self.last


@dataclass(frozen=True)
class Cleaned:
    """A batch of records, parted: `good` has CLEAN_SCHEMA, `bad` has QUARANTINE_SCHEMA."""

    good: pa.RecordBatch
    bad: pa.RecordBatch


def clean(raw: Iterable[pa.RecordBatch], days: DayRange) -> Iterator[Cleaned]:
    """Part raw batches (RAW_SCHEMA) into good and bad rows, batch by batch; no row is lost.

    Text is NFC-normalized (Unicode Standard Annex 15), white space and control characters are
    folded to single spaces, cuisines are split at commas and semicolons.
    """
    schema = record_schema(days)
    connection = connect()
    connection.execute("LOAD icu; SET TimeZone = 'UTC'; SET threads = 1")
    try:
        for batch in raw:
            yield _clean_batch(connection, batch, schema)
    finally:
        connection.close()


def record_schema(days: DayRange) -> "pandera.DataFrameSchema":
    """What holds of every clean record, as a pandera schema over the columns of CLEAN_SCHEMA."""
    import pandera.pandas as pandera

    first = datetime.combine(days.first, time(), UTC)
    end = datetime.combine(days.last + timedelta(days=1), time(), UTC)
    in_days = [
        pandera.Check(lambda at: at >= first, name="not_before_start"),
        pandera.Check(lambda at: at < end, name="not_in_the_future"),
    ]
    return pandera.DataFrameSchema(
        {
            "account_id": pandera.Column(str, nullable=False),
            "item_description": pandera.Column(str, nullable=False),
            "vendor_name": pandera.Column(str, nullable=True),
            "feature_timestamp": pandera.Column("datetime64[us, UTC]", in_days, nullable=False),
        }
    )


def failures(frame: "pd.DataFrame", schema: "pandera.DataFrameSchema") -> dict[int, list[str]]:
    """For each row (by index) that breaks the schema: the reasons, in words."""
    import pandera.errors

    try:
        schema.validate(frame, lazy=True)
    except pandera.errors.SchemaErrors as errors:
        cases: Any = errors.failure_cases
        found: dict[int, list[str]] = {}
        for row, column, check in zip(cases["index"], cases["column"], cases["check"], strict=True):
            if row is None or row != row:
                raise TypeError(f"{column} fails {check} as a whole") from errors
            found.setdefault(int(row), []).append(
                _REASONS.get((column, check), f"{column}: {check}")
            )
        return found
    return {}


def _clean_batch(
    connection: "DuckDBPyConnection", batch: pa.RecordBatch, schema: "pandera.DataFrameSchema"
) -> Cleaned:
    raw = pa.Table.from_batches([batch]).append_column("position", pa.array(np.arange(len(batch))))
    connection.register("raw", raw)
    normalized = connection.sql(_NORMALIZE).to_arrow_table()
    frame = normalized.select(list(schema.columns)).to_pandas()
    reasons = failures(frame, schema)
    is_bad = np.zeros(len(batch), dtype=bool)
    is_bad[list(reasons)] = True
    good = normalized.filter(pa.array(~is_bad)).cast(CLEAN_SCHEMA).combine_chunks()
    bad = _quarantined(raw.filter(pa.array(is_bad)), [reasons[i] for i in sorted(reasons)])
    return Cleaned(_one_batch(good), _one_batch(bad))


def _quarantined(raw: pa.Table, reasons: list[list[str]]) -> pa.Table:
    columns = {name: raw[name] for name in QUARANTINE_SCHEMA.names if name in raw.column_names}
    columns["reason"] = pa.array(["; ".join(each) for each in reasons], pa.string())
    columns["class"] = pa.array(
        ["transient" if each == [_FUTURE] else "permanent" for each in reasons], pa.string()
    )
    columns["attempts"] = pa.array(np.ones(len(reasons), dtype=np.int32))
    return pa.table({name: columns[name] for name in QUARANTINE_SCHEMA.names}).cast(
        QUARANTINE_SCHEMA
    )


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def folded(column: str) -> str:
    """SQL for the text of a column as clean records have it, NULL where nothing is left.

    Blanks first: nfc_normalize would cut a text at a NUL character.
    """
    blanks = r"[\s\p{Z}\p{Cc}]+"
    return f"nullif(trim(nfc_normalize(regexp_replace({column}, '{blanks}', ' ', 'g'))), '')"


_NORMALIZE = f"""
    SELECT * EXCLUDE (position),
        CAST(md5_number_lower(concat_ws(chr(31),
            account_id, item_description, coalesce(vendor_name, ''),
            coalesce(array_to_string(vendor_cuisines, chr(30)), ''), epoch_us(feature_timestamp)
        )) >> 1 AS BIGINT) AS row_hash
    FROM (
        SELECT
            {folded("account_id")} AS account_id,
            {folded("item_description")} AS item_description,
            {folded("vendor_name")} AS vendor_name,
            list_filter(
                list_transform(
                    regexp_split_to_array(coalesce(vendor_cuisines, ''), '[,;]'),
                    lambda name: {folded("name")}
                ),
                lambda name: name IS NOT NULL
            ) AS vendor_cuisines,
            recorded_at AS feature_timestamp,
            CAST(recorded_at AS DATE) AS day,
            position
        FROM raw
    )
    ORDER BY position"""
"""md5 rather than DuckDB's own hash, which may change between its releases."""
