"""A small shop for the tests: its record files, and the day partitions made of them."""

import os
import shutil
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.clean import CLEAN_SCHEMA, QUARANTINE_SCHEMA, clean
from embedding_assets.records.days import (
    RecordDays,
    clean_slices,
    embedding_slices,
    raw_slices,
    text_slices,
)
from embedding_assets.records.inventory import Inventory, take_inventory
from embedding_assets.records.plan import DayTables, day_states, make_plan
from embedding_assets.records.source import RAW_SCHEMA, RECORD_COLUMNS, raw_records_sql
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.parquet import ParquetTable

START = date(2025, 1, 1)
TABLES = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
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
    """Record files below `in`, and what runs make of them below `out`."""

    def __init__(self, root: Path, history_days=90):
        self.source, self.out = root / "in", root / "out"
        self.source.mkdir(parents=True, exist_ok=True)
        self.days = RecordDays(str(self.source), START, history_days)
        self.tables = DayTables(*(ParquetTable.at(self.out / name) for name in TABLES))
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
        steps = {
            "raw_records": lambda: raw_slices(self.days, self.known, keys),
            "cleaned_records": lambda: clean_slices(self.days, tables.raw, keys),
            "account_texts": lambda: text_slices(self.days, tables.cleaned, self.known, keys),
            "account_embeddings": lambda: embedding_slices(
                tables.texts, keys, self.encoder, self.vectors
            ),
        }
        replaced, computed = {}, 0
        for (name, slices), table in zip(steps.items(), vars(tables).values(), strict=True):
            done = [table.write(part) for part in slices()]
            replaced[name] = [each.footer.key for each in done if each.replaced]
            if name == "account_embeddings":
                computed = sum(e.footer.stats.get("computed", 0) for e in done if e.replaced)
            if name == until:
                break
        return replaced, computed

    def plan(self):
        return make_plan(
            self.days, self.tables, self.inventory(), self.vectors, self.encoder.count_tokens
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


def moment(day, hour=12):
    return datetime.combine(day, datetime.min.time()).replace(hour=hour).isoformat()
