import hashlib
import os
import shutil
import time

import pytest

from embedding_assets.documents import inventory as module
from embedding_assets.documents.inventory import (
    DOCUMENT_INVENTORY_SCHEMA,
    Changes,
    DocumentEntry,
    DocumentInventory,
    take_inventory,
)
from embedding_assets.errors import InputNotFoundError

SECOND = 10**9


class Folder:
    """A watched folder and what is known of it; each look is a minute after the last change."""

    def __init__(self, path):
        self.path = path
        self.known = DocumentInventory()
        path.mkdir()

    def put(self, name, text="text"):
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        before = path.stat().st_ctime_ns if path.exists() else None
        path.write_text(text)
        while path.stat().st_ctime_ns == before:  # clocks of file systems tick in milliseconds
            path.write_text(text)

    def look(self, later=60.0):
        return take_inventory(
            self.path, self.known, clock_ns=lambda: time.time_ns() + int(later * SECOND)
        )

    def changes(self, later=60.0):
        """What changed since the last time; it is known from then on."""
        before, self.known = self.known, self.look(later)
        return self.known.changes(before)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path / "docs")


@pytest.fixture
def read(monkeypatch):
    """The names of the files that were read."""
    names = []
    content = module._content
    monkeypatch.setattr(
        module, "_content", lambda folder, file: names.append(file.path) or content(folder, file)
    )
    return names


def entry(inventory, doc_id):
    [found] = [each for each in inventory.entries if each.doc_id == doc_id]
    return found


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_each_document_is_told_with_the_hash_of_its_bytes(folder):
    folder.put("b.pdf", "of b")
    folder.put("sub/a.docx", "of a")
    found = folder.look()
    status = (folder.path / "b.pdf").stat()
    assert entry(found, "b.pdf") == DocumentEntry(
        "b.pdf", "b.pdf", "pdf", 4, status.st_mtime_ns, status.st_ctime_ns, sha256("of b")
    )
    assert found.contents == {"b.pdf": sha256("of b"), "sub/a.docx": sha256("of a")}


def test_new_changed_and_deleted_documents_are_told(folder):
    for name in ("same.pdf", "changed.pdf", "deleted.pdf"):
        folder.put(name)
    assert folder.changes() == Changes(new=("changed.pdf", "deleted.pdf", "same.pdf"))
    folder.put("changed.pdf", "other")
    (folder.path / "deleted.pdf").unlink()
    folder.put("new.json")
    changes = folder.changes()
    assert changes == Changes(("new.json",), ("changed.pdf",), ("deleted.pdf",))
    assert changes
    assert not folder.changes()


def test_unchanged_files_are_not_read_again(folder, read):
    folder.put("a.pdf")
    folder.put("b.pdf")
    folder.changes()
    folder.put("b.pdf", "other")
    read.clear()
    folder.changes()
    assert read == ["b.pdf"]
    assert folder.look() == folder.known


def test_a_file_that_was_touched_is_read_and_has_not_changed(folder, read):
    folder.put("a.pdf")
    folder.changes()
    before = folder.known
    os.utime(folder.path / "a.pdf", ns=(0, SECOND))
    read.clear()
    assert not folder.changes()
    assert read == ["a.pdf"]
    assert folder.known.digest != before.digest


def test_a_change_of_the_same_size_with_its_old_time_put_back_is_seen(folder):
    folder.put("a.pdf", "aaaa")
    folder.changes()
    status = (folder.path / "a.pdf").stat()
    folder.put("a.pdf", "bbbb")
    os.utime(folder.path / "a.pdf", ns=(status.st_atime_ns, status.st_mtime_ns))
    assert folder.changes() == Changes(changed=("a.pdf",))


def test_a_file_replaced_by_another_of_the_same_size_and_time_is_seen(folder, tmp_path):
    folder.put("a.pdf", "aaaa")
    folder.changes()
    (tmp_path / "other").write_text("bbbb")
    old = (folder.path / "a.pdf").stat()
    shutil.copystat(folder.path / "a.pdf", tmp_path / "other")
    while (tmp_path / "other").stat().st_ctime_ns == old.st_ctime_ns:
        shutil.copystat(folder.path / "a.pdf", tmp_path / "other")
    os.replace(tmp_path / "other", folder.path / "a.pdf")
    assert folder.changes() == Changes(changed=("a.pdf",))


def test_a_renamed_file_is_another_document(folder):
    folder.put("a.pdf")
    folder.changes()
    (folder.path / "a.pdf").rename(folder.path / "b.pdf")
    assert folder.changes() == Changes(new=("b.pdf",), deleted=("a.pdf",))


@pytest.mark.parametrize("half", ["pages_1.csv", "texts_1.json"])
def test_a_pair_changes_with_either_half(folder, half):
    folder.put("pages_1.csv", "pages")
    folder.put("texts_1.json", "texts")
    assert folder.changes() == Changes(new=("1",))
    folder.put(half, "other")
    assert folder.changes() == Changes(changed=("1",))


def test_a_pair_that_loses_a_half_keeps_what_it_held_with_the_error(folder):
    folder.put("pages_1.csv")
    folder.put("texts_1.json")
    folder.changes()
    (folder.path / "pages_1.csv").unlink()
    assert not folder.changes()
    assert folder.known.errors == {"1": "Its other half pages_1.csv is missing."}
    (folder.path / "texts_1.json").unlink()
    assert folder.changes() == Changes(deleted=("1",))


