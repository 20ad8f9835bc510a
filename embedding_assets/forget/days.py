"""What the day partitions of records hold of forgotten accounts, and their digests without it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.records.days import DayTables, RecordDays, clean_digest, clean_slices
from embedding_assets.records.embed import embedding_digest
from embedding_assets.records.forgotten import Accounts, forgotten_ids, without_accounts
from embedding_assets.records.text import stored_text_digest
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice

_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class DaysWithout:
    """The day partitions, and what they are to be without the forgotten accounts.

    Every table is rewritten before the one that it is drawn from, and a partition that was as it
    should be gets the digest that it should then have. All of it follows from what is stored, the
    same whether some partitions were rewritten before or none: so whoever is killed on the way
    can begin again.
    """

    days: RecordDays
    tables: DayTables
    forgotten: Accounts

    @cached_property
    def held(self) -> Mapping[str, dict[str, int]]:
        """By table (`raw`, `cleaned`, `texts`, `embeddings`): the days that hold rows of forgotten
        accounts, and how many."""
        return {name: self._held(table) for name, table in vars(self.tables).items()}

    @cached_property
    def texts_after(self) -> dict[str, str]:
        """The digest of each day's account texts without the forgotten ones."""
        footers = _footers(self.tables.texts)
        changed = {key: self._text_digest(key, footers[key]) for key in self.held["texts"]}
        return {key: footer.digest for key, footer in footers.items()} | changed

    @cached_property
    def embeddings_after(self) -> dict[str, Footer]:
        """The footers of the embeddings without the forgotten ones."""
        texts = _footers(self.tables.texts)
        held = self.held["embeddings"]
        after = {}
        for key, footer in _footers(self.tables.embeddings).items():
            digest = footer.digest
            fingerprint = str(footer.stats.get("fingerprint"))
            if key in texts and digest == embedding_digest(texts[key].digest, fingerprint):
                digest = embedding_digest(self.texts_after[key], fingerprint)
            after[key] = Footer(key, digest, footer.rows - held.get(key, 0), footer.stats)
        return after

    @property
    def cleaned_after(self) -> dict[str, Footer]:
        """The footers of the clean records without the forgotten ones."""
        held = self.held["cleaned"]
        return {
            key: Footer(key, footer.digest, footer.rows - held.get(key, 0), footer.stats)
            for key, footer in _footers(self.tables.cleaned).items()
        }

    def texts(self) -> list[str]:
        """The texts of the forgotten accounts that are stored in any partition."""
        found: list[str] = []
        for table, name in ((self.tables.texts, "texts"), (self.tables.embeddings, "embeddings")):
            for key in self.held[name]:
                found += texts_of(table, [key], self.forgotten)
        return found

    def rewrite(self) -> dict[str, int]:
        """Rewrite the partitions, from the embeddings back to the raw records; how many rows went
        from each table."""
        removed = {
            "embeddings": self.rewrite_embeddings(),
            "texts": self._texts(),
            "cleaned": self._cleaned(),
        }
        raw = self.tables.raw
        removed["raw"] = sum(rewritten(raw, key) for key in self.held["raw"])
        return removed

    def rewrite_embeddings(self) -> int:
        """Rewrite the embeddings alone; those of every model come before the texts, by which it is
        known that they are fresh. How many rows went."""
        table, after = self.tables.embeddings, self.embeddings_after
        stored = _footers(table)
        due = [
            key
            for key, footer in after.items()
            if key in self.held["embeddings"] or footer.digest != stored[key].digest
        ]
        return sum(rewritten(table, key, after[key].digest) for key in due)

    def _texts(self) -> int:
        table = self.tables.texts
        return sum(rewritten(table, key, self.texts_after[key]) for key in self.held["texts"])

    def _cleaned(self) -> int:
        """Made anew out of the raw records where they are of these, as the numbers of dropped
        duplicates and quarantined rows must be those of the rows that are left."""
        raw, cleaned = self.tables.raw, self.tables.cleaned
        removed = 0
        for key in sorted({*self.held["cleaned"], *self.held["raw"]} & {*cleaned.keys()}):
            source, stored = raw.footer(key), cleaned.footer(key)
            if source and stored and stored.digest == clean_digest(source.digest):
                for part in clean_slices(self.days, raw, [key]):
                    removed += stored.rows - cleaned.replace(part).footer.rows
            else:
                removed += rewritten(cleaned, key)
        return removed

    def _held(self, table: ParquetTable) -> dict[str, int]:
        counts = {key: _counted(table, key) for key in table.keys()}
        ids = [each["account_id"] for each in counts.values()]
        gone = forgotten_ids(pa.chunked_array(ids, pa.string()), self.forgotten)
        found = {
            key: pc.sum(each["rows"].filter(pc.is_in(each["account_id"], value_set=gone))).as_py()
            for key, each in counts.items()
        }
        return {key: rows for key, rows in found.items() if rows}

    def _text_digest(self, key: str, stored: Footer) -> str:
        """The digest is out of the rows alone; those of other settings keep the one they have."""
        rows = self.tables.texts.read(key)
        if stored.digest != stored_text_digest(rows, self.days.history_days):
            return stored.digest
        left = without_accounts(rows, self.forgotten)
        return stored_text_digest(left, self.days.history_days)


def rewritten(table: ParquetTable, key: str | None, digest: str | None = None) -> int:
    """Write a guarded partition again as it is stored, so that forgotten rows are left out; how
    many those were. digest: None leaves it."""
    stored = table.footer(key)
    if stored is None:
        return 0
    keys = None if key is None else [key]
    part = Slice(
        key,
        stored.digest if digest is None else digest,
        table.dataset(keys).schema.remove_metadata(),
        lambda: table.batches(keys, _BATCH_ROWS),
        stored.stats,
    )
    return stored.rows - table.replace(part).footer.rows


def texts_of(table: ParquetTable, keys: list[str] | None, accounts: Accounts) -> list[str]:
    """The `text_for_embedding` of some accounts in some partitions."""
    found: list[str] = []
    for batch in table.batches(keys, _BATCH_ROWS, ["account_id", "text_for_embedding"]):
        rows = pa.Table.from_batches([batch])
        gone = forgotten_ids(rows["account_id"], accounts)
        if len(gone):
            is_gone = pc.is_in(rows["account_id"], value_set=gone)
            found += rows["text_for_embedding"].filter(is_gone).to_pylist()
    return found


def _footers(table: ParquetTable) -> dict[str, Footer]:
    return table.footers(table.keys())


def _counted(table: ParquetTable, key: str) -> pa.Table:
    """The ids in a partition, and how many rows each has."""
    batches = [batch["account_id"] for batch in table.batches([key], _BATCH_ROWS, ["account_id"])]
    counted = pc.value_counts(pa.chunked_array(batches, pa.string()))
    return pa.table({"account_id": counted.field("values"), "rows": counted.field("counts")})
