"""Groups of near vectors, found without looking at which of them are new."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.quality.drift_exchange import Flags, Rows

_ROUNDS = 12


@dataclass(frozen=True)
class Groups:
    """A group for each of n points. labels: int64 [n]; centres: float32 [k, d]."""

    labels: Rows
    centres: Vectors

    @property
    def count(self) -> int:
        """How many groups there are, empty ones included."""
        return len(self.centres)

    def nearest(
        self, points: Vectors, number: int, among: Flags, names: Sequence[str], most: int
    ) -> list[int]:
        """The rows of at most `most` points of a group that are nearest to its middle, no name
        twice. among: bool [n]."""
        rows = np.flatnonzero((self.labels == number) & among)
        distances = np.square(points[rows] - self.centres[number]).sum(axis=1)
        chosen: dict[str, int] = {}
        for row in rows[np.argsort(distances, kind="stable")].tolist():
            chosen.setdefault(names[row], row)
            if len(chosen) == most:
                break
        return [*chosen.values()]


def group(points: Vectors, count: int, chance: np.random.Generator) -> Groups:
    """`count` groups by k-means (Lloyd 1982), begun as k-means++ does (Arthur and Vassilvitskii
    2007). points: float32 [n, d]."""
    centres = _spread_out(points, count, chance)
    labels = _nearest(points, centres)
    for _ in range(_ROUNDS):
        member = np.zeros((count, len(points)), dtype=np.float32)
        member[labels, np.arange(len(points))] = 1.0
        sizes = member.sum(axis=1, keepdims=True)
        centres = np.where(sizes > 0, member @ points / np.maximum(sizes, 1.0), centres)
        before, labels = labels, _nearest(points, centres)
        if np.array_equal(before, labels):
            break
    return Groups(labels, centres)


def _spread_out(points: Vectors, count: int, chance: np.random.Generator) -> Vectors:
    chosen = [int(chance.integers(len(points)))]
    distances = _squares(points, points[chosen[0]])
    for _ in range(count - 1):
        total = float(distances.sum())
        even = np.full(len(points), 1 / len(points))
        chosen.append(int(chance.choice(len(points), p=distances / total if total > 0 else even)))
        distances = np.minimum(distances, _squares(points, points[chosen[-1]]))
    return points[chosen]


def _squares(points: Vectors, centre: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    return np.asarray(np.square((points - centre).astype(np.float64)).sum(axis=1))


def _nearest(points: Vectors, centres: Vectors) -> Rows:
    scores = points @ centres.T - np.square(centres).sum(axis=1) / 2.0
    return np.asarray(scores.argmax(axis=1), dtype=np.int64)
