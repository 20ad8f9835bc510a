"""The experiments that show whether the method holds, and what it can find."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from embedding_assets.experiments.simulate import Scenario, Simulated, simulate

LIFTS = (0.1, 0.2, 0.3)
"""What the variants are better by, if nobody says."""

_SAME = (
    Scenario("1 % convert", rate=0.01),
    Scenario("5 % convert", rate=0.05),
    Scenario("30 % convert", rate=0.3),
    Scenario("5 % convert, split 70/30", weights=(70, 30)),
    Scenario("5 % convert, split 90/10", weights=(90, 10)),
    Scenario("5 % convert, 3 variants", weights=(1, 1, 1)),
    Scenario("revenue", kind="mean"),
    Scenario("revenue, split 70/30", kind="mean", weights=(70, 30)),
    Scenario("revenue, split 90/10", kind="mean", weights=(90, 10)),
    Scenario("revenue, 3 variants", kind="mean", weights=(1, 1, 1)),
)
_DIFFERENT = (
    Scenario("5 % convert", rate=0.05),
    Scenario("30 % convert", rate=0.3),
    Scenario("5 % convert, split 70/30", weights=(70, 30)),
    Scenario("5 % convert, 3 variants", weights=(1, 1, 1)),
    Scenario("revenue", kind="mean"),
)


@dataclass(frozen=True)
class Simulation:
    """What came of experiments without a difference, and of such with one."""

    same: tuple[Simulated, ...]
    different: tuple[Simulated, ...]


def simulate_all(experiments: int = 1_000, lifts: Iterable[float] = LIFTS) -> Simulation:
    """Simulate each scenario so many times: A/A, and A/B with each of the lifts."""
    same = (replace(one, experiments=experiments) for one in _SAME)
    better = (
        replace(one, experiments=experiments, lift=lift, seed=1)
        for one in _DIFFERENT
        for lift in lifts
        if lift != 0
    )
    return Simulation(tuple(map(simulate, same)), tuple(map(simulate, better)))
