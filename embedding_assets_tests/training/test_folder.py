import pytest

from embedding_assets.training.folder import publish_folder


def fill(folder):
    (folder / "weights").write_text("whole")


def test_a_folder_appears_whole(tmp_path):
    target = tmp_path / "models" / "one"
    publish_folder(target, fill)
    assert (target / "weights").read_text() == "whole"
    assert [*target.parent.iterdir()] == [target]


def test_what_fails_leaves_nothing(tmp_path):
    def broken(folder):
        fill(folder)
        raise ValueError("no more")

    with pytest.raises(ValueError, match="no more"):
        publish_folder(tmp_path / "one", broken)
    assert [*tmp_path.iterdir()] == []


def test_what_is_there_stays(tmp_path):
    (tmp_path / "one").mkdir()
    publish_folder(tmp_path / "one", fill)
    assert [*(tmp_path / "one").iterdir()] == []


def test_of_two_that_publish_at_once_the_first_wins(tmp_path):
    def overtaken(folder):
        fill(folder)
        publish_folder(tmp_path / "one", lambda other: (other / "weights").write_text("first"))

    publish_folder(tmp_path / "one", overtaken)
    assert (tmp_path / "one" / "weights").read_text() == "first"
