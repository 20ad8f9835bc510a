import numpy as np

from embedding_assets.quality.drift_scores import Scores, measure_score_drift


def scores(values, prefix="query", repeated=1):
    units = [f"{prefix} {n // repeated}" for n in range(len(values))]
    return Scores(units, np.asarray(values, dtype=np.float64))


def test_a_shift_of_scores_is_found_with_its_size_and_medians():
    before, now = np.linspace(0, 1, 200), np.linspace(0.25, 1.25, 200)
    drift = measure_score_drift(scores(before), scores(now, "new"))
    assert drift.p_value <= 0.005
    assert 0.24 <= drift.effect <= 0.26
    assert (round(drift.before, 2), round(drift.now, 2)) == (0.5, 0.75)


def test_without_drift_five_of_a_hundred_are_called_one():
    found = []
    for n in range(200):
        chance = np.random.default_rng(n)
        two = scores(chance.normal(size=60)), scores(chance.normal(size=40), "new")
        found.append(measure_score_drift(*two, permutations=99).p_value)
    assert 0.01 <= (np.array(found) <= 0.05).mean() <= 0.095


def test_many_scores_of_one_unit_count_once():
    before, now = scores(np.zeros(100)), scores(np.ones(100), "new", repeated=100)
    drift = measure_score_drift(before, now)
    assert drift.window == 1
    assert "too few" in drift.reason


def test_equal_scores_have_not_moved_and_broken_ones_are_counted():
    drift = measure_score_drift(scores(np.ones(50)), scores([*np.ones(50), np.nan], "new"))
    assert (drift.p_value, drift.effect, drift.left_out) == (1.0, 0.0, 1)


def test_no_scores_are_said():
    drift = measure_score_drift(scores(np.ones(50)), scores([]))
    assert (drift.p_value, drift.now, drift.reason) == (None, None, "no data in the window")
