"""What a run would do, and why, before it does it: days missing or stale, texts new or changed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from embedding_assets.embedding.encoder import Counts
from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.records.days import RecordDays, Records, clean_digest, history, raw_digest
from embedding_assets.records.embed import embedding_digest
from embedding_assets.records.inventory import Inventory
from embedding_assets.records.text import (
    TEXT_SCHEMA,
    account_texts,
    history_digests,
    history_hashes_sql,
    text_digest,
)
from embedding_assets.storage.parquet import ParquetTable

_SAMPLED_TEXTS = 20_000


@dataclass(frozen=True)
class DayState:
    """Whether a day partition holds what a run would give it now."""

    asset: str
    day: date
    state: str
    why: str

    @property
    def is_fresh(self) -> bool:
        """Whether a run would leave it as it is."""
        return self.state == "fresh"


@dataclass(frozen=True)
class TextChanges:
    """How the account texts of some days differ from the stored ones, and what they cost."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    deleted: int = 0
    to_embed: int = 0
    tokens: int = 0
    tokens_estimated: bool = False

    @property
    def reused(self) -> int:
        """New and changed texts whose vector is known already."""
        return self.new + self.changed - self.to_embed


@dataclass(frozen=True)
class AssetPlan:
    """What a run would do to one asset."""

    asset: str
    missing: int
    stale: int
    fresh: int
    why: Mapping[str, int]
    texts: TextChanges | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Plan:
    """What a run over the days with records would do."""

    assets: tuple[AssetPlan, ...]
    states: tuple[DayState, ...] = field(repr=False)

    @property
    def days_to_run(self) -> list[date]:
        """The days of which any asset is missing or stale, sorted."""
        return sorted({state.day for state in self.states if not state.is_fresh})


class TokenCounter(Protocol):
    """Counts tokens; see `Encoder.count_tokens`."""

    def __call__(self, texts: list[str], /) -> Counts:
        """int32 [n]: the tokens of each text."""
        ...


@dataclass(frozen=True)
class DayTables:
    """The stored day partitions of records."""

    raw: ParquetTable
    cleaned: ParquetTable
    texts: ParquetTable
    embeddings: ParquetTable


def day_states(
    days: RecordDays, tables: DayTables, inventory: Inventory, fingerprint: str | None
) -> list[DayState]:
    """For each day that has records or is stored, and each asset: missing, stale or fresh, and why.

    fingerprint: of the configured model; None when it was never used here.
    """
    with _opened(days, tables, inventory) as (wanted, records):
        texts = _text_digests(days, wanted, records)
        return list(_states(tables, inventory, fingerprint, wanted, texts))


def make_plan(
    days: RecordDays,
    tables: DayTables,
    inventory: Inventory,
    vectors: VectorStore | None,
    count_tokens: TokenCounter,
) -> Plan:
    """What a run over all days with records would do and cost.

    vectors: those of the configured model; None when it was never used here.
    """
    with _opened(days, tables, inventory) as (wanted, records):
        texts = _text_digests(days, wanted, records)
        fingerprint = vectors.fingerprint if vectors else None
        states = tuple(_states(tables, inventory, fingerprint, wanted, texts))
        stale = [s.day for s in states if s.asset == "account_texts" and not s.is_fresh]
        unembedded = [s.day for s in states if s.asset == "account_embeddings" and not s.is_fresh]
        kept = sum(f.rows for k, f in tables.texts.footers(map(str, wanted)).items()
                   if date.fromisoformat(k) not in stale)  # fmt: skip
        changes = _text_changes(days, tables.texts, records, stale, kept)
        cost = _embedding_cost(days, records, unembedded, vectors, count_tokens)
    speed = measured_speed(tables.embeddings)
    embedded = TextChanges(**{**vars(changes), **cost})
    seconds = embedded.tokens / speed if speed else (0.0 if not embedded.tokens else None)
    details = {"account_texts": (changes, None), "account_embeddings": (embedded, seconds)}
    names = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
    return Plan(
        tuple(_summary(name, states, *details.get(name, (None, None))) for name in names), states
    )


def measured_speed(embeddings: ParquetTable) -> float | None:
    """Tokens per second of the encoder as last measured here; None before the first run."""
    newest = [footer.stats for footer in embeddings.footers(embeddings.keys()).values()]
    tokens = sum(stats.get("computed_tokens", 0) for stats in newest)
    seconds = sum(stats.get("seconds", 0.0) for stats in newest if stats.get("computed_tokens"))
    return tokens / seconds if seconds else None


@contextmanager
def _opened(
    days: RecordDays, tables: DayTables, inventory: Inventory
) -> Iterator[tuple[list[date], Records]]:
    """The days in question, and their clean records as they would be after a run."""
    stored = {date.fromisoformat(key) for key in tables.raw.keys()}
    wanted = sorted(day for day in inventory.days() | stored if day in days.range)
    cleaned = {
        key: footer.digest for key, footer in tables.cleaned.footers(map(str, wanted)).items()
    }

    def is_stale(day: date) -> bool:
        return cleaned.get(day.isoformat()) != clean_digest(inventory, day)

    with history(days, tables.cleaned, inventory, wanted, is_stale) as records:
        yield wanted, records


