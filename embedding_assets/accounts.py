"""The accounts of the records that the settings name: what the files hold, what is stored of it,
what is due, and which accounts are alike."""

import os
from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.asset_tables import DAY_ASSETS
from embedding_assets.errors import InputNotFoundError, ModelChangedError, NotFoundError
from embedding_assets.records.blocked import Blocked, blocked_days
from embedding_assets.records.days import DayTables, RecordDays
from embedding_assets.records.forgotten import forgotten_ids, without_accounts
from embedding_assets.records.inventory import Inventory, take_inventory
from embedding_assets.records.plan import (
    DayState,
    Derived,
    Plan,
    StoredRecords,
    day_states,
    make_plan,
)
from embedding_assets.records.source import list_record_files
from embedding_assets.search.exact import nearest
from embedding_assets.search.similar import (
    Neighbour,
    matrix_of,
    neighbours,
    rows_and_matrix,
    similar_digest,
)
from embedding_assets.search.snapshots import Tombstones
from embedding_assets.storage.guard import Guard

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace


class Accounts:
    """The accounts of a workspace.

    tombstones: the forgotten ones. guard: keeps them out of tables. days: the day partitions.
    """

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        settings = workspace.settings
        self.tombstones = Tombstones(workspace.data_dir / "forgotten" / "accounts.json")
        self.guard = Guard(self.tombstones, without_accounts)
        self.days = RecordDays(
            os.path.expanduser(settings.records.source),
            settings.records.start_date,
            settings.records.history_days,
            settings.storage.query_memory_mb,
            self.guard.ids,
        )
        self._looked: Inventory | None = None

    @property
    def tables(self) -> DayTables:
        """The stored day partitions of records."""
        return DayTables(*(self._workspace.table(asset) for asset in DAY_ASSETS))

    @property
    def stored_inventory(self) -> Inventory:
        """What the record files held when `record_files` was last materialized."""
        table = self._workspace.table("record_files")
        return Inventory.from_table(table.read()) if table.footer() else Inventory()

    def inventory(self, retry: Iterable[str] = ()) -> Inventory:
        """What the record files hold now; only changed files, and those of `retry`, are read."""
        memory = self._workspace.settings.storage.query_memory_mb
        return take_inventory(self.days.source, self.stored_inventory, memory, retry)

    def look(self) -> Inventory:
        """The same for who looks again and again: files that have changed are read once, those that
        cannot be read each time."""
        memory, before = self._workspace.settings.storage.query_memory_mb, self._looked
        self._looked = take_inventory(self.days.source, before or self.stored_inventory, memory)
        return self._looked

    def blocked(self, wanted: Iterable[date], inventory: Inventory | None = None) -> Blocked:
        """Which days a run could not make as they should be, because of an unreadable file.

        inventory: of the files, as they are now by default.
        """
        return blocked_days(self.days, self.tables, inventory or self.inventory(), wanted)

    def states(self, inventory: Inventory | None = None) -> list[DayState]:
        """For each day and asset: missing, stale, blocked or fresh, and why.

        inventory: of the files, as they are now by default.
        """
        known = self._workspace.known_fingerprint
        return day_states(self.days, self.tables, inventory or self.inventory(), known)

    def plan(self) -> Plan:
        """What a run over all days with records would do and cost; changes nothing and waits for no
        writer."""
        workspace = self._workspace
        vectors = workspace.vectors if workspace.known_fingerprint else None
        stored, inventory = self._stored(), self.inventory()
        return make_plan(self.days, stored, inventory, vectors, workspace.count_tokens)

    @property
    def has_records(self) -> bool:
        """Whether records are used here: their source exists, or something of them is stored."""
        try:
            list_record_files(self.days.source)
        except InputNotFoundError:
            return self._workspace.table("record_files").footer() is not None
        return True

    def _stored(self) -> StoredRecords:
        top = self._workspace.settings.similarity.top
        sources = {
            "similar_accounts": "latest_account_embeddings", "similar_items": "item_embeddings",
        }  # fmt: skip
        return StoredRecords(
            days=self.tables,
            files=self._workspace.table("record_files"),
            quarantine={
                f.key: f for f in self._workspace.warehouse.footers("quarantined_records") if f.key
            },
            latest=self._workspace.table("latest_account_embeddings"),
            items=self._workspace.table("item_embeddings"),
            derived=tuple(
                Derived(
                    asset=asset,
                    source=source,
                    stored=next(iter(self._workspace.warehouse.footers(asset)), None),
                    digest=lambda digest: similar_digest(digest, top),
                )
                for asset, source in sources.items()
            ),
        )

    def similar(self, account: str, top: int) -> list[Neighbour]:
        """The `top` accounts most similar to one account, exact.

        Raises NotFoundError when the account has no embedding.
        """
        table = self._workspace.table("latest_account_embeddings")
        columns = ["account_id", "text_for_embedding"]
        with rows_and_matrix(table, columns) as (rows, vectors):
            ids, texts = rows["account_id"].combine_chunks(), rows["text_for_embedding"]
            if len(hidden := forgotten_ids(ids, self.days.forgotten())):
                kept = np.flatnonzero(~pc.is_in(ids, value_set=hidden).to_numpy(False))
                ids, texts, vectors = ids.take(kept), texts.take(kept), vectors[kept]
            row = pc.index(ids, account).as_py()
            if row < 0:
                raise NotFoundError(
                    f"The account {account!r} has no embedding in {table.folder}.",
                    "Check the id, or materialize its days first.",
                )
            found = nearest(np.asarray(vectors[row : row + 1]), vectors, top + 1)
        return neighbours(found, ids, texts, top, without=row)

    def similar_items(self, text: str, top: int) -> list[Neighbour]:
        """The `top` items most similar to any text, exact; nothing is stored.

        Raises NotFoundError while no item is embedded, ModelChangedError when another model than
        the configured one embedded them.
        """
        table = self._workspace.table("item_embeddings")
        while True:
            footer = table.footer()
            with matrix_of(table, "item_description") as (ids, vectors):
                if table.footer() != footer:  # the vectors may be of another model
                    continue
                if not len(ids):
                    return []
                if footer and footer.stats.get("fingerprint") != self._workspace.fingerprint:
                    raise ModelChangedError(
                        f"The vectors in {table.folder} were made by another model than "
                        f"{self._workspace.settings.model.name}, which the settings name.",
                        "Materialize item_embeddings, or set the model back.",
                    )
                found = nearest(self._workspace.vector_of(text), vectors, top + 1)
            row = pc.index(ids, text).as_py()
            return neighbours(found, ids, pa.chunked_array([ids]), top, without=row)
