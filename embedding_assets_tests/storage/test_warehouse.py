import errno
import os

import duckdb
import pyarrow as pa
import pytest

from embedding_assets.errors import DiskFullError, NotFoundError, NotWritableError, StoreLockedError
from embedding_assets.storage import warehouse as module
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, table_slice
from embedding_assets.storage.tables import DuckTables
from embedding_assets.storage.warehouse import Warehouse
from embedding_assets_tests.storage import processes

ORDERS = pa.schema([("day", pa.date32()), ("items", pa.list_(pa.string()))])
MAP = pa.schema([("id", pa.string()), ("embedding", pa.list_(pa.float32(), 2))])
BAD = pa.schema([("file", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])


def warehouse_in(folder):
    tables = DuckTables.below(folder, lock_timeout_seconds=5)
    schemas = {"orders": ORDERS, "map": MAP}
    parquet = {name: (folder / "assets" / name, schema) for name, schema in schemas.items()}
    return Warehouse(folder / "warehouse.duckdb", tables, parquet, {"bad": BAD})


@pytest.fixture
def warehouse(tmp_path):
    return warehouse_in(tmp_path)


def numbers(warehouse, *values, key="k"):
    table = ParquetTable.at(warehouse.parquet["orders"][0])
    table.write(table_slice(pa.table({"n": values}), str(values), key))


def query(warehouse, sql):
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_every_asset_is_shown_by_its_name_with_its_columns_before_it_exists(warehouse):
    warehouse.publish()
    described = {
        name: query(warehouse, f"SELECT column_name, column_type FROM (DESCRIBE {name})")
        for name in ("orders", "map", "bad")
    }
    assert described == {
        "orders": [("day", "DATE"), ("items", "VARCHAR[]")],
        "map": [("id", "VARCHAR"), ("embedding", "FLOAT[2]")],
        "bad": [("file", "VARCHAR"), ("at", "TIMESTAMP WITH TIME ZONE")],
    }
    assert [query(warehouse, f"SELECT count(*) FROM {name}") for name in described] == [[(0,)]] * 3


def test_parquet_partitions_and_duckdb_tables_are_shown(warehouse):
    numbers(warehouse, 1, 2, key="a")
    numbers(warehouse, 3, key="b")
    warehouse.tables.write("bad", table_slice(pa.table({"file": ["f"]}), "d"))
    warehouse.publish()
    assert query(warehouse, "FROM orders ORDER BY n") == [(1,), (2,), (3,)]
    assert query(warehouse, "FROM bad") == [("f",)]
    assert query(warehouse, "SELECT name FROM (SHOW TABLES) ORDER BY name") == [
        ("bad",), ("map",), ("orders",),
    ]  # fmt: skip


def test_new_and_replaced_partitions_are_seen_without_publishing(warehouse):
    numbers(warehouse, 1, key="a")
    warehouse.publish()
    numbers(warehouse, 2, key="a")
    numbers(warehouse, 3, key="b")
    assert query(warehouse, "FROM orders ORDER BY n") == [(2,), (3,)]


def test_partitions_with_different_columns_are_united_by_name(warehouse):
    numbers(warehouse, 1, key="a")
    wider = pa.table({"why": ["late"], "n": [2]})
    ParquetTable.at(warehouse.parquet["orders"][0]).write(table_slice(wider, "d", "b"))
    warehouse.publish()
    assert query(warehouse, "SELECT n, why FROM orders ORDER BY n") == [(1, None), (2, "late")]


def test_partitions_with_vectors_of_different_length_are_shown_side_by_side(warehouse):
    table = ParquetTable.at(warehouse.parquet["map"][0])
    for key, vector in (("a", [1.0, 0.0]), ("b", [0.0, 0.6, 0.8])):
        kind = pa.list_(pa.float32(), len(vector))
        rows = pa.table({"id": [key], "embedding": pa.array([vector], kind)})
        table.write(table_slice(rows, key, key))
        warehouse.publish()
    assert query(warehouse, "SELECT id, embedding::DECIMAL(2, 1)[]::VARCHAR FROM map") == [
        ("a", "[1.0, 0.0]"), ("b", "[0.0, 0.6, 0.8]"),
    ]  # fmt: skip
    assert query(warehouse, "SELECT id FROM map WHERE len(embedding) = 3") == [("b",)]


def test_a_reader_of_the_old_file_goes_on_while_a_new_one_is_published(warehouse):
    warehouse.tables.write("bad", table_slice(pa.table({"n": [1]}), "d1"))
    warehouse.publish()
    with duckdb.connect(str(warehouse.path), read_only=True) as reader:
        assert reader.execute("FROM bad").fetchall() == [(1,)]
        processes.run(f"""
from pathlib import Path
import pyarrow as pa
from embedding_assets.storage.slices import table_slice
from embedding_assets_tests.storage.test_warehouse import warehouse_in
opened = warehouse_in(Path({str(warehouse.path.parent)!r}))
opened.tables.write("bad", table_slice(pa.table({{"n": [2]}}), "d2"))
opened.publish()""")
        assert reader.execute("FROM bad").fetchall() == [(1,)]
    assert query(warehouse, "FROM bad") == [(2,)]


def test_a_person_who_writes_into_the_open_file_does_not_break_the_next_one(warehouse):
    warehouse.publish()
    code = f"""
import duckdb
connection = duckdb.connect({str(warehouse.path)!r})
connection.execute("CREATE TABLE notes AS SELECT 1 AS n")"""
    with processes.waiting(code):
        for read in (warehouse.read, warehouse.footers):
            with pytest.raises(StoreLockedError, match=r"open for writing.*duckdb -readonly"):
                read("bad")
        warehouse.publish()
        assert query(warehouse, "SELECT count(*) FROM bad") == [(0,)]
    assert query(warehouse, "SELECT count(*) FROM bad") == [(0,)]


def test_a_failed_publication_leaves_the_old_file_and_nothing_beside_it(warehouse, monkeypatch):
    warehouse.publish()
    before = warehouse.path.read_bytes()

    def fail(schema):
        raise duckdb.IOException("the disk failed")

    monkeypatch.setattr("embedding_assets.storage.warehouse._empty_columns", fail)
    with pytest.raises(duckdb.Error):
        warehouse.publish()
    assert warehouse.path.read_bytes() == before
    assert sorted(path.name for path in warehouse.path.parent.iterdir()) == [
        "locks", "tables.duckdb", "warehouse.duckdb",
    ]  # fmt: skip


def test_a_folder_in_its_place_is_refused_by_name(warehouse):
    warehouse.path.mkdir()
    with pytest.raises(NotWritableError, match="warehouse.duckdb"):
        warehouse.publish()


@pytest.mark.parametrize("name", ["it's", "a[b]", "st*r", "sp ace", "[!x]"])
def test_awkward_folders_are_only_folders(tmp_path, name):
    warehouse = warehouse_in(tmp_path / name)
    numbers(warehouse, 1)
    warehouse.publish()
    assert query(warehouse, "FROM orders") == [(1,)]


def test_a_relative_data_folder_can_be_read_from_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    warehouse = warehouse_in(tmp_path.relative_to(tmp_path))
    numbers(warehouse, 1)
    warehouse.publish()
    monkeypatch.chdir("/")
    assert query(warehouse_in(tmp_path), "FROM orders") == [(1,)]


def test_what_is_known_of_slices_is_published_with_them(warehouse):
    assert warehouse.footers("bad") == []
    for key, digest in (("b", "d2"), ("a", "d1")):
        part = table_slice(pa.table({"file": [key]}), digest, key, tries=2)
        warehouse.tables.write("bad", part, "file")
    warehouse.publish()
    warehouse.tables.write("bad", table_slice(pa.table({"file": ["c"]}), "d3", "c"), "file")
    with warehouse.tables.open():
        assert warehouse.footers("bad") == [
            Footer("a", "d1", 1, {"tries": 2}), Footer("b", "d2", 1, {"tries": 2}),
        ]  # fmt: skip
        assert warehouse.footers("orders") == []


def test_a_file_published_without_slices_knows_of_none(warehouse):
    warehouse.publish()
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("DROP SCHEMA stored CASCADE")
    assert warehouse.footers("bad") == []


def test_what_was_published_is_read_without_waiting_for_a_writer(warehouse):
    with pytest.raises(NotFoundError, match="warehouse.duckdb"):
        warehouse.read("bad")
    warehouse.tables.write("bad", table_slice(pa.table({"n": [1]}), "d1"))
    warehouse.publish()
    with warehouse.tables.open():
        assert warehouse.read("bad") == pa.table({"n": [1]})


def follow(warehouse, *, replaced):
    """The state of the file after a run that replaced something or not."""
    with warehouse.following() as change:
        change.is_due = change.is_due or replaced
    return warehouse.path.stat().st_ino


def test_a_run_that_replaced_nothing_leaves_the_file_as_it_is(warehouse):
    first = follow(warehouse, replaced=False)  # nothing was published yet
    assert follow(warehouse, replaced=False) == first
    assert follow(warehouse, replaced=True) != first


def test_what_a_run_that_died_replaced_is_shown_by_the_next_one(warehouse):
    published = follow(warehouse, replaced=False)
    with pytest.raises(ZeroDivisionError), warehouse.following():
        raise ZeroDivisionError
    again = follow(warehouse, replaced=False)
    assert again != published
    assert follow(warehouse, replaced=False) == again


def test_what_a_run_that_died_replaced_is_shown_though_others_ended_meanwhile(warehouse):
    follow(warehouse, replaced=False)
    with pytest.raises(ZeroDivisionError), warehouse.following():
        follow(warehouse, replaced=False)
        published = follow(warehouse, replaced=True)
        raise ZeroDivisionError
    again = follow(warehouse, replaced=False)
    assert again != published
    assert follow(warehouse, replaced=False) == again


def test_a_mark_that_was_just_being_made_when_it_was_seen_stays(warehouse, monkeypatch):
    with warehouse.changing() as mark:
        with monkeypatch.context() as patch:
            patch.setattr(Warehouse, "_left_marks", lambda _: [mark])
            warehouse.publish()
        assert mark.exists()
    assert warehouse._left_marks() == [mark]


def test_a_disk_too_full_for_a_mark_is_named(warehouse, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(DiskFullError), warehouse.following():
        pass


def test_a_partition_that_is_removed_meanwhile_is_looked_for_anew(warehouse, monkeypatch):
    numbers(warehouse, 1)
    view, looks = module._view, iter(range(99))

    def removed(name, folder, schema):
        gone = name == "orders" and next(looks) < 2
        return (
            "CREATE VIEW warehouse.v AS FROM 'gone.parquet'" if gone else view(name, folder, schema)
        )

    monkeypatch.setattr(module, "_view", removed)
    warehouse.publish()
    assert query(warehouse, "FROM orders") == [(1,)] and next(looks) == 3


@pytest.mark.parametrize("content", [b"", b"PAR1", b"x" * 100, b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_damaged_file_hides_its_asset_alone_and_says_so(warehouse, content):
    numbers(warehouse, 1)
    maps = ParquetTable.at(warehouse.parquet["map"][0])
    maps.write(table_slice(pa.table({"id": ["a"]}), "d", "k"))
    damaged = warehouse.parquet["orders"][0] / "torn.parquet"
    damaged.write_bytes(content)
    warehouse.publish()
    assert query(warehouse, "SELECT id FROM map") == [("a",)]
    with pytest.raises(duckdb.Error, match="torn.parquet"):
        query(warehouse, "SELECT count(*) FROM orders")
    damaged.unlink()
    warehouse.publish()
    assert query(warehouse, "FROM orders") == [(1,)]
