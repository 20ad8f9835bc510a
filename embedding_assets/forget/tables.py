"""What was drawn from all days, without forgotten accounts: latest embeddings, items, neighbours,
quarantine."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.forget.days import DaysWithout, rewritten, texts_of
from embedding_assets.forget.similar import Patch
from embedding_assets.records.forgotten import forgotten_digest, without_accounts
from embedding_assets.records.latest import counted_items, item_digest, latest_digest
from embedding_assets.records.quarantine import FORGOTTEN_ROWS, of_no_day
from embedding_assets.search.similar import similar_digest
from embedding_assets.storage.slices import Footer, Slice, table_slice

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

_BATCH_ROWS = 4_096
Edit = Callable[[Footer, pa.Table], Slice | None]


@dataclass(frozen=True)
class TablesWithout:
    """The tables without partitions, and what they are to be without the forgotten accounts.

    They are rewritten before the days that they are drawn from; see DaysWithout.
    """

    workspace: "Workspace"
    days: DaysWithout

    @cached_property
    def latest_after(self) -> str | None:
        """The digest of the latest embeddings without the forgotten ones; None without any."""
        stored = self.workspace.table(_LATEST).footer()
        if stored is None:
            return None
        embeddings = self.days.tables.embeddings
        now = embeddings.footers(embeddings.keys())
        models = {str(each.stats.get("fingerprint")) for each in now.values() if each.rows}
        for model in models if len(models) == 1 else ():
            if stored.digest == latest_digest(now, model):
                return latest_digest(self.days.embeddings_after, model)
        return stored.digest

    @cached_property
    def items_after(self) -> str | None:
        """The digest of the items without what only forgotten accounts ordered; None without
        any."""
        stored = self.workspace.table("item_embeddings").footer()
        if stored is None:
            return None
        cleaned = self.days.tables.cleaned
        model = str(stored.stats.get("fingerprint"))
        known = str(stored.stats.get("forgotten", ""))
        if stored.digest != item_digest(cleaned.footers(cleaned.keys()), model, known):
            return stored.digest
        left_out = forgotten_digest(self.days.forgotten)
        return item_digest(self.days.cleaned_after, model, left_out)

    @cached_property
    def items(self) -> pa.Table:
        """The items that remembered accounts ordered, counted."""
        cleaned, days = self.days.tables.cleaned, self.days
        stored = cleaned.footers(cleaned.keys())
        filled = [key for key, footer in stored.items() if footer.rows]
        if not filled:
            return _NO_ITEMS
        memory = days.days.query_memory_mb
        with counted_items(cleaned, filled, memory, lambda: days.forgotten) as reader:
            return reader.read_all()

    @cached_property
    def gone_items(self) -> pa.Array:
        """The stored items that nobody else ordered."""
        table = self.workspace.table("item_embeddings")
        if table.footer() is None:
            return pa.array([], pa.string())
        batches = table.batches(None, _BATCH_ROWS, ["item_description"])
        ids = pa.chunked_array([batch["item_description"] for batch in batches], pa.string())
        left = self.items["item_description"].combine_chunks()
        return ids.filter(pc.invert(pc.is_in(ids, value_set=left))).combine_chunks()

    def texts(self) -> list[str]:
        """The texts that go with these tables: of accounts, and of items."""
        return [*self.texts_of_accounts(), *self.gone_items.to_pylist()]

    def texts_of_accounts(self) -> list[str]:
        """The latest texts of the forgotten accounts."""
        table = self.workspace.table(_LATEST)
        return texts_of(table, None, self.days.forgotten) if table.footer() else []

    def rewrite(self) -> Iterator[tuple[str, int]]:
        """Rewrite the tables; name, and how many rows went from it."""
        yield from self.rewrite_of_model()
        yield "quarantined_records", self._quarantine()

    def rewrite_of_model(self) -> Iterator[tuple[str, int]]:
        """The same for the tables that depend on the model."""
        for name, source, column in _NEIGHBOURS:
            yield name, self._neighbours(name, source, column)
            yield source, self._latest() if source == _LATEST else self._items()

    def _latest(self) -> int:
        table = self.workspace.table(_LATEST)
        stored = table.footer()
        is_done = stored is None or stored.digest == self.latest_after
        if is_done and not self.texts_of_accounts():
            return 0
        return rewritten(table, None, self.latest_after)

    def _items(self) -> int:
        table = self.workspace.table("item_embeddings")
        stored = table.footer()
        if stored is None or self.items_after is None:
            return 0
        left_out = forgotten_digest(self.days.forgotten)
        is_done = stored.stats.get("forgotten") == left_out and self.items_after == stored.digest
        if is_done and not len(self.gone_items):
            return 0
        schema = table.dataset().schema.remove_metadata()
        stats = {**stored.stats, "forgotten": left_out}
        part = Slice(None, self.items_after, schema, self._counted_anew, stats)
        return stored.rows - table.replace(part).footer.rows

    def _counted_anew(self) -> Iterator[pa.RecordBatch]:
        """The stored items that are left, with the numbers of now."""
        names = self.items["item_description"].combine_chunks()
        for batch in self.workspace.table("item_embeddings").batches(None, _BATCH_ROWS):
            place = pc.index_in(batch["item_description"], value_set=names)
            columns = {name: batch[name] for name in batch.schema.names}
            for name in ("orders", "accounts", "main_cuisine"):
                columns[name] = self.items[name].combine_chunks().take(place)
            fresh = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
            yield fresh.filter(pc.is_valid(place)).cast(batch.schema.remove_metadata())

    def _neighbours(self, name: str, source: str, column: str) -> int:
        top = self.workspace.settings.similarity.top
        table = self.workspace.table(source)
        footer = table.footer()
        after = self.latest_after if source == _LATEST else self.items_after
        removed = 0

        def edit(stored: Footer, rows: pa.Table) -> Slice | None:
            nonlocal removed
            gone = self._gone(rows, column)
            fresh = footer is not None and stored.digest == similar_digest(footer.digest, top)
            digest = similar_digest(after, top) if fresh and after else stored.digest
            if not len(gone) and digest == stored.digest:
                return None
            left = Patch(table, column, gone, top).apply(rows, anew=fresh)
            removed = len(rows) - len(left)
            return table_slice(left, digest, **stored.stats)

        self.workspace.tables.rewrite(name, edit)
        return removed

    def _gone(self, rows: pa.Table, column: str) -> pa.Array:
        """The ids in a table of neighbours that are to go."""
        ids = pa.chunked_array(
            [*rows[column].chunks, *rows[f"similar_{column}"].chunks], pa.string()
        )
        if column == "item_description":
            return pc.unique(ids.filter(pc.is_in(ids, value_set=self.gone_items)))
        table = pa.table({column: ids})
        left = without_accounts(table, self.days.forgotten)[column].combine_chunks()
        return pc.unique(ids.filter(pc.invert(pc.is_in(ids, value_set=left))))

    def _quarantine(self) -> int:
        removed = 0

        def edit(stored: Footer, rows: pa.Table) -> Slice | None:
            nonlocal removed
            kept = without_accounts(rows, self.days.forgotten)
            if len(kept) == len(rows):
                return None
            removed += len(rows) - len(kept)
            left_out = of_no_day(rows) - of_no_day(kept)
            stats = {**stored.stats, FORGOTTEN_ROWS: stored.stats.get(FORGOTTEN_ROWS, 0) + left_out}
            return table_slice(kept, stored.digest, stored.key, **stats)

        self.workspace.tables.rewrite("quarantined_records", edit, "source_file")
        return removed


_LATEST = "latest_account_embeddings"
_NEIGHBOURS = (
    ("similar_accounts", _LATEST, "account_id"),
    ("similar_items", "item_embeddings", "item_description"),
)
_NO_ITEMS = pa.table(
    {
        "item_description": pa.array([], pa.string()),
        "orders": pa.array([], pa.int64()),
        "accounts": pa.array([], pa.int64()),
        "main_cuisine": pa.array([], pa.string()),
    }
)
