import json
import os

import pytest

from embedding_assets.errors import NotFoundError, StoreDamagedError, StoreLockedError
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.storage import processes


@pytest.fixture
def snapshots(tmp_path):
    return Snapshots(tmp_path / "index", lock_timeout_seconds=0.2)


def build(snapshots, name, publish=True):
    with snapshots.locked(), snapshots.building(name) as folder:
        (folder / "inner").mkdir()
        (folder / "inner" / "rows").write_text(name)
    if publish:
        snapshots.publish(name)


def test_nothing_is_served_before_the_first_version(snapshots):
    with pytest.raises(NotFoundError, match="No index stands in"):
        snapshots.current()
    assert snapshots.names() == []


def test_a_version_is_served_once_it_is_published(snapshots):
    build(snapshots, "v1")
    build(snapshots, "v2", publish=False)
    assert (snapshots.current(), snapshots.names()) == ("v1", ["v1", "v2"])
    assert (snapshots.path("v2") / "inner" / "rows").read_text() == "v2"
    snapshots.publish("v2")
    assert snapshots.current() == "v2"


def test_a_version_that_is_not_there_cannot_be_published(snapshots):
    build(snapshots, "v1")
    with pytest.raises(NotFoundError, match="Versions there: v1"):
        snapshots.publish("v9")
    assert snapshots.current() == "v1"


def test_a_build_that_fails_leaves_nothing(snapshots):
    build(snapshots, "v1")
    with pytest.raises(KeyError), snapshots.locked(), snapshots.building("v2") as folder:
        (folder / "half").write_text("x")
        raise KeyError
    assert snapshots.names() == ["v1"]
    assert not (snapshots.folder / "building").exists()


def test_what_a_killed_build_left_is_never_seen_and_swept_by_the_next(snapshots):
    code = (
        "from pathlib import Path; from embedding_assets.search.snapshots import Snapshots\n"
        f"s = Snapshots(Path({str(snapshots.folder)!r}))\n"
        "lock = s.locked(); lock.__enter__()\n"
        "work = s.building('v1'); folder = work.__enter__(); (folder / 'half').write_text('x')"
    )
    with processes.waiting(code) as child:
        with pytest.raises(StoreLockedError, match=str(child.pid)), snapshots.locked():
            pass
    assert (snapshots.folder / "building" / "v1" / "half").exists()
    assert snapshots.names() == []
    build(snapshots, "v2")
    assert not (snapshots.folder / "building").exists()


def test_rolling_back_serves_the_version_before(snapshots):
    for name in ("v1", "v2", "v3"):
        build(snapshots, name)
    assert snapshots.rollback() == "v2" == snapshots.current()
    assert snapshots.rollback() == "v1" == snapshots.current()
    with pytest.raises(NotFoundError, match="No version older than v1"):
        snapshots.rollback()
    assert snapshots.names() == ["v1", "v2", "v3"]


def test_the_newest_are_kept_and_the_current_one_always(snapshots):
    for name in ("v1", "v2", "v3", "v4"):
        build(snapshots, name)
    snapshots.publish("v1")
    with snapshots.locked():
        assert snapshots.sweep(keep=2) == ["v2"]
        assert snapshots.names() == ["v1", "v3", "v4"]
        assert snapshots.sweep(keep=2) == []
        snapshots.publish("v4")
        assert snapshots.sweep(keep=1) == ["v1", "v3"]
    assert snapshots.names() == ["v4"] == os.listdir(snapshots.folder / "versions")


class TestTombstones:
    def test_grow_and_say_since_when(self, snapshots):
        tombstones = snapshots.tombstones
        assert (tombstones.ids(), tombstones.state()) == (frozenset(), None)
        tombstones.add(["a", "it's; DROP"])
        first = tombstones.since()["a"]
        state = tombstones.state()
        tombstones.add(["a", "é"])
        assert tombstones.ids() == {"a", "it's; DROP", "é"}
        assert tombstones.since()["a"] == first
        assert tombstones.state() != state

    def test_can_be_lifted(self, snapshots):
        snapshots.tombstones.add(["a", "b"])
        snapshots.tombstones.lift(["a", "x"])
        assert snapshots.tombstones.ids() == {"b"}

    def test_do_not_wait_for_a_build(self, snapshots):
        with snapshots.locked():
            snapshots.tombstones.add(["a"])
        assert snapshots.tombstones.ids() == {"a"}

    def test_a_torn_list_stops_everything(self, snapshots):
        snapshots.tombstones.add(["a"])
        whole = snapshots.tombstones.path.read_text()
        assert json.loads(whole)
        snapshots.tombstones.path.write_text(whole[:-3])
        with pytest.raises(StoreDamagedError, match="forgotten documents"):
            snapshots.tombstones.ids()

    def test_of_several_writers_none_is_lost(self, snapshots):
        code = (
            "import sys; from pathlib import Path\n"
            "from embedding_assets.search.snapshots import Snapshots\n"
            f"s = Snapshots(Path({str(snapshots.folder)!r}))\n"
            "for n in range(20): s.tombstones.add([f'{NAME}{n}'])"
        )
        children = [processes.start(code.replace("{NAME}", name)) for name in "ab"]
        assert [child.wait() for child in children] == [0, 0]
        for child in children:
            child.communicate()
        assert snapshots.tombstones.ids() == {f"{name}{n}" for name in "ab" for n in range(20)}
