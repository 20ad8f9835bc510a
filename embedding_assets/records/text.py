"""From a history of clean records to one text per account, whatever order the records came in."""

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.slices import digest_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TEXT_CODE = "1"
"""Changes whenever the same history would become another text."""

TEXT_SCHEMA = pa.schema(
    [
        pa.field("account_id", pa.string()),
        pa.field("text_for_embedding", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("records", pa.int64()),
        pa.field("main_cuisine", pa.string()),
        pa.field("history_hash", pa.int64()),
    ]
)

_BYTES_AT_ONCE = 10_000_000
_ROW_BYTES = 100
"""Of a record, beside its description."""
_HASH_MODULUS = 2**63 - 25
_TOTALS = """count(*),
    sum(CAST(md5_number_lower(concat_ws(chr(31), account_id, history_hash)) AS HUGEINT))"""


def account_texts(
    connection: "DuckDBPyConnection",
    *,
    history_days: int | None = None,
    day: date | None = None,
    batch_rows: int = 8_192,
) -> Iterator[pa.RecordBatch]:
    """One row per account (TEXT_SCHEMA), sorted by account, from the connection's table `records`.

    records: clean records (CLEAN_SCHEMA), in any order.
    history_days: records older than this many days before the account's last day are left out.
    day: only accounts with a record on that day, as of that day; None: every account as of its
        own last day.
    """
    history = _history(history_days, day)
    starts = _starts(connection, "records" if day is None else f"({history})")
    for start, end in pairwise([*starts, None]):
        until = "AND account_id < $end" if end is not None else ""
        part = f"SELECT * FROM records WHERE account_id >= $start {until}"
        query = f"WITH records AS ({part}), history AS ({history}), {_TEXTS}"
        bounds = {"start": start} | ({"end": end} if end is not None else {})
        for batch in connection.sql(query, params=bounds).to_arrow_reader(batch_rows):
            yield batch.cast(TEXT_SCHEMA)


def history_hashes_sql(history_days: int) -> str:
    """SQL over `records` that yields (account_id, day, history_hash) for each active account-day.

    Equal hashes mean equal histories within the window: the hash is the sum of the row hashes of
    distinct records, so it does not depend on their order.
    """
    return f"""
        SELECT account_id, day, CAST(
            sum(total) OVER (
                PARTITION BY account_id ORDER BY day
                RANGE BETWEEN INTERVAL {history_days - 1} DAYS PRECEDING AND CURRENT ROW
            ) % {_HASH_MODULUS} AS BIGINT) AS history_hash
        FROM (
            SELECT account_id, day, sum(CAST(row_hash AS HUGEINT)) AS total
            FROM records GROUP BY account_id, day
        )"""


def history_digests(
    connection: "DuckDBPyConnection", first: date, last: date, history_days: int
) -> dict[date, str]:
    """For each day in [first, last] with records: a digest of all that its account texts are
    drawn from, computed from the connection's table `records` in one pass."""
    rows = connection.execute(
        f"""
        SELECT day, {_TOTALS} FROM ({history_hashes_sql(history_days)})
        WHERE day BETWEEN ? AND ? GROUP BY day""",
        [first, last],
    ).fetchall()
    return {day: text_digest(history_days, accounts, total) for day, accounts, total in rows}


def stored_text_digest(texts: pa.Table, history_days: int) -> str:
    """The digest of a day as `history_digests` gives it, out of its account texts alone
    (`account_id` and `history_hash` of TEXT_SCHEMA)."""
    if not len(texts):
        return text_digest(history_days)
    with query_engine() as connection:
        connection.register("texts", texts.select(["account_id", "history_hash"]))
        [(accounts, total)] = connection.execute(f"SELECT {_TOTALS} FROM texts").fetchall()
    return text_digest(history_days, accounts, total)


def text_digest(history_days: int, accounts: int = 0, total: int = 0) -> str:
    """The digest of a day with those accounts; without arguments, of a day without any."""
    return digest_of("account_texts", TEXT_CODE, history_days, accounts, str(total))


def window_start(day: date, history_days: int) -> date:
    """The first day of the history that an account text of `day` is drawn from."""
    return day - timedelta(days=history_days - 1)


def _starts(connection: "DuckDBPyConnection", table: str) -> list[str]:
    """The accounts with which parts of about `_BYTES_AT_ONCE` begin. What one part's texts are made
    of is held in memory, which DuckDB cannot spill."""
    rows = connection.execute(f"""
        SELECT min(account_id) FROM (
            SELECT account_id, sum(bytes) OVER (ORDER BY account_id) // {_BYTES_AT_ONCE} AS part
            FROM (
                SELECT
                    account_id,
                    sum({_ROW_BYTES} + strlen(coalesce(item_description, ''))) AS bytes
                FROM {table} GROUP BY account_id
            )
        ) GROUP BY part ORDER BY 1""").fetchall()
    return [start for (start,) in rows]


def _history(history_days: int | None, day: date | None) -> str:
    if day is not None:
        first = window_start(day, history_days) if history_days else date.min
        return f"""
            SELECT *, DATE '{day}' AS last_day FROM records
            WHERE day BETWEEN DATE '{first}' AND DATE '{day}'
              AND account_id IN (SELECT account_id FROM records WHERE day = DATE '{day}')"""
    window = f"day > last_day - INTERVAL {history_days} DAYS" if history_days else "true"
    return f"""
        SELECT * FROM (
            SELECT *, max(day) OVER (PARTITION BY account_id) AS last_day FROM records
        ) WHERE {window}"""


_TEXTS = f"""
    mentions AS (
        SELECT account_id, 'item' AS section, item_description AS value, feature_timestamp
        FROM history
        UNION ALL
        SELECT account_id, 'vendor', vendor_name, feature_timestamp FROM history
        UNION ALL
        SELECT account_id, 'cuisine', unnest(vendor_cuisines), feature_timestamp FROM history
    ),
    seen AS (
        SELECT account_id, section, value, min(feature_timestamp) AS first_seen, count(*) AS times
        FROM mentions WHERE value IS NOT NULL GROUP BY account_id, section, value
    ),
    sections AS (
        SELECT
            account_id,
            string_agg(value, '; ' ORDER BY first_seen, value)
                FILTER (section = 'item') AS items,
            string_agg(value, '; ' ORDER BY first_seen, value)
                FILTER (section = 'vendor') AS vendors,
            string_agg(value, ', ' ORDER BY first_seen, value)
                FILTER (section = 'cuisine') AS cuisines,
            first(value ORDER BY times DESC, first_seen, value)
                FILTER (section = 'cuisine') AS main_cuisine
        FROM seen GROUP BY account_id
    ),
    accounts AS (
        SELECT account_id, count(*) AS records, max(last_day) AS day,
               CAST(sum(CAST(row_hash AS HUGEINT)) % {_HASH_MODULUS} AS BIGINT) AS history_hash
        FROM history GROUP BY account_id
    )
    SELECT
        account_id,
        concat_ws(' ', 'Items: ' || items || '.', 'Vendors: ' || vendors || '.',
                  'Cuisines: ' || cuisines || '.') AS text_for_embedding,
        day, records, main_cuisine, history_hash
    FROM accounts JOIN sections USING (account_id)
    ORDER BY account_id"""
