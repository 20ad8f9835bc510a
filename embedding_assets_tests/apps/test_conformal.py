import numpy as np
import pytest

from embedding_assets.apps.conformal import cv_plus


def test_the_bounds_are_the_order_statistics_of_the_moved_predictions():
    residuals = np.arange(1.0, 20.0)
    low, high = cv_plus(np.array([[5.0], [0.0]]), residuals, np.zeros(19, dtype=np.int64), 0.9)
    assert low.tolist() == [5 - 18, -18]
    assert high.tolist() == [5 + 18, 18]


def test_each_residual_moves_the_prediction_of_its_own_fold():
    residuals = np.array([1.0] * 5 + [2.0] * 5)
    folds = np.array([0] * 5 + [1] * 5)
    low, high = cv_plus(np.array([[0.0, 10.0]]), residuals, folds, 0.9)
    assert (low.tolist(), high.tolist()) == ([-1.0], [12.0])


@pytest.mark.parametrize(("count", "bound"), [(0, np.inf), (8, np.inf), (9, 1.0)])
def test_too_few_residuals_bound_nothing(count, bound):
    folds = np.zeros(count, dtype=np.int64)
    low, high = cv_plus(np.zeros((1, 1)), np.ones(count), folds, 0.9)
    assert (low.tolist(), high.tolist()) == ([-bound], [bound])


def test_many_predictions_at_once_have_the_bounds_of_each_alone(monkeypatch):
    monkeypatch.setattr("embedding_assets.apps.conformal._VALUES_AT_ONCE", 100)
    chance = np.random.default_rng(0)
    centres, residuals = chance.normal(size=(11, 3)), chance.random(40)
    folds = np.arange(40) % 3
    together = np.stack(cv_plus(centres, residuals, folds, 0.8), axis=1)
    alone = [np.concatenate(cv_plus(row[None], residuals, folds, 0.8)) for row in centres]
    assert together.tolist() == np.stack(alone).tolist()
