import pyarrow as pa
import pytest

from embedding_assets.errors import NotFoundError, StoreDamagedError, StoreLockedError
from embedding_assets.storage.lock import holder
from embedding_assets.storage.slices import Footer, Slice, table_slice
from embedding_assets.storage.tables import DuckTables
from embedding_assets_tests.storage import processes

ROWS = pa.table({"file": ["a", "a"], "n": [1, 2]})
OTHER = pa.table({"file": ["b"], "n": [3]})


@pytest.fixture
def tables(tmp_path):
    return DuckTables.below(tmp_path, lock_timeout_seconds=5)


def rows(tables, name="bad"):
    return sorted(map(tuple, (row.values() for row in tables.read(name).to_pylist())))


def test_a_whole_table_is_read_as_it_was_written(tables):
    written = tables.write("bad", table_slice(ROWS, "d1", files=2))
    assert (written.replaced, written.footer) == (True, Footer(None, "d1", 2, {"files": 2}))
    assert tables.read("bad") == ROWS
    assert tables.footers("bad") == [written.footer]


def test_a_slice_is_replaced_and_no_other(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    tables.write("bad", table_slice(OTHER, "d1", "b"), "file")
    tables.write("bad", table_slice(ROWS.slice(1), "d2", "a"), "file")
    assert rows(tables) == [("a", 2), ("b", 3)]
    assert tables.footers("bad") == [Footer("a", "d2", 1, {}), Footer("b", "d1", 1, {})]


def test_an_equal_digest_is_neither_computed_nor_written_again(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    never = Slice("a", "d1", ROWS.schema, lambda: pytest.fail("the rows were computed"))
    assert not tables.write("bad", never, "file").replaced
    assert rows(tables) == [("a", 1), ("a", 2)]


def test_an_error_while_rows_are_drawn_leaves_the_old_ones(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")

    def break_off():
        yield ROWS.to_batches()[0]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        tables.write("bad", Slice("a", "d2", ROWS.schema, break_off), "file")
    assert rows(tables) == [("a", 1), ("a", 2)]
    assert tables.footers("bad")[0].digest == "d1"


def test_an_error_while_rows_are_stored_leaves_the_old_ones(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    worded = pa.table({"file": ["a"], "n": ["no number"]})
    with pytest.raises(Exception, match="no number"):
        tables.write("bad", table_slice(worded, "d2", "a"), "file")
    assert rows(tables) == [("a", 1), ("a", 2)]
    assert tables.footers("bad")[0].digest == "d1"


def test_columns_are_matched_by_name_and_new_ones_added(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    reordered = pa.table({"n": [3], "why": ["late"], "file": ["b"]})
    tables.write("bad", table_slice(reordered, "d1", "b"), "file")
    tables.write("bad", table_slice(pa.table({"file": ["c"]}), "d1", "c"), "file")
    assert tables.read("bad").column_names == ["file", "n", "why"]
    assert sorted(tables.read("bad").to_pylist(), key=str) == [
        {"file": "a", "n": 1, "why": None},
        {"file": "a", "n": 2, "why": None},
        {"file": "b", "n": 3, "why": "late"},
        {"file": "c", "n": None, "why": None},
    ]


def test_rows_of_several_batches_are_all_stored_and_counted(tables):
    many = pa.table({"n": range(1_000)})
    batches = many.to_batches(max_chunksize=100)
    written = tables.write("many", Slice(None, "d", many.schema, lambda: iter(batches)))
    assert written.footer.rows == 1_000
    assert sorted(tables.read("many")["n"].to_pylist()) == list(range(1_000))


def test_a_slice_without_rows_is_known_and_makes_the_table(tables):
    tables.write("bad", Slice("a", "d", ROWS.schema, lambda: []), "file")
    assert tables.read("bad") == ROWS.schema.empty_table()
    assert tables.footers("bad") == [Footer("a", "d", 0, {})]


def test_only_the_named_slices_are_kept(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    tables.write("bad", table_slice(OTHER, "d1", "b"), "file")
    assert tables.keep_only("bad", "file", ["b", "never written"]) == ["a"]
    assert rows(tables) == [("b", 3)]
    assert [footer.key for footer in tables.footers("bad")] == ["b"]
    assert tables.keep_only("absent", "file", []) == []


def test_a_forgotten_digest_makes_the_slice_be_written_again_and_keeps_its_rows(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a", files=2), "file")
    tables.write("bad", table_slice(OTHER, "d1", "b"), "file")
    tables.forget_digests("bad", ["a"])
    assert tables.footers("bad")[0] == Footer("a", "", 2, {"files": 2})
    assert rows(tables) == [("a", 1), ("a", 2), ("b", 3)]
    assert tables.write("bad", table_slice(ROWS, "d1", "a"), "file").replaced
    assert not tables.write("bad", table_slice(OTHER, "d1", "b"), "file").replaced


@pytest.mark.parametrize(
    ("name", "key"),
    [('quo"ted', "it's"), ("select", 'x"; DROP TABLE bad; --'), ("sp ace", "a/b\n"), ("Größe", "")],
)
def test_awkward_names_and_keys_are_only_names(tables, name, key):
    part = pa.table({"the file": [key], "n": [1]})
    tables.write(name, table_slice(part, "d", key), "the file")
    tables.write(name, table_slice(part, "e", key), "the file")
    assert tables.read(name) == part
    assert tables.keep_only(name, "the file", []) == [key]


def test_what_was_never_written_is_not_found_by_name(tables):
    assert tables.footers("bad") == []
    with pytest.raises(NotFoundError, match="Nothing of bad is stored"):
        tables.read("bad")
    tables.write("other", table_slice(ROWS, "d"))
    with pytest.raises(NotFoundError, match="Nothing of bad is stored"):
        tables.read("bad")


def test_no_lock_is_held_while_rows_are_computed(tables):
    held = []

    def look():
        held.append(holder(tables.lock_path))
        return ROWS.to_batches()

    tables.write("bad", Slice("a", "d", ROWS.schema, look), "file")
    assert held == [None]


def test_a_process_that_keeps_the_lock_is_named(tmp_path):
    tables = DuckTables.below(tmp_path, lock_timeout_seconds=0.1)
    code = f"""
from pathlib import Path
from embedding_assets.storage.tables import DuckTables
opened = DuckTables.below(Path({str(tmp_path)!r})).open()
opened.__enter__()"""
    with processes.waiting(code) as other:
        with pytest.raises(StoreLockedError, match=f"process {other.pid}"):
            tables.write("bad", table_slice(ROWS, "d"))
        other.kill()
        other.wait()
        assert tables.write("bad", table_slice(ROWS, "d")).replaced


def test_a_process_killed_amid_a_transaction_changes_nothing(tables, tmp_path):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    processes.run(f"""
import os
from pathlib import Path
import pyarrow as pa
from embedding_assets.storage import tables
from embedding_assets.storage.slices import table_slice
tables._remember = lambda *args: os._exit(0)
part = table_slice(pa.table({{"file": ["a"], "n": [9]}}), "d2", "a")
tables.DuckTables.below(Path({str(tmp_path)!r})).write("bad", part, "file")
raise SystemExit("it was not killed")""")
    assert rows(tables) == [("a", 1), ("a", 2)]
    assert tables.footers("bad")[0].digest == "d1"
    assert tables.write("bad", table_slice(OTHER, "d2", "b"), "file").replaced


@pytest.mark.parametrize("content", [b"no database" * 1_000, b"x"])
def test_a_damaged_database_is_refused_by_name(tables, content):
    tables.path.write_bytes(content)
    with pytest.raises(StoreDamagedError, match="tables.duckdb cannot be opened"):
        tables.write("bad", table_slice(ROWS, "d"))


def test_slices_are_rewritten_by_what_is_stored_of_them(tables):
    tables.write("bad", table_slice(ROWS, "d1", "a"), "file")
    tables.write("bad", table_slice(OTHER, "d2", "b"), "file")

    def edit(footer, found):
        return None if footer.key == "b" else table_slice(found.slice(0, 1), "d3", "a", cut=1)

    tables.rewrite("bad", edit, "file")
    assert len(rows(tables)) == 2
    assert tables.footers("bad") == [Footer("a", "d3", 1, {"cut": 1}), Footer("b", "d2", 1, {})]
    tables.rewrite("never written", lambda footer, found: pytest.fail("there is nothing"))


def test_deleted_rows_leave_the_file_with_its_next_writing(tables):
    secret = pa.table({"file": ["a"], "note": ["a secret that is long enough to stand as it is"]})
    tables.write("bad", table_slice(secret, "d1", "a"), "file")
    tables.write("other", table_slice(ROWS, "d1", n=1))
    tables.keep_only("bad", "file", [])
    tables.compact()
    assert b"a secret that is" not in tables.path.read_bytes()
    assert tables.read("bad").num_rows == 0
    assert tables.read("other") == ROWS
    assert tables.footers("other") == [Footer(None, "d1", 2, {"n": 1})]


def test_tables_that_were_never_written_stay_away(tables):
    tables.compact()
    assert not tables.path.exists()
