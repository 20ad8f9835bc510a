import numpy as np
import pytest

from embedding_assets.apps.rates import Posterior
from embedding_assets.apps.segments import Evidence, tiers

RATES = np.array([0.01, 0.02, 0.05, 0.06, 0.2, 0.3])
SIZES = np.array([100.0, 1_000.0, 500.0, 500.0, 200.0, 400.0])


@pytest.fixture
def evidence():
    return Evidence.of(
        ["a", "b", "c", "d", "e", "f"],
        ["Games", "Games", "News", None, "Games", "Games"],
        ["ios", "ios", "ios", "ios", "ios", None],
        Posterior(RATES * SIZES, (1 - RATES) * SIZES),
    )


def cosines(*values):
    return np.array(values, dtype=np.float32)


def test_tiers_are_the_thirds_of_all_rates():
    assert tiers(RATES).tolist() == [0, 0, 1, 1, 2, 2]


def test_equal_rates_are_all_in_the_middle():
    assert tiers(np.full(5, 0.1)).tolist() == [1] * 5
    assert tiers(np.empty(0)).tolist() == []


def test_neighbours_are_grouped_by_category_platform_and_tier_and_weigh_by_similarity(evidence):
    found = evidence.segments(np.array([1, 2, 0, 5]), cosines(0.8, 0.6, 0.4, 0.2), 0.9)
    assert [(each.category, each.platform, each.tier, each.apps) for each in found] == [
        ("Games", "ios", "low", ("b", "a")),
        ("News", "ios", "middle", ("c",)),
        ("Games", None, "high", ("f",)),
    ]
    assert [each.weight for each in found] == pytest.approx([0.6, 0.3, 0.1])
    assert found[0].rate == pytest.approx((0.8 * 0.02 + 0.4 * 0.01) / 1.2)


def test_the_interval_of_one_app_is_that_of_its_own_rate(evidence):
    [found] = evidence.segments(np.array([2]), cosines(0.5), 0.9)
    low, high = Posterior(RATES[[2]] * 500, (1 - RATES[[2]]) * 500).interval(0.9)
    assert (found.low, found.rate, found.high) == pytest.approx((low[0], 0.05, high[0]))


def test_more_apps_in_a_segment_make_its_interval_narrower(evidence):
    [one] = evidence.segments(np.array([2]), cosines(0.5), 0.9)
    twice = Evidence(
        ["c", "x"], [evidence.kinds[2]] * 2, Posterior(np.full(2, 25.0), np.full(2, 475.0))
    )
    [two] = twice.segments(np.array([0, 1]), cosines(0.5, 0.5), 0.9)
    assert two.high - two.low == pytest.approx((one.high - one.low) / np.sqrt(2), rel=0.02)


def test_apps_that_point_away_are_no_neighbours(evidence):
    found = evidence.segments(np.array([0, 2]), cosines(0.3, -0.2), 0.9)
    assert [each.apps for each in found] == [("a",)]


def test_where_nobody_is_similar_all_count_alike(evidence):
    found = evidence.segments(np.array([0, 2]), cosines(0.0, -0.2), 0.9)
    assert [each.weight for each in found] == [0.5, 0.5]


def test_without_neighbours_there_are_no_segments(evidence):
    assert evidence.segments(np.empty(0, dtype=np.int64), cosines(), 0.9) == ()
