import numpy as np
import pytest

from embedding_assets.apps.index import AppIndex, build_app_index
from embedding_assets.apps.manifest import read_app_manifest
from embedding_assets.errors import StoreDamagedError, StoreVersionError
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.apps.shelf import V1, published, source
from embedding_assets_tests.search.damage import SHAPES, edit_manifest


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "apps")


def opened(snapshots):
    return AppIndex.open(snapshots.path(snapshots.current()))


def test_the_index_holds_all_versions_of_the_vectors_with_unit_length(snapshots):
    published(snapshots)
    index = opened(snapshots)
    assert index.ids == ("chess", "checkers", "sudoku", "weather", "radio", "only-v2")
    v1, v2 = index.versions["v1"], index.versions["v2"]
    assert v1.rows.tolist() == [0, 1, 2, 3, 4]
    assert v2.rows.tolist() == [0, 3, 5]
    assert v2.places.tolist() == [0, -1, -1, 1, -1, 2]
    assert v2.index.vectors == pytest.approx(np.array([[0, 1], [1, 0], [0.6, 0.8]]))
    lengths = np.linalg.norm(v1.index.vectors, axis=1)
    assert lengths == pytest.approx(np.ones(5))


def test_the_manifest_tells_of_each_version(snapshots):
    built = published(snapshots)
    manifest = read_app_manifest(snapshots.path(snapshots.current()))
    assert manifest == built.manifest
    assert manifest.apps == 6
    found = {
        name: (entry.rows, entry.dimension, entry.recall)
        for name, entry in manifest.versions.items()
    }
    assert found == {"v1": (5, 3, 1.0), "v2": (3, 2, 1.0)}
    newcomers = manifest.versions["v1"].newcomers
    assert set(newcomers.listed.figures) == {"projection", "neighbours", "category_mean", "random"}


def test_rates_are_shrunk_towards_the_category_and_unknown_without_impressions(snapshots):
    published(snapshots)
    index = opened(snapshots)
    assert index.impressions.tolist() == [1_000, 1_000, 0, 1_000, -1, -1]
    chess, checkers, sudoku, weather, radio, other = index.rates
    assert 0.06 < checkers < chess < 0.09
    assert 0.01 < weather < 0.03
    assert np.isnan([sudoku, radio, other]).all()


def test_an_unchanged_build_publishes_nothing(snapshots):
    first = published(snapshots)

    def refuse(*arguments):
        raise AssertionError("read again")

    again = build_app_index(snapshots, source(encode=refuse))
    assert (again.new, again.manifest) == (False, first.manifest)
    assert snapshots.names() == [first.manifest.version]


@pytest.mark.parametrize(
    "change",
    [{"v1": V1 | {"chess": [1.0, 2.0, 0.0]}}, {"text_model": "other"}, {"predicts": "v1"}],
)
def test_a_changed_part_publishes_a_new_version(snapshots, change):
    first = published(snapshots)
    second = published(snapshots, **change)
    assert second.new and snapshots.current() == second.manifest.version
    assert snapshots.names() == [first.manifest.version, second.manifest.version]


def test_old_versions_are_swept_and_the_one_before_can_be_gone_back_to(snapshots):
    built = [published(snapshots, predicts=f"v{n}") for n in range(5)]
    names = [each.manifest.version for each in built]
    assert snapshots.names() == names[-3:]
    assert built[-1].removed == (names[1],)
    assert snapshots.rollback() == names[-2]
    assert opened(snapshots).manifest.predicts == "v3"


def test_vectors_without_direction_are_left_out(snapshots):
    rows = V1 | {"chess": [0.0, 0.0, 0.0], "sudoku": [np.nan, 1.0, 0.0]}
    published(snapshots, v1=rows)
    v1 = opened(snapshots).versions["v1"]
    assert v1.rows.tolist() == [1, 3, 4]
    assert np.isfinite(v1.index.vectors).all()


def damage_bits(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [damage_bits, lambda path: path.unlink(),
                                    lambda path: path.write_bytes(b"")])  # fmt: skip
@pytest.mark.parametrize("file", ["apps.arrow", "v1/vectors.f32", "v2/rows.npy"])
def test_a_damaged_version_is_refused_by_name(snapshots, file, damage):
    published(snapshots)
    damage(snapshots.path(snapshots.current()) / file)
    with pytest.raises(StoreDamagedError, match=file):
        opened(snapshots)


@pytest.mark.parametrize("content", ["{", '{"code": "1"}', *SHAPES])
def test_a_damaged_manifest_is_refused(snapshots, content):
    published(snapshots)
    (snapshots.path(snapshots.current()) / "manifest.json").write_text(content)
    with pytest.raises(StoreDamagedError, match="cannot be read"):
        opened(snapshots)


@pytest.mark.parametrize(
    "change",
    [{"files": None}, {"files": ["apps.arrow"]}, {"files": {"apps.arrow": 5}}, {"files": {}},
     {"versions": {}}, {"versions": []}, {"versions": {"v1": None}}, {"predicts": 5},
     {"apps": "x"}, {"version": "other"}],
)  # fmt: skip
def test_a_manifest_with_an_entry_of_another_shape_is_refused(snapshots, change):
    published(snapshots)
    edit_manifest(snapshots.path(snapshots.current()), **change)
    with pytest.raises(StoreDamagedError, match="cannot be read"):
        opened(snapshots)


def test_going_back_to_a_damaged_version_is_refused_by_name(snapshots):
    first = published(snapshots).manifest.version
    second = published(snapshots, predicts="v1").manifest.version
    damage_bits(snapshots.path(first) / "apps.arrow")
    with pytest.raises(StoreDamagedError, match=f"Version {first} is not served.*apps.arrow"):
        snapshots.rollback(AppIndex.open)
    assert snapshots.current() == second


def test_an_index_of_another_format_is_refused_by_name(snapshots):
    published(snapshots)
    path = snapshots.path(snapshots.current()) / "manifest.json"
    path.write_text(path.read_text().replace('"code": "1"', '"code": "99"'))
    with pytest.raises(StoreVersionError, match="format 99"):
        opened(snapshots)


def test_a_damaged_version_is_built_again(snapshots):
    first = published(snapshots)
    (snapshots.path(snapshots.current()) / "v1" / "vectors.f32").unlink()
    second = published(snapshots)
    assert second.new and second.manifest.digest == first.manifest.digest
    assert opened(snapshots).versions["v1"].rows.tolist() == [0, 1, 2, 3, 4]


def test_a_build_that_fails_leaves_the_old_version_served(snapshots):
    first = published(snapshots)

    def fail(texts):
        raise ArithmeticError

    with pytest.raises(ArithmeticError):
        published(snapshots, encode=fail, text_model="other")
    assert snapshots.current() == first.manifest.version
    assert snapshots.names() == [first.manifest.version]
