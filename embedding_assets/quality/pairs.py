"""Pairs of texts that belong together without anybody having said so: halves of one whole."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.documents.split import BORDERS
from embedding_assets.records.clean import CLEAN_SCHEMA
from embedding_assets.records.text import account_texts
from embedding_assets.storage.duck import query_engine

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST = 1_000
"""Pairs of a measurement: enough to see a difference of two hundredths in the mean."""
_LEAST_CHARACTERS = 80
_LEAST_RECORDS = 4
_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True)
class Pairs:
    """First halves as queries, second halves as what each of them must find.

    queries, answers: n each, in one order; no answer comes twice.
    """

    queries: tuple[str, ...]
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.queries) != len(self.answers):
            raise ValueError(f"{len(self.queries)} queries but {len(self.answers)} answers")

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Pairs":
        """The pairs in their order, without those whose answer was there before: two passages that
        end alike cannot be told apart."""
        distinct: dict[str, str] = {}
        for query, answer in pairs:
            distinct.setdefault(answer, query)
        return cls(tuple(distinct.values()), tuple(distinct))

    def __len__(self) -> int:
        return len(self.queries)


def document_pairs(chunks: pa.Table | Iterable[str], most: int = MOST) -> Pairs:
    """The two halves of at most `most` passages; of those long enough to have two.

    chunks: rows with the column `text` (CHUNK_SCHEMA), whose headings would give both halves away
    and are left out; or texts. The same texts in any order give the same pairs: the ones with the
    least hashes, so that a few new passages change few of them.
    """
    texts = _column(chunks) if isinstance(chunks, pa.Table) else chunks
    chosen = sampled((text for text in texts if halves(text)), most)
    return Pairs.of(cut for cut in map(halves, chosen) if cut)


def sampled(texts: Iterable[str], most: int) -> list[str]:
    """At most `most` of the distinct texts, whatever their order: those with the least hashes, by
    these. No more than so many are held at a time."""
    held: dict[int, str] = {}
    worst: list[int] = []  # negated, so that the greatest hash comes first
    for text in texts:
        key = int(_hash(text), 16)
        if key in held:
            continue
        if len(held) == most:
            if key >= -worst[0]:
                continue
            del held[-heapq.heapreplace(worst, -key)]
        else:
            heapq.heappush(worst, -key)
        held[key] = text
    return [held[key] for key in sorted(held)]


def account_pairs(
    connection: "DuckDBPyConnection", most: int = MOST, history_days: int | None = None
) -> Pairs:
    """The text of the first and of the second half of the history of at most `most` accounts.

    Each half is a history of its own, written like any account text; accounts with fewer than
    4 records have none. The connection's table `records`: clean records (CLEAN_SCHEMA), in any
    order. history_days: how far back an account's history reaches from its last day.
    """
    parted = connection.sql(_halves_sql(history_days), params=[most]).to_arrow_table()
    first, second = (
        dict(_texts(parted.filter(pc.equal(parted["is_second"], is_second))))
        for is_second in (False, True)
    )
    return Pairs.of((first[account], second[account]) for account in sorted(first, key=_hash))


def halves(text: str) -> tuple[str, str] | None:
    """A text cut in two at the best border near its middle; None for one that is too short.

    Between paragraphs, sentences, lines or words, the first of these that has a border in the
    middle half of the text.
    """
    text = text.strip()
    if len(text) < _LEAST_CHARACTERS:
        return None
    for border in BORDERS:
        middle = len(text) / 2
        found = min(
            border.finditer(text), key=lambda match: abs(match.end() - middle), default=None
        )
        if found and abs(found.end() - middle) <= len(text) / 4:
            return text[: found.end()].strip(), text[found.end() :].strip()
    return None


def _halves_sql(history_days: int | None) -> str:
    """The records of the chosen accounts, each with whether it is in the second half."""
    window = f"day > last_day - INTERVAL {history_days} DAYS" if history_days else "true"
    return f"""
    WITH history AS (
        SELECT * FROM (
            SELECT *, max(day) OVER (PARTITION BY account_id) AS last_day FROM records
        ) WHERE {window}
    ),
    chosen AS (
        SELECT account_id FROM history GROUP BY account_id
        HAVING count(*) >= {_LEAST_RECORDS} ORDER BY md5(account_id) LIMIT ?
    ),
    placed AS (
        SELECT history.*,
            row_number() OVER (
                PARTITION BY account_id ORDER BY feature_timestamp, row_hash) AS place,
            count(*) OVER (PARTITION BY account_id) AS all_records
        FROM history SEMI JOIN chosen USING (account_id)
    )
    SELECT {", ".join(CLEAN_SCHEMA.names)}, place > all_records // 2 AS is_second FROM placed"""


def _texts(records: pa.Table) -> Iterator[tuple[str, str]]:
    with query_engine() as connection:
        connection.register("records", records)
        for batch in account_texts(connection):
            rows = batch.select(["account_id", "text_for_embedding"]).to_pylist()
            yield from (tuple(row.values()) for row in rows)


def _column(chunks: pa.Table) -> Iterator[str]:
    for batch in chunks.select(["text"]).to_batches(_ROWS_AT_ONCE):
        yield from batch["text"].to_pylist()


def _hash(text: str) -> str:
    return hashlib.md5(text.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
