"""A small shop for the tests: its record files, and the day partitions made of them."""

import os
import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.blocked import blocked_days, unblocked
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA, clean
from embedding_assets.records.days import (
    DayTables,
    RecordDays,
    clean_slices,
    embedding_slices,
    raw_slices,
    text_slices,
)
from embedding_assets.records.inventory import Inventory, take_inventory
from embedding_assets.records.latest import item_slice, latest_slice
from embedding_assets.records.plan import Derived, StoredRecords, day_states, make_plan
from embedding_assets.records.quarantine import quarantine_slices
from embedding_assets.records.source import RAW_SCHEMA, RECORD_COLUMNS, raw_records_sql
from embedding_assets.search.similar import similar_digest, similar_slice
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import table_slice
from embedding_assets.storage.tables import DuckTables

START = date(2025, 1, 1)
TABLES = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
SIMILAR = {
    "similar_accounts": ("latest_account_embeddings", "account_id"),
    "similar_items": ("item_embeddings", "item_description"),
}
TOP = 3
SCHEMA = pa.schema([pa.field(name, pa.string()) for name in RECORD_COLUMNS])


def row(account="ada", item="Pho", at="2025-03-01T10:00:00Z", vendor="Saigon", cuisines="Thai"):
    """A record as it comes."""
    return dict(zip(RECORD_COLUMNS, (account, item, vendor, cuisines, at), strict=True))


def write(path, rows, schema=SCHEMA, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, **options)
    return path


def raw(path):
    """The rows of a file with RAW_SCHEMA."""
    with query_engine() as connection:
        table = connection.sql(raw_records_sql(path)).to_arrow_table()
    return table.select(RAW_SCHEMA.names).cast(RAW_SCHEMA).sort_by("source_row")


def cleaned(path, days):
    """The good and the bad rows of a file."""
    parts = list(clean(raw(path).to_batches(max_chunksize=50), days))
    good = pa.Table.from_batches([part.good for part in parts], CLEAN_SCHEMA)
    return good, pa.Table.from_batches([part.bad for part in parts], QUARANTINE_SCHEMA)


