import numpy as np
import pytest
import ville
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.experiments.sequences import (
    Arm,
    Mixture,
    differences,
    lifts,
    standard_scores,
)


def arm(n, mean, variance):
    return Arm(np.array(float(n)), np.array(mean), np.array(variance))


def known_boundary(threshold):
    """A mixture whose threshold at 2,000 units is the given number."""
    mixture = Mixture(0.05, 250.0)
    assert mixture.threshold(2_000) == pytest.approx(threshold, abs=0.001)
    return mixture


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.05 / 3])
def test_the_boundary_is_the_one_of_another_implementation(alpha):
    units = np.array([50, 1_000, 10_000, 1_000_000])
    ours = Mixture.tuned(alpha, 5_000)
    rho = ville._boundaries.best_rho(5_000, alpha)
    assert ours.rho == pytest.approx(rho, rel=1e-3)
    theirs = ville._boundaries.normal_mixture(units, alpha, rho) / np.sqrt(units)
    assert ours.threshold(units) == pytest.approx(theirs, rel=1e-5)


def test_the_boundary_by_hand():
    # u = 2000 / 250 = 8: sqrt((1 + 1/8) * (ln 9 - 2 ln 0.05)) = sqrt(1.125 * 8.18869)
    known_boundary(3.0352)


def test_the_boundary_is_narrowest_in_standard_errors_where_it_was_tuned():
    mixture = Mixture.tuned(0.05, 5_000)
    units = np.array([4_000, 5_000, 6_000])
    assert mixture.threshold(units).argmin() == 1


def test_a_p_value_is_alpha_exactly_on_the_boundary():
    mixture, units = Mixture.tuned(0.02, 3_000), np.array([10.0, 3_000.0, 1e6])
    assert mixture.p_values(mixture.threshold(units), units) == pytest.approx([0.02] * 3)
    assert mixture.p_values(0.0, 100) == 1.0
    theirs = ville.MSPRT(theta0=0.0, tau=0.1).fit(np.ones(60))
    ours = Mixture(0.05, 100.0).p_values(np.sqrt([20.0, 40.0, 60.0]), [20, 40, 60])
    assert ours == pytest.approx(theirs.p_values_[[19, 39, 59]])


def test_a_difference_by_hand():
    control, variant = arm(1_000, 0.10, 0.09), arm(1_000, 0.15, 0.1275)
    # standard error sqrt(0.09/1000 + 0.1275/1000) = 0.0147479; times 3.0352 = 0.044762
    found = differences(control, variant, known_boundary(3.0352))
    assert (found.low, found.high) == pytest.approx((0.005238, 0.094762), abs=1e-5)
    assert standard_scores(control, variant) == pytest.approx(0.05 / 0.0147479, abs=1e-4)


def test_a_small_arm_without_luck_borrows_the_variance_of_both():
    control, variant = arm(9_000, 1.0, 4.0), arm(1_000, 0.5, 1.0)
    # shared (9 * 4 + 1 * 1) / 10 = 3.7; times 1/9000 + 1/1000 it is 0.0041111, not 0.0014444
    assert standard_scores(control, variant) == pytest.approx(-0.5 / np.sqrt(0.00411111), rel=1e-5)


def test_a_wide_small_arm_keeps_its_own_variance():
    control, variant = arm(9_000, 1.0, 1.0), arm(1_000, 0.5, 4.0)
    assert standard_scores(control, variant) == pytest.approx(-0.5 / np.sqrt(0.00411111), rel=1e-5)


def test_intervals_agree_with_another_implementation_of_the_two_armed_test():
    rng = np.random.default_rng(5)
    treated = rng.random(20_000) < 0.3
    values = rng.gamma(2.0, 1.0, 20_000) + 0.2 * treated
    theirs = ville.AsymptoticABTest(propensity=0.3, t_opt=10_000).fit(values, treated)
    control, variant = (
        arm(len(part), part.mean(), part.var(ddof=1))
        for part in (values[~treated], values[treated])
    )
    found = differences(control, variant, Mixture.tuned(0.05, 10_000))
    assert found.high - found.low == pytest.approx(theirs.upper_[-1] - theirs.lower_[-1], rel=0.03)
    assert (found.low + found.high) / 2 == pytest.approx(theirs.estimate_[-1], abs=0.01)


@given(
    st.integers(20, 10_000),
    st.integers(20, 10_000),
    st.floats(0.01, 10),
    st.floats(0.01, 10),
    st.floats(0.01, 100),
    st.floats(0.01, 100),
)
def test_a_lift_leaves_out_0_exactly_when_the_difference_does(n0, n1, mean0, mean1, v0, v1):
    control, variant, mixture = arm(n0, mean0, v0), arm(n1, mean1, v1), Mixture.tuned(0.05, 1_000)
    gap, lift = differences(control, variant, mixture), lifts(control, variant, mixture)
    if np.isfinite(lift.low) and min(abs(gap.low), abs(gap.high)) > 1e-9:
        assert (lift.low > 0, lift.high < 0) == (gap.low > 0, gap.high < 0)
        assert lift.low <= mean1 / mean0 - 1 <= lift.high


def test_the_ends_of_a_lift_are_ratios_on_the_boundary():
    control, variant, mixture = arm(500, 2.0, 4.0), arm(800, 2.5, 9.0), Mixture.tuned(0.05, 1_000)
    found, limit = lifts(control, variant, mixture), mixture.threshold(1_300)
    assert standard_scores(control, variant, 1 + float(found.low)) == pytest.approx(limit)
    assert standard_scores(control, variant, 1 + float(found.high)) == pytest.approx(-limit)


@pytest.mark.parametrize("mean", [0.0, 0.01, -3.0])
def test_a_lift_over_a_control_that_is_not_above_0_is_unknown(mean):
    found = lifts(arm(500, mean, 1.0), arm(500, 1.0, 1.0), Mixture.tuned(0.05, 1_000))
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_two_units_are_needed_for_an_interval():
    found = differences(arm(1, 1.0, 0.0), arm(500, 1.0, 1.0), Mixture.tuned(0.05, 1_000))
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_arms_without_any_variance_are_certain():
    assert standard_scores(arm(50, 0.0, 0.0), arm(50, 1.0, 0.0)) == np.inf
    assert standard_scores(arm(50, 0.0, 0.0), arm(50, 0.0, 0.0)) == 0
