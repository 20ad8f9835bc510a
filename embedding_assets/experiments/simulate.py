"""How often experiments find a winner, rightly or falsely, when they are peeked at."""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from embedding_assets.experiments.comparisons import mixture_of
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.experiments.sequences import MINIMUM_EVENTS, Arm, Floats, differences

Flags = npt.NDArray[np.bool_]

_SPREAD = 1.5


@dataclass(frozen=True)
class Scenario:
    """Experiments that are peeked at after every batch of units.

    weights: one per variant, the control first. lift: relative, of the last variant; the others are
    like the control. kind "rate": each unit converts with probability `rate`; "mean": that share of
    units buys, for amounts with a log-normal distribution (sigma 1.5, skewness 33), the lift is in
    the amounts.
    """

    name: str = ""
    kind: Literal["rate", "mean"] = "rate"
    rate: float = 0.05
    lift: float = 0.0
    weights: tuple[int, ...] = (1, 1)
    experiments: int = 1_000
    units: int = 40_000
    peeks: int = 50
    minimum_units: int = 500
    alpha: float = 0.05
    seed: int = 0

    @property
    def plan(self) -> ExperimentPlan:
        """The plan that these experiments follow."""
        variants = tuple(
            Variant(f"v{number}", weight) for number, weight in enumerate(self.weights)
        )
        return ExperimentPlan(
            id="simulated",
            variants=variants,
            metrics=(Metric("value", self.kind),),
            alpha=self.alpha,
            minimum_units=self.minimum_units,
            minimum_days=0.0,
        )


@dataclass(frozen=True)
class Looks:
    """What each experiment has seen at each look: float64 [experiments, looks, variants].

    totals, squares: sums of the units' values and of their squares; events: units with a value
    other than 0.
    """

    n: Floats
    totals: Floats
    squares: Floats
    events: Floats

    def arm(self, variant: int) -> Arm:
        """One variant at all looks."""
        n, total = self.n[..., variant], self.totals[..., variant]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = total / n
            variance = np.maximum(self.squares[..., variant] - total * mean, 0.0) / (n - 1)
        return Arm(n, mean, variance)


@dataclass(frozen=True)
class Simulated:
    """What the experiments of a scenario came to.

    All shares are of experiments. always_valid: with a winner at any look, by this package's rules;
    repeated: by a t-test at each look; single: by one t-test at the last look. right: by this
    package's rules, with the lifted variant as the winner. units_at_decision: mean over experiments
    with a winner, by this package's rules. always_valid_by_look, repeated_by_look: up to each look.
    """

    scenario: Scenario
    always_valid: float
    repeated: float
    single: float
    right: float
    units_at_decision: float | None
    units_by_look: tuple[int, ...]
    always_valid_by_look: tuple[float, ...]
    repeated_by_look: tuple[float, ...]


def simulate(scenario: Scenario) -> Simulated:
    """Run all experiments of a scenario at once, and judge each after every batch.

    The rules are those of `decision.judge` for one metric, no guard and no indifference margin.
    """
    looks = draw(scenario)
    winners = winners_of(scenario, looks)
    naive = _t_tests(scenario, looks)
    units = looks.n.sum(axis=2)
    decided = np.maximum.accumulate(winners >= 0, axis=1)
    found, first = decided[:, -1], (winners >= 0).argmax(axis=1)
    rows = np.arange(len(winners))
    is_right = found & (winners[rows, first] == len(scenario.weights) - 1)
    return Simulated(
        scenario=scenario,
        always_valid=float(found.mean()),
        repeated=float(naive.any(axis=1).mean()),
        single=float(naive[:, -1].mean()),
        right=float(is_right.mean()),
        units_at_decision=float(units[rows, first][found].mean()) if found.any() else None,
        units_by_look=tuple(int(count) for count in units.mean(axis=0)),
        always_valid_by_look=tuple(decided.mean(axis=0).tolist()),
        repeated_by_look=tuple(np.maximum.accumulate(naive, axis=1).mean(axis=0).tolist()),
    )


def draw(scenario: Scenario) -> Looks:
    """Random experiments: units are assigned one by one, and look like the scenario says."""
    rng = np.random.default_rng(scenario.seed)
    shape = (scenario.experiments, scenario.peeks)
    shares = np.array(scenario.weights) / sum(scenario.weights)
    n = rng.multinomial(scenario.units // scenario.peeks, shares, size=shape)
    factors = np.ones(len(shares))
    factors[-1] += scenario.lift
    if scenario.kind == "rate":
        events = rng.binomial(n, np.minimum(scenario.rate * factors, 1.0))
        totals, squares = events.astype(np.float64), events.astype(np.float64)
    else:
        events = rng.binomial(n, scenario.rate)
        totals, squares = _purchases(rng, events)
        totals, squares = totals * factors, squares * factors**2
    parts = (n.astype(np.float64), totals, squares, events.astype(np.float64))
    return Looks(*(part.cumsum(axis=1) for part in parts))


def winners_of(scenario: Scenario, looks: Looks) -> npt.NDArray[np.int64]:
    """The number of the winning variant at each look, -1 where there is none: int64 [e, looks]."""
    mixture, variants = mixture_of(scenario.plan, scenario.plan.primary), len(scenario.weights)
    better, worse = [], []
    for variant in range(1, variants):
        interval = differences(looks.arm(0), looks.arm(variant), mixture)
        may_be_judged = _has_events(scenario, looks, variant)
        better.append((interval.low > 0) & may_be_judged)
        worse.append((interval.high < 0) & may_be_judged)
    ready = (looks.n >= scenario.minimum_units).all(axis=2)
    means = np.stack([looks.arm(variant).mean for variant in range(1, variants)])
    best = np.where(better, means, -np.inf).argmax(axis=0) + 1
    winner = np.where(np.any(better, axis=0), best, np.where(np.all(worse, axis=0), 0, -1))
    return np.where(ready, winner, -1)


def _purchases(rng: np.random.Generator, buyers: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Sums of so many amounts, and of their squares."""
    amounts = rng.lognormal(0.0, _SPREAD, buyers.sum())
    cells = np.repeat(np.arange(buyers.size), buyers.ravel())
    totals = np.bincount(cells, amounts, buyers.size).astype(np.float64)
    squares = np.bincount(cells, amounts**2, buyers.size).astype(np.float64)
    return totals.reshape(buyers.shape), squares.reshape(buyers.shape)


def _has_events(scenario: Scenario, looks: Looks, variant: int) -> Flags:
    pair = [0, variant]
    units, events = looks.n[..., pair].sum(axis=2), looks.events[..., pair].sum(axis=2)
    if scenario.kind == "rate":
        events = np.minimum(events, units - events)
    return np.asarray(events * looks.n[..., pair].min(axis=2) / units >= MINIMUM_EVENTS)


def _t_tests(scenario: Scenario, looks: Looks) -> Flags:
    """Where a t-test that knows nothing of other looks names a winner, from minimum_units on."""
    others = len(scenario.weights) - 1
    limit = NormalDist().inv_cdf(1 - scenario.alpha / others / 2)
    control = looks.arm(0)
    scores = []
    for number in range(1, others + 1):
        arm = looks.arm(number)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(arm.variance / arm.n + control.variance / control.n)
            scores.append(np.nan_to_num((arm.mean - control.mean) / error))
    named = np.any(np.array(scores) > limit, axis=0) | np.all(np.array(scores) < -limit, axis=0)
    return np.asarray(named & (looks.n >= scenario.minimum_units).all(axis=2))
