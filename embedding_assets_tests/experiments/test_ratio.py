import numpy as np
import pytest

from embedding_assets.errors import InputError
from embedding_assets.experiments.ratio import sample_ratio

HALVES = {"a": 1, "b": 1}


def test_a_p_value_by_hand():
    # Dirichlet(50, 50): two of a have (50 * 51) / (100 * 101) against 1/4, which is 1.0099
    assert sample_ratio({"a": 2, "b": 0}, HALVES).p_value == pytest.approx(1 / 1.00990099)
    # one of each: (50 * 50) / (100 * 101) against 1/4 is below 1
    assert sample_ratio({"a": 1, "b": 1}, HALVES).p_value == 1.0


@pytest.mark.parametrize(
    ("counts", "weights", "is_sound"),
    [
        ({}, HALVES, True),
        ({"a": 5_000, "b": 5_000}, HALVES, True),
        ({"a": 5_150, "b": 4_850}, HALVES, True),
        ({"a": 5_300, "b": 4_700}, HALVES, False),
        ({"a": 70_000, "b": 30_000}, {"a": 70, "b": 30}, True),
        ({"a": 70_000, "b": 30_000}, {"a": 0.7, "b": 0.3}, True),
        ({"a": 70_000, "b": 30_000}, HALVES, False),
        ({"a": 69_000, "b": 31_000}, {"a": 70, "b": 30}, False),
        ({"a": 300}, HALVES, False),
        ({"a": 10}, HALVES, True),
        ({"a": 9_900, "b": 100, "c": 0}, {"a": 98, "b": 1, "c": 1}, False),
        ({"a": 500_000_000, "b": 500_020_000}, HALVES, True),
        ({"a": 500_000_000, "b": 500_400_000}, HALVES, False),
    ],
)
def test_a_split_is_sound_when_it_is_near_the_plan(counts, weights, is_sound):
    assert sample_ratio(counts, weights).is_sound is is_sound


def test_shares_are_told_as_planned_and_as_observed():
    found = sample_ratio({"a": 30}, {"a": 3, "b": 1})
    assert found.planned == {"a": 0.75, "b": 0.25}
    assert (found.observed, found.units) == ({"a": 1.0, "b": 0.0}, 30)


def test_a_sound_split_is_seldom_doubted_however_often_one_looks():
    rng = np.random.default_rng(7)
    looks = rng.multinomial(20, [0.7, 0.3], size=(300, 60)).cumsum(axis=1)
    weights = {"a": 70, "b": 30}
    lowest = [
        min(sample_ratio({"a": a, "b": b}, weights).p_value for a, b in experiment)
        for experiment in looks
    ]
    assert 0 < np.mean(np.array(lowest) <= 0.2) <= 0.2
    assert np.mean(np.array(lowest) <= 0.05) <= 0.05


@pytest.mark.parametrize("weights", [{"a": 1, "b": 0}, {"a": 1}, {"a": 1, "b": float("nan")}])
def test_a_variant_without_a_weight_is_refused(weights):
    with pytest.raises(InputError, match="The sample ratio cannot be checked"):
        sample_ratio({"a": 5, "b": 5}, weights)
