import os

import pytest

from embedding_assets.storage.folders import published_folder


def filled(target, content):
    with published_folder(target) as staged:
        (staged / "file").write_text(content)


def test_a_folder_takes_the_place_of_the_one_before(tmp_path):
    target = tmp_path / "model"
    for content in ("first", "second"):
        filled(target, content)
        assert (target / "file").read_text() == content
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_what_cannot_take_its_place_leaves_the_one_before(tmp_path, monkeypatch):
    target, rename, calls = tmp_path / "model", os.rename, []
    filled(target, "first")

    def failing(source, to):
        calls.append(to)
        if len(calls) == 2:
            raise OSError(5, "the disk failed")
        rename(source, to)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="the disk failed"):
        filled(target, "second")
    assert (target / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
