"""How texts and items differ from the stored ones, and what embedding them would cost."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Protocol

import pyarrow as pa

from embedding_assets.embedding.encoder import Counts
from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.records.days import RecordDays
from embedding_assets.records.latest import item_schema
from embedding_assets.records.outlook import Outlook
from embedding_assets.records.text import TEXT_SCHEMA, account_texts, history_hashes_sql
from embedding_assets.storage.parquet import ParquetTable

_SAMPLED_TEXTS = 20_000
_BATCH_TEXTS = 8_192


@dataclass(frozen=True)
class TextChanges:
    """How the texts of an asset differ from the stored ones, and what they cost."""

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


class TokenCounter(Protocol):
    """Counts tokens; see `Encoder.count_tokens`."""

    def __call__(self, texts: list[str], /) -> Counts:
        """int32 [n]: the tokens of each text."""
        ...


@dataclass
class Unknown:
    """Meets texts and tells which of them have no vector yet, each once.

    vectors: those of the configured model; None when it was never used here.
    """

    vectors: VectorStore | None
    count_tokens: TokenCounter
    _met: set[bytes] = field(default_factory=set)

    def cost(self, batches: Iterable[list[str]], changes: TextChanges) -> TextChanges:
        """The changes with the texts that were not met before and have no vector, and their
        tokens: counted, or estimated from a sample when there are many."""
        sample: list[str] = []
        texts = characters = sampled = 0
        for text in (text for batch in batches for text in self._without_vector(batch)):
            texts += 1
            characters += len(text)
            if len(sample) < _SAMPLED_TEXTS:
                sample.append(text)
                sampled += len(text)
        tokens = int(self.count_tokens(sample).sum()) if sample else 0
        if texts > len(sample):
            tokens = round(tokens * characters / sampled)
        estimated = texts > len(sample)
        return replace(changes, to_embed=texts, tokens=tokens, tokens_estimated=estimated)

    def _without_vector(self, texts: list[str]) -> Iterator[str]:
        # Never `if self.vectors`: a store without vectors is false.
        keys = text_keys(texts, self.vectors.fingerprint if self.vectors is not None else "")
        stored = self.vectors.contains(keys) if self.vectors is not None else [False] * len(texts)
        for text, key, is_stored in zip(texts, keys.tolist(), stored, strict=True):
            if not is_stored and key not in self._met:
                self._met.add(key)
                yield text


def text_changes(days: RecordDays, outlook: Outlook, texts: ParquetTable) -> TextChanges:
    """Compare account by account the texts of days that a run would write with the stored ones;
    the rows of all other days are unchanged."""
    due = outlook.texts.due()
    kept = sum(f.rows for day, f in outlook.texts.stored.items()
               if day in outlook.texts.digests and day not in due)  # fmt: skip
    if not due:
        return TextChanges(unchanged=kept)
    with outlook.records(due[0], due[-1]) as connection:
        present = [str(day) for day in due if day in outlook.texts.stored]
        stored = texts.dataset(present) if present else TEXT_SCHEMA.empty_table()
        connection.register("stored", stored)
        dates = ", ".join(f"DATE '{day}'" for day in due)
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


def texts_to_embed(days: RecordDays, outlook: Outlook, texts: ParquetTable) -> Iterator[list[str]]:
    """The account texts, in batches, of the days whose embeddings a run would write."""
    for day in outlook.embeddings.due():
        for batch in _texts_of(day, days, outlook, texts):
            yield batch["text_for_embedding"].to_pylist()


def item_changes(outlook: Outlook, items: ParquetTable) -> TextChanges:
    """Compare the distinct items of the clean records with the stored ones."""
    footer = items.footer()
    stored = items.dataset() if footer else item_schema(1).empty_table()
    if not outlook.filled:
        return TextChanges(deleted=footer.rows if footer else 0)
    with outlook.records(outlook.days[0], outlook.days[-1]) as connection:
        connection.register("stored", stored)
        [(new, unchanged, deleted)] = connection.execute("""
            SELECT
                count(*) FILTER (s.item_description IS NULL),
                count(*) FILTER (n.item_description = s.item_description),
                count(*) FILTER (n.item_description IS NULL)
            FROM (SELECT DISTINCT item_description FROM records) AS n
            FULL JOIN (SELECT item_description FROM stored) AS s USING (item_description)
        """).fetchall()
    return TextChanges(new=new, unchanged=unchanged, deleted=deleted)


def items_to_embed(outlook: Outlook) -> Iterator[list[str]]:
    """The distinct items of the clean records, in batches."""
    if not outlook.filled:
        return
    with outlook.records(outlook.days[0], outlook.days[-1]) as connection:
        query = "SELECT DISTINCT item_description FROM records"
        for batch in connection.sql(query).to_arrow_reader(_BATCH_TEXTS):
            yield batch["item_description"].to_pylist()


def _texts_of(
    day: date, days: RecordDays, outlook: Outlook, texts: ParquetTable
) -> Iterator[pa.RecordBatch]:
    """Drawn anew from the records where a run would write them, else as they are stored."""
    if not outlook.texts.is_due(day):
        yield from texts.batches([str(day)], _BATCH_TEXTS, ["text_for_embedding"])
        return
    with outlook.records(day, day) as connection:
        yield from account_texts(connection, history_days=days.history_days, day=day)
