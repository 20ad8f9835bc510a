import numpy as np
import pytest

from embedding_assets.apps.candidates import SETTINGS
from embedding_assets.apps.validation import Trials, paired_p_value

FIRST, SECOND = 0, 1


@pytest.fixture
def trials():
    """Two apps in each of three folds. On the apps of fold 0 the second setting is better by far,
    on all others the first is, by little."""
    folds = np.array([0, 0, 1, 1, 2, 2])
    losses = np.full((6, 3, len(SETTINGS)), 9.0)
    losses[:, :, FIRST], losses[:, :, SECOND] = 1.0, 1.5
    losses[:2, :, FIRST] = 5.0
    expected = np.zeros((6, 3, len(SETTINGS)))
    targets = np.array([[0.1], [-0.2], [0.3], [-0.4], [0.5], [-0.6]]) * np.ones((6, 3))
    return Trials(folds, expected, targets, losses, margin=0.6)


def test_a_setting_is_chosen_for_a_fold_without_its_own_apps(trials):
    assert trials.overall([FIRST, SECOND]) == SECOND
    assert trials.inner([FIRST, SECOND]).tolist() == [FIRST, SECOND, SECOND]
    assert trials.inner([FIRST]).tolist() == [FIRST] * 3


def test_residuals_are_of_what_was_expected_without_the_own_fold_and_not_below_the_margin(trials):
    own = (np.arange(6), trials.folds)
    trials.expected[(*own, FIRST)] = 1.0
    assert trials.residuals(FIRST) == pytest.approx([0.9, 1.2, 0.7, 1.4, 0.6, 1.6])


def test_intervals_are_tried_on_apps_that_had_no_part_in_them(trials):
    trials.targets[trials.folds == 2] *= 100
    found = [*trials.covered(np.array([FIRST] * 3))]
    assert [targets.tolist() for targets, _, _ in found] == [[0.1, -0.2], [0.3, -0.4], [50, -60]]
    # Four residuals are too few to bound nine of ten.
    assert all(np.isinf(low).all() and np.isinf(high).all() for _, low, high in found)


def test_gains_of_all_apps_are_hardly_chance():
    assert paired_p_value(np.ones(20), 0) == 1 / 5_000
    assert paired_p_value(np.ones(3), 0) == pytest.approx(1 / 8, abs=0.02)


def test_losses_and_no_difference_are_no_gain():
    assert paired_p_value(-np.ones(20), 0) == 1.0
    assert paired_p_value(np.zeros(20), 0) == 1.0


def test_one_large_gain_among_many_apps_is_no_evidence():
    assert paired_p_value(np.array([100.0] + [-0.01] * 50), 0) == pytest.approx(0.5, abs=0.03)
