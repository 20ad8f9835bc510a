import json

import pytest

from embedding_assets.errors import StoreVersionError
from embedding_assets.storage import version
from embedding_assets.storage.version import (
    SCHEMA_VERSION,
    ensure_store,
    stored_version,
    upgrade_store,
)


def mark(folder, number):
    (folder / "schema.json").write_text(json.dumps({"schema_version": number}))


def test_a_new_data_folder_is_made_and_marked(tmp_path):
    ensure_store(tmp_path / "store")
    assert stored_version(tmp_path / "store") == SCHEMA_VERSION
    ensure_store(tmp_path / "store")
    assert stored_version(tmp_path / "store") == SCHEMA_VERSION


def test_an_older_data_folder_is_refused_with_the_command_that_mends_it(tmp_path):
    mark(tmp_path, SCHEMA_VERSION - 1)
    with pytest.raises(StoreVersionError, match="embedding-assets store upgrade"):
        ensure_store(tmp_path)
    assert stored_version(tmp_path) == SCHEMA_VERSION - 1


def test_a_newer_data_folder_is_refused_with_both_versions(tmp_path):
    mark(tmp_path, 99)
    with pytest.raises(StoreVersionError, match=f"version 99.*up to {SCHEMA_VERSION}"):
        ensure_store(tmp_path)
    with pytest.raises(StoreVersionError, match="version 99"):
        upgrade_store(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema_version": "x"}', "null"])
def test_an_unreadable_mark_is_refused_by_name(tmp_path, text):
    (tmp_path / "schema.json").write_text(text)
    with pytest.raises(StoreVersionError, match="schema.json"):
        ensure_store(tmp_path)


def test_an_upgrade_goes_step_by_step_and_marks_each(tmp_path, monkeypatch):
    mark(tmp_path, 1)
    seen = []
    monkeypatch.setattr(version, "SCHEMA_VERSION", 3)
    steps = {n: lambda folder: seen.append(stored_version(folder)) for n in (1, 2)}
    monkeypatch.setattr(version, "UPGRADES", steps)
    assert upgrade_store(tmp_path) == [2, 3]
    assert seen == [1, 2]
    assert stored_version(tmp_path) == 3
    assert upgrade_store(tmp_path) == []


def test_an_upgrade_without_a_way_is_refused_and_changes_nothing(tmp_path):
    mark(tmp_path, 0)
    with pytest.raises(StoreVersionError, match="cannot upgrade"):
        upgrade_store(tmp_path)
    assert stored_version(tmp_path) == 0
