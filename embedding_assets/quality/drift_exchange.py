"""Labels exchanged by chance, and how extreme what was observed is among them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors

Values: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
Flags: TypeAlias = npt.NDArray[np.bool_]

_AT_ONCE = 256
ROUNDING = 1e-7
"""Differences of values below this are none."""


@dataclass(frozen=True)
class Exchange:
    """The observed sides of c cells in row 0, and exchanged ones below.

    weights: float32 [1 + permutations, c]; a row gives the mean of one side minus that of the
    other, less what this is in the mean over all exchanges. That is not nothing where units stand
    on both sides and the sides are of different size: such a unit counts less on the larger one.
    """

    weights: npt.NDArray[np.float32]

    @classmethod
    def of(
        cls, is_now: Flags, unit: Rows, permutations: int, chance: np.random.Generator
    ) -> "Exchange":
        """Cells of units on one side swap with each other; the two of a unit on both sides swap
        between themselves. is_now: bool [c]; unit: int64 [c]."""
        order = np.argsort(unit, kind="stable")
        twice = np.flatnonzero(np.diff(unit[order]) == 0)
        first, second = order[twice], order[twice + 1]
        alone = np.setdiff1d(np.arange(len(unit)), np.concatenate([first, second]))
        sides = np.tile(is_now, (permutations + 1, 1))
        sides[1:, alone] = chance.permuted(sides[1:, alone], axis=1)
        flip = chance.random((permutations, len(first))) < 0.5
        sides[1:, first] ^= flip
        sides[1:, second] ^= flip
        now = int(is_now.sum())
        one, other = 1 / now, -1 / (len(unit) - now)
        weights = np.where(sides, np.float32(one), np.float32(other))
        expected = np.full(len(unit), (one + other) / 2)
        share = is_now[alone].mean() if len(alone) else 0.0
        expected[alone] = share * one + (1 - share) * other
        weights -= expected.astype(np.float32)
        return cls(weights)

    def differences(self, values: Vectors) -> Values:
        """float64 [1 + permutations, k]: the mean now minus the mean before, of float32 [c, k]."""
        return np.asarray(self.weights @ values, dtype=np.float64)

    def discrepancies(self, kernel: Vectors) -> Values:
        """float64 [1 + permutations]: the squared maximum mean discrepancy, of float32 [c, c]."""
        found = [
            np.einsum("bc,bc->b", some @ kernel, some)
            for start in range(0, len(self.weights), _AT_ONCE)
            for some in (self.weights[start : start + _AT_ONCE],)
        ]
        return np.concatenate(found).astype(np.float64)


def p_values(statistics: Values) -> Values:
    """float64 [n]: for each of n values the share that is at least as large, itself included;
    values that differ by rounding alone are equal."""
    ordered = np.sort(statistics)
    return 1.0 - np.searchsorted(ordered, statistics - ROUNDING, "left") / len(statistics)


def extreme(statistics: Sequence[Values]) -> float:
    """The p-value of the observed (first) values, when the most extreme statistic counts."""
    smallest = np.min([p_values(each) for each in statistics], axis=0)
    return float(p_values(-smallest)[0])
