"""How good rankings are against judgements, and how sure that is with so few queries."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Values: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Judgements: TypeAlias = Mapping[int, int]
"""Row and grade of each judged document of a query; grades above 0 are relevant."""

SURE = 0.95
_RESAMPLES = 10_000
_DRAWN_AT_ONCE = 4_000_000


def ndcg(ranked: Sequence[Rows], judged: Sequence[Judgements], k: int) -> Values:
    """float64 [n]: nDCG@k of each query, 0 for one without a relevant document.

    The gain is the grade itself and the discount log2(rank + 1), as in trec_eval's `ndcg_cut`
    (Järvelin and Kekäläinen 2002). ranked: rows of each query, unique, best first.
    """
    best = [np.array(sorted(grades.values(), reverse=True)[:k]) for grades in judged]
    reached = [_gains(rows[:k], grades) for rows, grades in zip(ranked, judged, strict=True)]
    return np.array(
        [
            _discounted(one) / (_discounted(other) or 1.0)
            for one, other in zip(reached, best, strict=True)
        ]
    )


def reciprocal_rank(ranked: Sequence[Rows], judged: Sequence[Judgements], k: int) -> Values:
    """float64 [n]: 1 / rank of the first relevant document among the best k, 0 without one."""
    return np.array(
        [_first(_gains(rows[:k], grades)) for rows, grades in zip(ranked, judged, strict=True)]
    )


def recall(ranked: Sequence[Rows], judged: Sequence[Judgements], k: int) -> Values:
    """float64 [n]: the share of the relevant documents that are among the best k."""
    found = [
        np.count_nonzero(_gains(rows[:k], grades))
        for rows, grades in zip(ranked, judged, strict=True)
    ]
    relevant = [sum(grade > 0 for grade in grades.values()) for grades in judged]
    return np.array(found, dtype=np.float64) / np.maximum(relevant, 1)


METRICS: dict[str, Callable[[Sequence[Rows], Sequence[Judgements]], Values]] = {
    "ndcg@10": lambda ranked, judged: ndcg(ranked, judged, 10),
    "mrr@10": lambda ranked, judged: reciprocal_rank(ranked, judged, 10),
    "recall@10": lambda ranked, judged: recall(ranked, judged, 10),
    "recall@100": lambda ranked, judged: recall(ranked, judged, 100),
}


@dataclass(frozen=True)
class Score:
    """A mean over queries with the interval in which 95 % of resampled means lie."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Values) -> "Score":
        """The mean of `values`, one per query, with its percentile bootstrap interval."""
        return cls(float(values.mean()), *_interval(bootstrap(values)))


@dataclass(frozen=True)
class Comparison:
    """One system against another on the same queries.

    difference: of the means, above 0 when the first is better; low, high: its 95 % interval.
    chance_worse: the share of resampled query sets on which the first is worse, ties by half.
    """

    one: str
    other: str
    difference: float
    low: float
    high: float
    chance_worse: float

    @property
    def is_worse(self) -> bool:
        """Whether the first system is worse than the second beyond what chance explains."""
        return self.chance_worse >= SURE


def compare(one: str, values: Values, other: str, others: Values) -> Comparison:
    """The system called `one` against `other` by a paired bootstrap (Sakai 2006), one-sided.

    values, others: float64 [n], the same queries in the same order.
    """
    means = bootstrap(values - others)
    worse = float(np.mean(means < 0) + np.mean(means == 0) / 2)
    return Comparison(one, other, float((values - others).mean()), *_interval(means), worse)


def bootstrap(values: Values) -> Values:
    """float64 [10,000]: means of `values` over queries drawn with replacement; always the same.

    Raises ValueError without a value.
    """
    return np.concatenate([values[drawn].mean(axis=1) for drawn in _draws(len(values))])


def _draws(n: int) -> Iterator[npt.NDArray[np.int64]]:
    """10,000 rows of n positions in blocks that bound memory."""
    chance = np.random.default_rng(0)
    step = max(1, _DRAWN_AT_ONCE // n) if n else 1
    for start in range(0, _RESAMPLES, step):
        yield chance.integers(0, n, size=(min(step, _RESAMPLES - start), n))


def _interval(means: Values) -> tuple[float, float]:
    edge = 100 * (1 - SURE) / 2
    low, high = np.percentile(means, [edge, 100 - edge])
    return float(low), float(high)


def _gains(rows: Rows, grades: Judgements) -> Values:
    return np.array([max(0, grades.get(row, 0)) for row in rows.tolist()], dtype=np.float64)


def _discounted(gains: npt.NDArray[np.floating | np.integer]) -> float:
    return float((np.maximum(gains, 0) / np.log2(np.arange(len(gains)) + 2)).sum())


def _first(gains: Values) -> float:
    hits = np.flatnonzero(gains)
    return 1.0 / (int(hits[0]) + 1) if len(hits) else 0.0