def test_a_pair_of_which_a_half_never_came_is_no_document_yet(folder):
    folder.put("texts_1.json")
    assert not folder.changes()
    folder.put("pages_1.csv")
    assert folder.changes() == Changes(new=("1",))


def test_a_file_that_is_still_being_written_is_left_until_it_is_complete(folder, read):
    folder.put("a.pdf", "the first ha")
    assert not folder.changes(later=1)
    assert (folder.known.unsettled, folder.known.contents, read) == (("a.pdf",), {}, [])
    folder.put("a.pdf", "the first half and the second")
    assert not folder.changes(later=1)
    assert folder.changes(later=3) == Changes(new=("a.pdf",))
    assert folder.known.contents == {"a.pdf": sha256("the first half and the second")}
    assert folder.known.unsettled == ()


def test_a_known_document_stays_as_it_was_while_it_is_written_anew(folder):
    folder.put("a.pdf", "old")
    folder.changes()
    folder.put("a.pdf", "ne")
    assert not folder.changes(later=1)
    assert folder.known.contents == {"a.pdf": sha256("old")}
    folder.put("a.pdf", "new")
    assert folder.changes() == Changes(changed=("a.pdf",))


def test_a_file_copied_with_its_old_time_may_still_be_being_written(folder):
    folder.put("a.pdf")
    os.utime(folder.path / "a.pdf", ns=(0, 0))
    assert folder.look(later=1).unsettled == ("a.pdf",)


def test_a_file_dated_in_the_future_is_taken_a_while_after_it_was_put_there(folder):
    folder.put("a.pdf")
    os.utime(folder.path / "a.pdf", ns=(0, time.time_ns() + 10**6 * SECOND))
    assert folder.look(later=1).unsettled == ("a.pdf",)
    assert folder.changes() == Changes(new=("a.pdf",))


def test_a_file_of_a_clock_that_is_ahead_is_taken_once_it_stays_the_same(folder):
    folder.put("a.pdf")
    behind = -1000.0
    assert not folder.changes(later=behind)
    assert folder.known.unsettled == ("a.pdf",)
    assert folder.changes(later=behind) == Changes(new=("a.pdf",))


def test_a_file_that_grows_while_it_is_read_is_looked_at_again(folder, monkeypatch):
    folder.put("a.pdf", "half")
    digest = hashlib.file_digest

    def grow(opened, name):
        with (folder.path / "a.pdf").open("a") as file:
            file.write(" more")
        return digest(opened, name)

    monkeypatch.setattr(hashlib, "file_digest", grow)
    assert not folder.changes()
    assert folder.known.unsettled == ("a.pdf",)
    monkeypatch.undo()
    assert folder.changes() == Changes(new=("a.pdf",))


def test_a_file_that_vanishes_before_it_is_read_is_not_there(folder, monkeypatch):
    folder.put("a.pdf")
    folder.put("b.pdf")
    content = module._content

    def vanish(root, file):
        (root / "a.pdf").unlink(missing_ok=True)
        return content(root, file)

    monkeypatch.setattr(module, "_content", vanish)
    assert folder.changes() == Changes(new=("b.pdf",))
    assert [each.doc_id for each in folder.known.entries] == ["b.pdf"]


def test_a_file_that_cannot_be_read_keeps_what_it_held_and_is_tried_at_each_look(
    folder, monkeypatch
):
    folder.put("a.pdf", "old")
    folder.changes()
    folder.put("a.pdf", "new")
    folder.put("b.pdf")

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module, "_content", refuse)
    assert not folder.changes()
    why = "It cannot be read: Permission denied."
    assert folder.known.errors == {"a.pdf": why, "b.pdf": why}
    assert folder.known.contents == {"a.pdf": sha256("old")}
    monkeypatch.undo()
    assert folder.changes() == Changes(new=("b.pdf",), changed=("a.pdf",))
    assert folder.known.errors == {}


def test_documents_of_a_folder_that_cannot_be_listed_are_not_deleted(folder, monkeypatch):
    folder.put("sub/a.pdf")
    folder.put("subway.pdf")
    folder.changes()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("/sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    (folder.path / "subway.pdf").unlink()
    assert folder.changes() == Changes(deleted=("subway.pdf",))
    why = "The folder cannot be listed: Permission denied."
    assert folder.known.errors == {"sub/": why, "sub/a.pdf": why}
    monkeypatch.undo()
    assert not folder.changes()
    assert folder.known.errors == {}


def test_without_the_folder_nothing_counts_as_deleted(folder):
    folder.put("a.pdf")
    folder.changes()
    shutil.rmtree(folder.path)
    with pytest.raises(InputNotFoundError):
        folder.look()


def test_an_inventory_is_the_same_after_a_table(folder):
    folder.put("a \u2028,'\".pdf")
    folder.put("texts_1.json")
    folder.changes()
    folder.put("new.pdf")
    inventory = folder.look(later=1)
    table = inventory.to_table()
    assert table.schema == DOCUMENT_INVENTORY_SCHEMA
    again = DocumentInventory.from_table(table)
    assert again == inventory
    assert again.digest == inventory.digest
    assert [each.unsettled for each in again.entries] == [False, False, True]


def test_the_table_of_an_empty_folder_is_empty(folder):
    assert DocumentInventory.from_table(folder.look().to_table()) == DocumentInventory()