def _text_digests(days: RecordDays, wanted: list[date], records: Records) -> dict[date, str]:
    if not wanted:
        return {}
    with records(wanted[0], wanted[-1]) as connection:
        found = history_digests(connection, wanted[0], wanted[-1], days.history_days)
    return {day: found.get(day, text_digest(days.history_days)) for day in wanted}


def _states(
    tables: DayTables,
    inventory: Inventory,
    fingerprint: str | None,
    wanted: list[date],
    texts: Mapping[date, str],
) -> Iterator[DayState]:
    model = fingerprint or ""
    embeddings = {day: embedding_digest(digest, model) for day, digest in texts.items()}
    expected: dict[str, tuple[ParquetTable, Mapping[date, str], str]] = {
        "raw_records": (
            tables.raw,
            {day: raw_digest(inventory, day) for day in wanted},
            "record files changed",
        ),
        "cleaned_records": (
            tables.cleaned,
            {day: clean_digest(inventory, day) for day in wanted},
            "raw records or rules changed",
        ),
        "account_texts": (tables.texts, texts, "an account's history changed"),
        "account_embeddings": (tables.embeddings, embeddings, "texts or model changed"),
    }
    for asset, (table, digests, reason) in expected.items():
        footers = table.footers(map(str, wanted))
        for day in wanted:
            footer = footers.get(day.isoformat())
            if footer is None:
                yield DayState(asset, day, "missing", "never materialized")
            elif footer.digest != digests[day]:
                yield DayState(asset, day, "stale", reason)
            else:
                yield DayState(asset, day, "fresh", "")


def _text_changes(
    days: RecordDays, texts: ParquetTable, records: Records, stale: list[date], kept: int
) -> TextChanges:
    """Compare account by account the texts of stale days with the stored ones."""
    if not stale:
        return TextChanges(unchanged=kept)
    with records(stale[0], stale[-1]) as connection:
        present = texts.footers(map(str, stale))
        stored = texts.dataset(sorted(present)) if present else TEXT_SCHEMA.empty_table()
        connection.register("stored", stored)
        dates = ", ".join(f"DATE '{day}'" for day in stale)
        [(new, changed, unchanged, deleted)] = connection.execute(f"""
            SELECT
                count(*) FILTER (s.account_id IS NULL),
                count(*) FILTER (n.history_hash <> s.history_hash),
                count(*) FILTER (n.history_hash = s.history_hash),
                count(*) FILTER (n.account_id IS NULL)
            FROM (FROM ({history_hashes_sql(days.history_days)}) WHERE day IN ({dates})) AS n
            FULL JOIN (FROM stored WHERE day IN ({dates})) AS s USING (account_id, day)
        """).fetchall()
    return TextChanges(new, changed, unchanged + kept, deleted)


def _embedding_cost(
    days: RecordDays,
    records: Records,
    stale: Iterable[date],
    vectors: VectorStore | None,
    count_tokens: TokenCounter,
) -> dict[str, object]:
    """How many texts of those days have no vector yet, and their tokens: counted, or estimated
    from a sample when there are many."""
    known: set[bytes] = set()
    sample: list[str] = []
    characters = sampled_characters = 0
    for day in stale:
        with records(day, day) as connection:
            for batch in account_texts(connection, history_days=days.history_days, day=day):
                for text in _without_vector(
                    batch["text_for_embedding"].to_pylist(), vectors, known
                ):
                    characters += len(text)
                    if len(sample) < _SAMPLED_TEXTS:
                        sample.append(text)
                        sampled_characters += len(text)
    tokens = int(count_tokens(sample).sum()) if sample else 0
    if len(known) > len(sample):
        tokens = round(tokens * characters / sampled_characters)
    return {
        "to_embed": len(known), "tokens": tokens, "tokens_estimated": len(known) > len(sample),
    }  # fmt: skip


def _without_vector(
    texts: list[str], vectors: VectorStore | None, known: set[bytes]
) -> Iterator[str]:
    """The texts that no vector is stored for, each once; `known` collects their keys."""
    keys = text_keys(texts, vectors.fingerprint if vectors else "")
    stored = vectors.contains(keys) if vectors else [False] * len(texts)
    for text, key, is_stored in zip(texts, keys.tolist(), stored, strict=True):
        if not is_stored and key not in known:
            known.add(key)
            yield text


def _summary(
    asset: str, states: Iterable[DayState], texts: TextChanges | None, seconds: float | None
) -> AssetPlan:
    mine = [state for state in states if state.asset == asset]
    count = Counter(state.state for state in mine)
    why = Counter(state.why for state in mine if state.why)
    return AssetPlan(asset, count["missing"], count["stale"], count["fresh"], why, texts, seconds)
