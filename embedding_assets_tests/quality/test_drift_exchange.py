import numpy as np
import pytest

from embedding_assets.quality.drift_exchange import Exchange

CHANCE = np.random.default_rng(0)


def test_units_that_stay_as_they_are_make_no_difference_between_sides_of_other_size():
    """Ten units on both sides, each with the same value there, and thirty more before: these were
    never anywhere else, so nothing is known of a change."""
    values = CHANCE.normal(size=40).astype(np.float32)
    unit = np.array([*range(40), *range(10)])
    is_now = np.arange(50) >= 40
    exchange = Exchange.of(is_now, unit, 99, CHANCE)
    assert np.abs(exchange.differences(values[unit, None])).max() < 1e-6


@pytest.mark.parametrize("twice", [0, 12])
def test_the_difference_is_that_of_the_means_less_what_chance_makes_of_it(twice):
    unit = np.array([*range(30), *range(twice), *range(30, 60 - twice)])
    is_now = np.arange(60) >= 30
    values = CHANCE.normal(size=(60, 3)).astype(np.float32)
    found = Exchange.of(is_now, unit, 4_999, CHANCE).differences(values)
    plain = values[is_now].mean(axis=0) - values[~is_now].mean(axis=0)
    assert np.allclose(found[0], plain, atol=1e-6)  # sides of one size: nothing to take off
    assert np.abs(found[1:].mean(axis=0)).max() < 0.02
