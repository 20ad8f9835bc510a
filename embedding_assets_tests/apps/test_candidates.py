import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from embedding_assets.apps.candidates import (
    SETTINGS,
    Apps,
    Candidates,
    Features,
    Lesson,
    fit_ridge,
    near_rates,
)
from embedding_assets.apps.outcomes import unit
from embedding_assets.apps.rates import RatePrior, from_logit, logit

PRIOR = RatePrior(0.1, 10.0, np.array([0.2]), 10.0)


@pytest.fixture
def apps():
    chance = np.random.default_rng(1)
    vectors = unit(chance.normal(size=(60, 4)).astype(np.float32))
    category, platform = chance.integers(-1, 3, 60), chance.integers(-1, 2, 60)
    features = Features(vectors, category, platform, 3, 2)
    rates = from_logit(vectors @ np.array([1, -1, 0, 0]) + 0.3 * category - 3)
    impressions = chance.integers(1, 2_000, 60)
    return Apps(features, chance.binomial(impressions, rates), impressions, np.arange(60) % 5)


def test_a_design_has_the_vector_and_one_column_for_each_category_and_platform():
    features = Features(
        np.array([[0.6, 0.8], [1, 0]], dtype=np.float32),
        np.array([1, -1]),
        np.array([-1, 0]),
        2,
        1,
    )
    wanted = [[0.6, 0.8, 0, 1, 0], [1, 0, 0, 0, 1]]
    assert features.design() == pytest.approx(np.array(wanted))


def test_the_mean_of_the_nearest_counts_each_by_its_weight_and_skips_those_not_learnt_from():
    lesson = Lesson(PRIOR, np.array([0.1, 0.2, 0.3, 0.4]), np.array([1.0, 0.0, 0.5, 1.0]))
    near = np.array([[1, 0, 2, 3], [3, 2, 1, -1], [1, -1, -1, -1]])
    found = near_rates(lesson, near, 2)
    assert found == pytest.approx([(0.1 + 0.15) / 1.5, (0.4 + 0.15) / 1.5, 0.1])


def test_the_ridge_is_that_of_scikit_learn_for_each_penalty(apps):
    lesson, design = apps.learn(2), apps.features.design()
    found = fit_ridge(design, lesson, [0.1, 10.0])
    learnt = apps.folds != 2
    for penalty, coefficients in zip([0.1, 10.0], found.coefficients.T, strict=True):
        peer = SklearnRidge(alpha=penalty).fit(
            design[learnt], logit(lesson.rates[learnt]), sample_weight=lesson.weights[learnt]
        )
        assert coefficients == pytest.approx(peer.coef_, abs=1e-8)


def test_the_mean_expected_rate_of_the_ridge_is_the_mean_rate(apps):
    lesson, design = apps.learn(), apps.features.design()
    expected = from_logit(fit_ridge(design, lesson, [1.0, 1e4]).expected(design))
    mean = lesson.weights @ lesson.rates / lesson.weights.sum()
    assert lesson.weights @ expected / lesson.weights.sum() == pytest.approx([mean, mean])


def test_what_is_learnt_without_a_fold_does_not_depend_on_its_clicks(apps):
    other = np.where(apps.folds == 3, apps.impressions, apps.clicks)
    changed = Apps(apps.features, other, apps.impressions, apps.folds)
    rows = np.flatnonzero(apps.folds == 3)
    found, same = (Candidates.of(each).expect(each.learn(3, 1), rows) for each in (apps, changed))
    assert found.shape == (12, len(SETTINGS))
    assert found.tolist() == same.tolist()
    assert changed.learn(1).prior != apps.learn(1).prior
