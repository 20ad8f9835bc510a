import numpy as np
import pytest

from embedding_assets.quality.drift import FEWEST_UNITS, Sample, measure_drift

TOPICS = np.eye(8, dtype=np.float32)


def vectors(chance, topics, noise=0.3):
    """Unit vectors around topics, as embeddings of texts lie."""
    near = TOPICS[topics] + chance.normal(0, noise, (len(topics), 8))
    return (near / np.linalg.norm(near, axis=1, keepdims=True)).astype(np.float32)


def sample(found, prefix="document"):
    return Sample([f"{prefix} {n}" for n in range(len(found))], found)


def draw(chance, count=100, topics=4):
    return vectors(chance, chance.integers(topics, size=count))


def p_values(draws, make):
    found = [measure_drift(*make(np.random.default_rng(n)), permutations=99) for n in range(draws)]
    return np.array([each.p_value for each in found])


def test_without_drift_five_of_a_hundred_are_called_one():
    found = p_values(200, lambda c: (sample(draw(c, 50)), sample(draw(c, 50), "new")))
    assert 0.01 <= (found <= 0.05).mean() <= 0.095  # so 99 times of 100, were it 0.05


def test_a_tenth_of_another_topic_is_found_and_named():
    chance = np.random.default_rng(0)
    other = vectors(chance, np.full(40, 7))
    now = Sample(
        [f"new {n}" for n in range(400)],
        np.concatenate([draw(chance, 360), other]),
        [*["usual"] * 360, *["of the moon"] * 40],
    )
    drift = measure_drift(sample(draw(chance, 400)), now)
    assert drift.p_value <= 0.01
    assert 0.05 <= drift.effect <= 0.18
    largest = drift.groups[0]
    assert largest.before <= 0.02
    assert 0.05 <= largest.now <= 0.13
    assert set(largest.texts) == {"of the moon"}
    assert all(int(unit.removeprefix("new ")) >= 360 for unit in largest.units)


def test_what_became_rarer_is_shown_by_what_it_was():
    chance = np.random.default_rng(0)
    before = vectors(chance, np.repeat([0, 1, 2, 3], 100))
    now = vectors(chance, np.repeat([0, 1, 2], 130))
    drift = measure_drift(sample(before), sample(now, "new"))
    gone = min(drift.groups, key=lambda each: each.now - each.before)
    assert gone.now < 0.02
    assert all(300 <= int(unit.removeprefix("document ")) for unit in gone.units)


def grouped(chance, accounts, side):
    """Three vectors an account, all of the account's own kind."""
    kinds = chance.normal(size=(accounts, 8))
    near = np.repeat(kinds, 3, axis=0) + chance.normal(0, 0.05, (3 * accounts, 8))
    units = np.repeat([f"{side} {n}" for n in range(accounts)], 3).tolist()
    return Sample(units, near.astype(np.float32))


def test_vectors_of_one_account_are_no_independent_evidence():
    whole = p_values(100, lambda c: (grouped(c, 30, "a"), grouped(c, 30, "b")))
    assert (whole <= 0.05).mean() <= 0.11
    alone = p_values(
        100,
        lambda c: (sample(grouped(c, 30, "a").vectors), sample(grouped(c, 30, "b").vectors, "b")),
    )
    assert (alone <= 0.05).mean() > 0.2


def test_accounts_on_both_sides_are_compared_with_themselves():
    chance = np.random.default_rng(0)
    kinds = chance.normal(size=(60, 8))
    moved = kinds + np.eye(8)[0]
    before, now = (sample(each.astype(np.float32)) for each in (kinds, moved))
    assert measure_drift(before, now).p_value <= 0.005
    same = sample((kinds + chance.normal(0, 0.1, kinds.shape)).astype(np.float32))
    assert measure_drift(before, same).p_value > 0.05


def test_the_same_vectors_give_the_same_answer_in_any_order():
    chance = np.random.default_rng(0)
    before, now = sample(draw(chance)), sample(draw(chance), "new")
    order = chance.permutation(100)
    mixed = Sample([now.units[n] for n in order], now.vectors[order])
    assert measure_drift(before, now) == measure_drift(before, mixed)


def test_no_data_and_few_units_are_said_and_nothing_is_judged():
    chance = np.random.default_rng(0)
    usual, nothing = sample(draw(chance)), sample(np.empty((0, 8), np.float32))
    assert measure_drift(usual, nothing).reason == "no data in the window"
    assert measure_drift(nothing, usual).reason == "no data before the window"
    one = measure_drift(usual, sample(draw(chance, 1), "new"))
    assert (one.p_value, one.effect, one.groups) == (None, None, ())
    assert "100 before and 1 now" in one.reason
    few = Sample(["one document"] * 500, draw(chance, 500))
    assert str(FEWEST_UNITS) in measure_drift(usual, few).reason


def test_equal_vectors_have_not_moved():
    same = np.ones((50, 8), np.float32)
    drift = measure_drift(sample(same), sample(same, "new"))
    assert (drift.p_value, drift.effect, drift.groups) == (1.0, 0.0, ())


def test_vectors_that_are_not_finite_are_left_out_and_counted():
    chance = np.random.default_rng(0)
    broken = draw(chance)
    broken[:3, 0] = np.nan
    broken[3, 1] = np.inf
    drift = measure_drift(sample(draw(chance)), sample(broken, "new"))
    assert (drift.left_out, drift.window) == (4, 96)
    assert drift.p_value is not None


def test_vectors_of_two_dimensions_are_refused():
    with pytest.raises(ValueError, match="8 and of 4"):
        measure_drift(sample(draw(np.random.default_rng(0))), sample(np.ones((50, 4), np.float32)))
