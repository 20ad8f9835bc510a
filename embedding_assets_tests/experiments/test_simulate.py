from dataclasses import replace

import numpy as np
import pytest

from embedding_assets.experiments.decision import judge
from embedding_assets.experiments.samples import Sample
from embedding_assets.experiments.sequences import Mixture, lifts
from embedding_assets.experiments.simulate import Scenario, draw, simulate, winners_of

SMALL = Scenario(experiments=400, units=20_000, peeks=40)


@pytest.mark.parametrize(
    "scenario",
    [
        replace(SMALL, rate=0.01),
        SMALL,
        replace(SMALL, rate=0.3, weights=(70, 30)),
        replace(SMALL, weights=(90, 10)),
        replace(SMALL, weights=(1, 1, 1)),
        replace(SMALL, kind="mean"),
        replace(SMALL, kind="mean", weights=(90, 10)),
        replace(SMALL, kind="mean", rate=0.5, weights=(1, 2, 3)),
    ],
    ids=str,
)
def test_where_nothing_differs_few_experiments_find_a_winner(scenario):
    found = simulate(scenario)
    assert found.always_valid <= 0.05
    assert found.repeated >= 0.1


def test_a_known_lift_is_found_and_sooner_where_it_is_larger():
    small, large = (simulate(replace(SMALL, lift=lift)) for lift in (0.25, 0.5))
    assert small.right >= 0.6
    assert large.right >= 0.99
    assert large.units_at_decision < small.units_at_decision


def test_a_loss_is_found_too_and_the_control_stays():
    scenario = replace(SMALL, lift=-0.5)
    found = simulate(scenario)
    assert (found.always_valid, found.right) == (1.0, 0.0)
    assert set(winners_of(scenario, draw(scenario))[:, -1]) == {0}


def test_the_same_seed_gives_the_same_and_another_does_not():
    assert simulate(SMALL) == simulate(SMALL)
    assert simulate(SMALL).repeated_by_look != simulate(replace(SMALL, seed=3)).repeated_by_look


def test_shares_by_look_never_fall_and_end_at_the_total():
    found = simulate(replace(SMALL, lift=0.2))
    for shares, total in [
        (found.always_valid_by_look, found.always_valid),
        (found.repeated_by_look, found.repeated),
    ]:
        assert (sorted(shares), shares[-1]) == (list(shares), total)
    assert found.units_by_look[0] == 500


@pytest.mark.parametrize(
    "scenario",
    [
        replace(SMALL, lift=0.3, experiments=8),
        replace(SMALL, lift=1.5, rate=0.3, experiments=8),
        replace(SMALL, lift=-0.3, rate=0.01, experiments=8),
        replace(SMALL, lift=0.4, weights=(2, 1, 1), experiments=8),
        replace(SMALL, lift=-0.6, weights=(2, 1), kind="mean", rate=0.3, experiments=8),
    ],
    ids=str,
)
def test_winners_are_those_of_the_decision(scenario):
    looks = draw(scenario)
    winners = winners_of(scenario, looks)
    plan, seen = scenario.plan, set()
    for experiment, look in np.ndindex(winners.shape):
        at = (experiment, look)
        samples = {
            f"v{number}": Sample.of_sums(
                *(part[at][number] for part in (looks.n, looks.totals, looks.squares, looks.events))
            )
            for number in range(len(scenario.weights))
        }
        found = judge(plan, {"value": samples}, {}, 0.0).winner
        assert found == (None if winners[at] < 0 else f"v{winners[at]}")
        seen.add(found)
    assert len(seen) > 1


def test_the_true_lift_is_seldom_outside_of_any_interval():
    looks = draw(replace(SMALL, lift=0.3, weights=(70, 30)))
    found = lifts(looks.arm(0), looks.arm(1), Mixture.tuned(0.05, 10_000))
    is_outside = (found.low > 0.3) | (found.high < 0.3)
    assert is_outside.any(axis=1).mean() <= 0.05
    assert np.isfinite(found.low[:, -1]).all()
