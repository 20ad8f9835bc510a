import pytest

from embedding_assets.documents.index_rows import is_index_stale
from embedding_assets.search.build import build_index
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.search.collection import TEXTS, Collection
from embedding_assets_tests.search.damage import flip_byte


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "index")


def test_an_index_of_what_is_wanted_is_stale_only_when_it_is_damaged(snapshots):
    source = Collection(TEXTS).source
    build_index(snapshots, source)
    assert not is_index_stale(snapshots, source.digests)
    flip_byte(snapshots.path(snapshots.current()) / "vectors.f32")
    assert is_index_stale(snapshots, source.digests)
