from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest

from embedding_assets.errors import StoreLockedError
from embedding_assets.search.snapshots import Tombstones
from embedding_assets.storage.guard import OPEN, Guard, shared
from embedding_assets.storage.lock import locked
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, table_slice

ROWS = pa.table({"id": ["a", "b"]})


@pytest.fixture
def listed(tmp_path):
    return Tombstones(tmp_path / "list.json")


def others(rows, ids):
    return rows.filter(pa.array([name not in ids for name in rows["id"].to_pylist()]))


def test_several_hold_a_shared_lock_at_once_and_nobody_alone(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with shared(path), shared(path):
        with pytest.raises(StoreLockedError), locked(path, 0):
            pytest.fail("the lock was taken")
    with ThreadPoolExecutor() as threads:
        with locked(path, 0):
            waiting = threads.submit(taken, path)
            assert not waiting.done()
        assert waiting.result()


def taken(path):
    with shared(path):
        return True


def test_an_open_guard_keeps_nothing_out(tmp_path):
    assert (OPEN.state(), OPEN.ids(), OPEN.admits("a"), OPEN.kept(ROWS)) == (
        None, frozenset(), True, ROWS,
    )  # fmt: skip


def test_ids_are_those_of_the_list_as_it_is_now(listed):
    guard = Guard(listed)
    before = guard.state(), guard.ids()
    listed.add(["a"])
    assert before == (None, frozenset())
    assert guard.ids() == {"a"}
    assert guard.state() != before[0]


def test_rows_and_partitions_of_forgotten_ids_are_not_written(tmp_path, listed):
    rows = ParquetTable.at(tmp_path / "rows", Guard(listed, others))
    parts = ParquetTable.at(tmp_path / "parts", Guard(listed, by_key=True))
    listed.add(["a"])
    assert rows.write(table_slice(ROWS, "d")).footer.rows == 1
    assert rows.read()["id"].to_pylist() == ["b"]
    assert not parts.write(table_slice(ROWS, "d", "a")).replaced
    assert parts.write(table_slice(ROWS, "d", "b")).replaced
    assert parts.keys() == ["b"]


def test_rows_are_drawn_again_when_something_is_forgotten_meanwhile(tmp_path, listed):
    table = ParquetTable.at(tmp_path / "rows", Guard(listed, others))
    draws = []

    def drawing():
        draws.append(1)
        yield from ROWS.to_batches()
        if len(draws) < 3:
            listed.add(["ab"[len(draws) - 1]])

    table.write(Slice(None, "d", ROWS.schema, drawing))
    assert len(draws) == 3
    assert table.read()["id"].to_pylist() == []


def test_nothing_is_forgotten_between_the_last_look_and_the_rename(tmp_path, listed, monkeypatch):
    table = ParquetTable.at(tmp_path / "rows", Guard(listed, others))
    import embedding_assets.storage.files as files

    replace = files.os.replace

    def replaced(source, target):
        with pytest.raises(StoreLockedError), locked(listed.path.with_suffix(".lock"), 0):
            pytest.fail("the list could be changed")
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", replaced)
    assert table.write(table_slice(ROWS, "d")).replaced
