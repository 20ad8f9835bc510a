import os
import re
import threading

import pytest

from embedding_assets.errors import StoreLockedError
from embedding_assets.storage.lock import _read_holder, holder, locked
from embedding_assets_tests.storage import processes

HOLD = """
from pathlib import Path
from embedding_assets.storage.lock import locked
lock = locked(Path({path!r}), 5)
lock.__enter__()
"""


def hold(path):
    return processes.waiting(HOLD.format(path=str(path)))


def test_a_lock_held_by_another_process_is_refused_with_its_holder_named(tmp_path):
    path = tmp_path / "deep" / "a.lock"
    with hold(path) as other:
        with pytest.raises(StoreLockedError, match=rf"within 0\.1 s by process {other.pid} on "):
            with locked(path, 0.1):
                pytest.fail("the lock was taken twice")
        assert f"process {other.pid} " in holder(path)


def test_a_lock_is_free_after_its_block_and_after_an_error_in_it(tmp_path):
    path = tmp_path / "a.lock"
    with pytest.raises(ValueError), locked(path, 1):
        assert f"process {os.getpid()} " in holder(path)
        raise ValueError
    assert holder(path) is None
    with locked(path, 0):
        pass


def test_a_killed_holder_frees_its_lock(tmp_path):
    path = tmp_path / "a.lock"
    with hold(path) as other:
        other.kill()
        other.wait()
        assert holder(path) is None
        with locked(path, 0):
            assert f"process {os.getpid()} " in holder(path)


def test_a_waiting_process_gets_the_lock_when_its_holder_lets_go(tmp_path):
    path = tmp_path / "a.lock"
    with hold(path) as other:
        threading.Timer(0.2, other.kill).start()
        with locked(path, 60):
            assert f"process {os.getpid()} " in holder(path)


def test_threads_of_one_process_exclude_each_other(tmp_path):
    path = tmp_path / "a.lock"
    refused = []

    def attempt():
        try:
            with locked(path, 0):
                pass
        except StoreLockedError as error:
            refused.append(str(error))

    with locked(path, 0):
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
    assert re.search(rf"process {os.getpid()} ", refused[0])


def test_nobody_holds_a_lock_that_was_never_made(tmp_path):
    assert holder(tmp_path / "a.lock") is None


def test_a_lock_without_a_signature_has_a_holder_all_the_same(tmp_path):
    path = tmp_path / "a.lock"
    with locked(path, 0):
        os.truncate(path, 0)
        assert holder(path) == "a process that is just starting or ending"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["embedding-assets", "forget", "--account", "ada"], "embedding-assets forget"),
        (["dagster", "asset", "materialize", "--select", "*"], "dagster asset materialize"),
        (["embedding-assets", "embed", "in.parquet", "out"], "embedding-assets embed in.parquet"),
    ],
)
def test_the_holder_is_named_without_its_options(tmp_path, monkeypatch, words, named):
    monkeypatch.setattr("sys.argv", words)
    with locked(tmp_path / "a.lock", 0):
        assert f"({named}) since" in holder(tmp_path / "a.lock")


def test_a_lock_that_is_removed_while_it_is_asked_for_is_no_error(tmp_path):
    path = tmp_path / "a.lock"
    assert holder(path) is None
    with locked(path, 1):
        path.unlink()
        assert holder(path) is None
        assert "ending" in _read_holder(path)
