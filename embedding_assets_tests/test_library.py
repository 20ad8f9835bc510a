import json

import pytest

from embedding_assets.errors import StoreDamagedError
from embedding_assets.forget.used import indexed_texts
from embedding_assets.search.build import build_index
from embedding_assets.settings import Settings
from embedding_assets.workspace import Workspace
from embedding_assets_tests.apps.shelf import published
from embedding_assets_tests.search.collection import TEXTS, Collection
from embedding_assets_tests.search.damage import flip_byte


@pytest.fixture
def workspace(tmp_path, no_environment):
    return Workspace(Settings(data_dir=tmp_path / "store"))


def test_documents_go_back_to_the_version_before_unless_it_is_damaged(workspace):
    library = workspace.library
    old = build_index(library.snapshots, Collection({"law": TEXTS["law"]}).source).manifest
    new = build_index(library.snapshots, Collection(TEXTS).source).manifest
    assert library.roll_back() == old
    library.snapshots.publish(new.version)
    flip_byte(library.snapshots.path(old.version) / "passages.arrow")
    with pytest.raises(StoreDamagedError, match=f"{old.version} is not served"):
        library.roll_back()
    assert library.served_version() == new.version


def test_apps_go_back_to_the_version_before_unless_it_is_damaged(workspace):
    catalogue = workspace.catalogue
    old = published(catalogue.snapshots).manifest
    new = published(catalogue.snapshots, predicts="v1").manifest
    assert catalogue.roll_back() == old
    catalogue.snapshots.publish(new.version)
    flip_byte(catalogue.snapshots.path(old.version) / "apps.arrow")
    with pytest.raises(StoreDamagedError, match=f"{old.version} is not served"):
        catalogue.roll_back()
    assert catalogue.served() == new


def test_texts_are_not_read_from_passages_that_have_changed(workspace):
    snapshots = workspace.library.snapshots
    version = build_index(snapshots, Collection(TEXTS).source).manifest.version
    assert len(indexed_texts(snapshots, version, ["cake"])) == 3
    flip_byte(snapshots.path(version) / "passages.arrow")
    assert indexed_texts(snapshots, version, ["cake"]) == []


def test_of_labelled_documents_the_beginning_is_held_and_unreadable_ones_are_left_out(
    workspace, tmp_path
):
    long, torn = tmp_path / "long.json", tmp_path / "torn.json"
    long.write_text(json.dumps({"title": "A", "body": ["many words here " * 200] * 50}))
    torn.write_text('{"title": "A')
    texts = workspace.categories._read_texts([long, torn])
    assert texts.keys() == {long}
    assert 16_000 < len(texts[long]) < 2 * 16_000 + 2
