import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from embedding_assets.experiments.cuped import Moments, Observed, adjust

NONE = float("nan")


def observed(values, covariates):
    return Observed.of(np.array(values, dtype=float), np.array(covariates, dtype=float))


def test_a_covariate_that_explains_all_leaves_no_variance():
    arms = {"a": observed([2, 4, 6], [1, 2, 3]), "b": observed([5, 7, 9], [2, 3, 4])}
    found = adjust(arms)
    # theta 2, mean of x 2.5: a is 4 - 2 * (2 - 2.5) = 5, b is 7 - 2 * (3 - 2.5) = 6
    assert (found.theta, found.reduction) == (2.0, 1.0)
    assert [(s.mean, s.variance) for s in found.samples.values()] == [(5.0, 0.0), (6.0, 0.0)]


def test_the_slope_is_taken_within_arms_so_that_the_effect_itself_is_not_explained_away():
    arms = {"a": observed([0, 1, 0, 1], [1, 1, 2, 2]), "b": observed([9, 8, 9, 8], [3, 3, 4, 4])}
    found = adjust(arms)
    assert found.theta == 0.0
    assert found.samples["b"].mean - found.samples["a"].mean == 8.0


def test_units_without_covariate_keep_their_values():
    found = adjust({"a": observed([2, 4, 9], [1, 3, NONE]), "b": observed([2, 4, 9], [1, 3, NONE])})
    assert (found.theta, found.missing) == (1.0, pytest.approx(1 / 3))
    # 2 - (1 - 2) = 3, 4 - (3 - 2) = 3, and 9 as it is
    assert found.samples["a"].mean == 5.0
    assert found.samples["a"].variance == pytest.approx(np.var([3, 3, 9], ddof=1))


@pytest.mark.parametrize("covariates", [[NONE, NONE, NONE], [7, 7, 7]])
def test_a_covariate_that_says_nothing_changes_nothing(covariates):
    found = adjust({"a": observed([1, 2, 6], covariates), "b": observed([3, 4, 5], covariates)})
    assert (found.theta, found.reduction) == (0.0, 0.0)
    assert (found.samples["a"].mean, found.samples["a"].variance) == (3.0, 7.0)


def test_an_arm_without_units_is_an_empty_sample():
    found = adjust({"a": observed([], []), "b": observed([1, 2], [1, 2])})
    assert (found.samples["a"].n, found.samples["a"].mean) == (0, 0.0)


def test_events_are_counted_before_the_adjustment():
    found = adjust({"a": observed([0, 1, 0], [5, 9, 6]), "b": observed([0, 0, 0], [5, 9, 6])})
    assert [sample.nonzero for sample in found.samples.values()] == [1, 0]


_floats = arrays(float, st.integers(0, 20), elements=st.floats(-1e3, 1e3, width=32))


@given(_floats, _floats)
def test_moments_of_parts_add_up_to_those_of_the_whole(first, second):
    parts = Moments.of(first, first * 2 + 1) + Moments.of(second, second * 2 + 1)
    both = np.concatenate([first, second])
    whole = Moments.of(both, both * 2 + 1)
    assert (parts.n, parts.nonzero) == (whole.n, whole.nonzero)
    got = [parts.y, parts.x, parts.yy, parts.xx, parts.xy]
    expected = [whole.y, whole.x, whole.yy, whole.xx, whole.xy]
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-3)


def test_large_means_cost_no_digits():
    values = 1.7e9 + np.array([0.0, 1.0, 2.0, 3.0])
    total = Moments.of(values[:2]) + Moments.of(values[2:])
    assert total.yy == pytest.approx(5.0)


def test_the_effect_is_found_with_less_noise():
    rng = np.random.default_rng(11)
    before = rng.normal(10, 3, 8_000)
    values = before + rng.normal(0, 1, 8_000)
    values[4_000:] += 0.2
    arms = {"a": observed(values[:4_000], before[:4_000])}
    arms["b"] = observed(values[4_000:], before[4_000:])
    found = adjust(arms)
    assert found.reduction == pytest.approx(0.9, abs=0.01)
    assert found.samples["b"].mean - found.samples["a"].mean == pytest.approx(0.2, abs=0.06)
    assert found.samples["a"].variance == pytest.approx(1.0, rel=0.05)
