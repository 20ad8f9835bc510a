import numpy as np
import pytest

from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.quality.layout import LayoutError
from embedding_assets.quality.maps import Maps, MapSource, MapState, Sample, draw_map, sampled

GROUPS = ["italian"] * 6 + ["thai"] * 3 + [None]


class Things:
    """Ten things with vectors, and what tells when they change."""

    def __init__(self):
        self.content, self.hidden = "1", None
        self.vectors = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
        self.without = set()
        self.samples = 0
        self.source = MapSource("things", "Things", self.state, self.sample)

    def state(self):
        return MapState(self.content, self.hidden)

    def sample(self):
        self.samples += 1
        rows = [row for row in range(10) if row not in self.without]
        return Sample(
            [f"id {row}" for row in rows],
            [f"label {row}" for row in rows],
            [GROUPS[row] for row in rows],
            self.vectors[rows],
        )


class Plane:
    """Lays out on a line, by rows."""

    def __init__(self, fails=False):
        self.fails = fails
        self.asked = 0

    def plane(self, vectors):
        self.asked += 1
        if self.fails:
            raise LayoutError("It failed.", "Do something.")
        return np.column_stack([np.arange(len(vectors)), np.zeros(len(vectors))]).astype(float)

    def close(self):
        pass


@pytest.fixture
def things():
    return Things()


def settled(maps):
    """Wait for what is under way in the background."""
    maps._background.submit(lambda: None).result(10)


def test_a_map_is_there_at_once_and_by_its_neighbourhoods_later(things):
    maps = Maps([things.source], Plane())
    first = maps.get("things")
    settled(maps)
    later = maps.get("things")
    assert (first.method, later.method) == ("pca", "tsne")
    assert sum(first.explained) <= 1 and later.explained == ()
    assert later.x == pytest.approx([-1 + 2 * n / 9 for n in range(10)], abs=1e-4)
    assert first.id == later.id == tuple(f"id {n}" for n in range(10))
    assert things.samples == 2
    maps.close()


def test_groups_are_numbered_by_size_and_the_rest_are_others(things):
    drawn = draw_map(things.source, things.sample())
    assert drawn.groups == ("italian", "thai", "others")
    assert drawn.group == (0, 0, 0, 0, 0, 0, 1, 1, 1, 2)
    many = Sample(["x"] * 20, ["x"] * 20, [f"g{n:02}" for n in range(20)], np.eye(20, dtype="f4"))
    drawn = draw_map(things.source, many)
    assert drawn.groups == (*(f"g{n:02}" for n in range(11)), "others")
    assert set(drawn.group[11:]) == {11}


def test_labels_are_one_short_line(things):
    sample = Sample(["a"], ["one\n two " + "x" * 1000], [None], np.ones((1, 2), np.float32))
    [label] = draw_map(things.source, sample).label
    assert label.startswith("one two xxx") and len(label) == 120 and label.endswith("…")


def test_a_map_is_drawn_once_for_a_state(things):
    plane = Plane()
    maps = Maps([things.source], plane)
    for _ in range(3):
        maps.get("things")
        settled(maps)
    assert plane.asked == 1
    maps.close()


def test_the_old_map_is_shown_until_new_content_is_laid_out(things):
    maps = Maps([things.source], Plane())
    maps.get("things")
    settled(maps)
    things.content, things.without = "2", {0}
    assert "id 0" in maps.get("things").id
    settled(maps)
    assert "id 0" not in maps.get("things").id and maps.get("things").method == "tsne"
    maps.close()


def test_what_was_forgotten_is_shown_no_more_from_the_next_look_on(things):
    maps = Maps([things.source], Plane())
    maps.get("things")
    settled(maps)
    things.hidden, things.without = "some", {3}
    assert "id 3" not in maps.get("things").id
    settled(maps)
    assert "id 3" not in maps.get("things").id
    maps.close()


def test_principal_components_remain_when_neighbourhoods_cannot_be_laid_out(things):
    maps = Maps([things.source], Plane(fails=True))
    maps.get("things")
    settled(maps)
    assert maps.get("things").method == "pca"
    maps.close()


@pytest.mark.parametrize("kept", [0, 1, 4])
def test_too_few_things_for_neighbourhoods_have_a_map_too(things, kept):
    things.without = set(range(kept, 10))
    plane = Plane()
    maps = Maps([things.source], plane)
    settled(maps)
    drawn = maps.get("things")
    settled(maps)
    assert len(drawn.x) == len(drawn.y) == len(drawn.id) == kept and plane.asked == 0
    maps.close()


def test_unknown_maps_and_maps_of_nothing_are_named(things):
    def nothing():
        raise NotFoundError("Nothing is stored.", "Store something.")

    def damaged():
        raise StoreDamagedError("It is torn.", "Build it again.")

    others = [
        MapSource("none", "None", nothing, nothing),
        MapSource("torn", "Torn", damaged, damaged),
    ]
    maps = Maps([*others, things.source], Plane())
    with pytest.raises(NotFoundError, match="no map 'x'"):
        maps.get("x")
    with pytest.raises(NotFoundError, match="Nothing is stored"):
        maps.get("none")
    assert [each.name for each in maps.available()] == ["things"]
    maps.close()


def test_a_sample_is_spread_over_all_rows_and_the_same_every_time():
    rows = sampled(10_000, 100)
    assert len(set(rows.tolist())) == 100 and rows.tolist() == sorted(rows.tolist())
    assert rows.max() > 9_000 and rows.tolist() == sampled(10_000, 100).tolist()
    assert sampled(3).tolist() == [0, 1, 2]