class Shop:
    """Record files below `in`, and what runs make of them in the data folder `out`."""

    def __init__(self, root: Path, history_days=90):
        self.source, self.out = root / "in", root / "out"
        self.source.mkdir(parents=True, exist_ok=True)
        self.days = RecordDays(str(self.source), START, history_days)
        self.tables = DayTables(*map(self.table, TABLES))
        self.duck = DuckTables.below(self.out)
        self.encoder = HashingEncoder(8)
        self.vectors = VectorStore.of(self.out / "vectors", self.encoder)
        self.known = Inventory()
        self.clock = 0

    def copy(self, root):
        """The same files and tables in another folder."""
        shutil.copytree(self.source.parent, root, dirs_exist_ok=True)
        other = Shop(root, self.days.history_days)
        other.known, other.clock = self.known, self.clock
        return other

    def put(self, name, *rows):
        """A record file; each has a later date than the ones before."""
        path = write(self.source / name, rows)
        self.touch(name)
        return path

    def touch(self, name):
        self.clock += 1
        os.utime(self.source / name, ns=(self.clock * 10**9,) * 2)

    def inventory(self):
        return take_inventory(self.days.source, self.known)

    def run(self, *keys, until="account_embeddings"):
        """Materialize the assets up to `until` for those days, all by default; for each asset the
        keys that were replaced, and the stats of the embeddings."""
        self.known = self.inventory()
        stored = map(date.fromisoformat, self.tables.raw.keys())
        keys = keys or sorted(str(day) for day in {*self.known.days(), *stored})
        tables = self.tables
        blocked = blocked_days(self.days, tables, self.known, map(date.fromisoformat, keys))
        steps = {
            "raw_records": lambda: raw_slices(
                self.days, self.known, unblocked(keys, blocked.days)
            ),
            "cleaned_records": lambda: clean_slices(
                self.days, tables.raw, unblocked(keys, blocked.days, tables.raw)
            ),
            "account_texts": lambda: text_slices(
                self.days, tables, self.known, unblocked(keys, blocked.histories)
            ),
            "account_embeddings": lambda: embedding_slices(
                tables.texts, unblocked(keys, blocked.texts, tables.texts), self.encoder,
                self.vectors,
            ),
        }  # fmt: skip
        replaced, computed = {}, 0
        for (name, slices), table in zip(steps.items(), vars(tables).values(), strict=True):
            done = [table.write(part) for part in slices()]
            replaced[name] = [each.footer.key for each in done if each.replaced]
            if name == "account_embeddings":
                computed = sum(e.footer.stats.get("computed", 0) for e in done if e.replaced)
            if name == until:
                break
        return replaced, computed

    def run_all(self):
        """Materialize every asset; for each of them the keys that were replaced, and how many
        texts of days and items had to be embedded."""
        replaced, computed = self.run()
        parts = {
            "record_files": table_slice(self.known.to_table(), self.known.digest),
            "latest_account_embeddings": latest_slice(
                self.tables.embeddings, self.encoder.fingerprint, self.encoder.dimension
            ),
            "item_embeddings": item_slice(
                self.tables.cleaned, self.encoder, self.vectors, 384, self.days.forgotten
            ),
        }
        done = {name: self.table(name).write(part) for name, part in parts.items()}
        for name, (source, column) in SIMILAR.items():
            done[name] = self.duck.write(name, similar_slice(self.table(source), column, TOP))
        replaced |= {name: [None] if each.replaced else [] for name, each in done.items()}
        self.duck.keep_only("quarantined_records", "source_file", self.known.files())
        written = [
            self.duck.write("quarantined_records", part, "source_file")
            for part in quarantine_slices(self.days, self.known, {})
        ]
        replaced["quarantined_records"] = [each.footer.key for each in written if each.replaced]
        items = done["item_embeddings"]
        return replaced, (computed, items.footer.stats.get("computed", 0) if items.replaced else 0)

    def table(self, name):
        return ParquetTable.at(self.out / "assets" / name)

    def footers(self, name):
        """What is known of an asset, by partition; the whole table is the partition None."""
        if name in (*SIMILAR, "quarantined_records"):
            return {footer.key: footer for footer in self.duck.footers(name)}
        table = self.table(name)
        whole = table.footer()
        return table.footers(table.keys()) | ({None: whole} if whole else {})

    def stored(self):
        """What a plan asks of the store."""
        return StoredRecords(
            self.tables,
            self.table("record_files"),
            self.footers("quarantined_records"),
            self.table("latest_account_embeddings"),
            self.table("item_embeddings"),
            tuple(
                Derived(
                    name, source, self.footers(name).get(None), lambda d: similar_digest(d, TOP)
                )
                for name, (source, _) in SIMILAR.items()
            ),
        )

    def plan(self):
        return make_plan(
            self.days, self.stored(), self.inventory(), self.vectors, self.encoder.count_tokens
        )

    def states(self):
        return day_states(self.days, self.tables, self.inventory(), self.encoder.fingerprint)

    def texts(self, key):
        """The texts of a day by account."""
        table = self.tables.texts.read(key)
        return dict(
            zip(
                table["account_id"].to_pylist(),
                table["text_for_embedding"].to_pylist(),
                strict=True,
            )
        )


def stocked(root):
    """Ada orders on the 1st, 3rd and 5th of March, Bob on the 3rd only, Eve on the 4th."""
    shop = Shop(root)
    shop.put("ada.parquet", *(row("ada", f"Dish {n}", f"2025-03-0{n}") for n in (1, 3, 5)))
    shop.put("rest.parquet", row("bob", at="2025-03-03"), row("eve", at="2025-03-04"))
    return shop
