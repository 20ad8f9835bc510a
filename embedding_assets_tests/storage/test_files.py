import errno
import os
import string
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from upath import UPath

from embedding_assets.errors import DiskFullError, NotEnoughMemoryError, NotWritableError
from embedding_assets.storage import files
from embedding_assets.storage.files import file_name, is_local, named_errors, published
from embedding_assets_tests.storage import processes


def write(target, text):
    with published(target) as staged:
        staged.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_was_written_stands_at_the_target_and_nothing_beside_it(tmp_path):
    write(tmp_path / "deep" / "er" / "out.txt", "whole")
    assert (tmp_path / "deep" / "er" / "out.txt").read_text() == "whole"
    assert names(tmp_path / "deep" / "er") == ["out.txt"]


def test_nothing_stands_at_the_target_while_it_is_written(tmp_path):
    with published(tmp_path / "out.txt") as staged:
        staged.write_text("half")
        assert not (tmp_path / "out.txt").exists()
        assert staged.parent == tmp_path


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_an_error_while_writing_leaves_what_stood_there(tmp_path, error):
    write(tmp_path / "out.txt", "old")
    with pytest.raises(type(error)), published(tmp_path / "out.txt") as staged:
        staged.write_text("half")
        raise error
    assert (tmp_path / "out.txt").read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


@pytest.mark.parametrize(
    ("code", "named"),
    [
        (errno.ENOSPC, DiskFullError),
        (errno.EDQUOT, DiskFullError),
        (errno.EFBIG, DiskFullError),
        (errno.EACCES, NotWritableError),
        (errno.EROFS, NotWritableError),
        (errno.ENOMEM, NotEnoughMemoryError),
    ],
)
def test_an_error_of_the_file_system_is_named_and_leaves_what_stood_there(
    tmp_path, monkeypatch, code, named
):
    target = tmp_path / "out.txt"
    write(target, "old")

    def refuse(source, destination):
        raise OSError(code, os.strerror(code), str(destination))

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(named, match="out.txt"):
        write(target, "new")
    assert target.read_text() == "old"
    assert names(tmp_path) == ["out.txt"]


def test_a_device_that_fills_up_while_writing_is_named(tmp_path):
    with pytest.raises(DiskFullError), published(tmp_path / "out.txt"):
        with open("/dev/full", "w") as full:
            full.write("x" * 100_000)
    assert names(tmp_path) == []


def test_memory_that_runs_out_is_named(tmp_path):
    with pytest.raises(NotEnoughMemoryError), published(tmp_path / "out.txt"):
        raise MemoryError
    assert names(tmp_path) == []


def test_a_folder_at_the_target_is_refused_and_stays(tmp_path):
    (tmp_path / "out.txt").mkdir()
    with pytest.raises(NotWritableError, match="Is a directory"):
        write(tmp_path / "out.txt", "new")
    assert names(tmp_path) == ["out.txt"]


def test_a_file_where_a_folder_is_needed_is_refused(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(NotWritableError):
        write(tmp_path / "file" / "out.txt", "new")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_missing_source_is_not_mistaken_for_an_unwritable_target(tmp_path):
    with pytest.raises(FileNotFoundError), published(tmp_path / "out" / "out.txt"):
        (tmp_path / "in" / "absent.txt").read_text()


def test_other_errors_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), named_errors("a target"):
        _ = 1 / 0


def test_object_storage_gets_the_whole_object_or_none():
    target = UPath("memory://bucket/folder/out.txt")
    write(target, "whole")
    assert target.read_text() == "whole"
    with pytest.raises(ValueError), published(target) as staged:
        staged.write_text("half")
        raise ValueError
    assert target.read_text() == "whole"
    assert not staged.exists()


@pytest.mark.parametrize(
    ("path", "local"),
    [("/a/b", True), ("file:///a/b", True), ("memory://a/b", False), ("relative", True)],
)
def test_only_a_file_system_that_can_rename_is_local(path, local):
    assert is_local(UPath(path)) is local


def test_what_a_dead_process_left_is_swept_and_what_a_living_one_writes_stays(tmp_path):
    code = f"""
import os
from pathlib import Path
from embedding_assets.storage.files import published
with published(Path({str(tmp_path)!r}) / "out.txt") as staged:
    staged.write_text("half")
    Path(f"{{staged}}.wal").write_text("half")
    %s"""
    processes.run(code % "os._exit(0)")
    assert len(names(tmp_path)) == 2
    with processes.waiting(code % "print('ready', flush=True); input()") as living:
        mine = tmp_path / ".notes.tmp"
        mine.write_text("of another program")
        write(tmp_path / "other.txt", "whole")
        left = [name for name in names(tmp_path) if name.startswith(".out.txt")]
        assert [f".{living.pid}-" in name for name in left] == [True, True]
        assert mine.exists()


def test_what_another_host_writes_stays_until_it_is_a_day_old(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_host", lambda: "elsewhere")
    with published(tmp_path / "out.txt") as staged:
        left = tmp_path / staged.name.replace(f".{os.getpid()}-", f".{2**22 + 1}-")
        left.write_text("half")
        monkeypatch.undo()
        staged.write_text("half")
        hour = 3_600
        for age, stays in ((0, True), (23 * hour, True), (25 * hour, False)):
            then = time.time() - age
            os.utime(left, (then, then))
            files.sweep(tmp_path)
            assert left.exists() is stays
        assert staged.exists()


def test_hosts_that_differ_have_staged_names_that_differ(tmp_path, monkeypatch):
    seen = []
    for host in ("a" * 64, "a" * 63 + "b", "ä/.b"):
        monkeypatch.setattr(files.socket, "gethostname", lambda host=host: host)
        files._host.cache_clear()
        with published(tmp_path / "out.txt") as staged:
            staged.touch()
            seen.append(staged.name.split(".")[3])
    files._host.cache_clear()
    assert len(set(seen)) == 3


keys = st.text(st.characters(codec="utf-8"), max_size=60) | st.text("a./%!-é", max_size=200)


@given(st.sets(keys, min_size=2, max_size=5))
@example({"a" * 150, "a" * 151, "a" * 300})
@example({".hidden", "hidden", "%2Ehidden"})
@example({"a/b", "a%2Fb", "a%252Fb"})
@example({"", "!"})
def test_different_keys_get_different_file_names_that_any_disk_takes(some):
    made = {file_name(key) for key in some}
    assert len(made) == len(some)
    for name in made:
        assert 0 < len(name.encode()) <= 200
        assert not name.startswith(".")
        assert not set(name) & set('/\\:*?"<>|\0\n')


def test_no_key_can_take_the_name_of_a_hashed_one():
    hashed = file_name("a" * 300)
    assert file_name(hashed) != hashed


@pytest.mark.parametrize("key", ["2026-01-31", "APP_29786", "sub folder,x=1", string.ascii_letters])
def test_plain_keys_stay_readable(key):
    assert file_name(key) == key
