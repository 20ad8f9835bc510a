"""The figures of a model of performance, as cross-validation found them."""

from dataclasses import dataclass, field, fields
from typing import Any

ALPHA = 0.05
"""The risk that is taken of seeing a signal where there is none."""
LEVEL = 0.9
"""The share of apps whose rates the intervals are made to hold."""
BEST = "best"


@dataclass(frozen=True)
class Score:
    """How far expected rates are off. rmse, mae: from the shrunk rates of the apps; log_loss: of
    their clicks, per app (beta-binomial)."""

    rmse: float
    mae: float
    log_loss: float


@dataclass(frozen=True)
class Evaluation:
    """What cross-validation says of a model; None where there were too few apps for it.

    apps: those with impressions. scores: of each family of candidates, with its setting chosen
    within each training part, and of the `best`, with its family so chosen too.
    p_value: of the best being no better than the mean; p_value_neighbours: than the neighbours.
    rank_correlation: of the best one's rates with the shrunk ones (Spearman); None also where
    either are all equal.
    coverage: of the intervals, made without the apps that they are tried on, of what is used: the
    best where there is a signal, else the mean. width: mean width of these intervals.
    """

    apps: int
    folds: int = 0
    scores: dict[str, Score] = field(default_factory=dict)
    p_value: float | None = None
    p_value_neighbours: float | None = None
    alpha: float = ALPHA
    rank_correlation: float | None = None
    level: float = LEVEL
    coverage: float | None = None
    width: float | None = None

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Evaluation":
        """The evaluation that `dataclasses.asdict` made a dict of."""
        scores = {name: Score(**each) for name, each in values["scores"].items()}
        return cls(**(values | {"scores": scores}))

    def figures(self) -> dict[str, float]:
        """What is known, flat: `rmse_ridge`, `coverage`, …"""
        flat = {
            f"{figure}_{name}": value
            for name, score in self.scores.items()
            for figure, value in vars(score).items()
        }
        single = {each.name: getattr(self, each.name) for each in fields(self)}
        del single["scores"]
        return flat | {name: value for name, value in single.items() if value is not None}
