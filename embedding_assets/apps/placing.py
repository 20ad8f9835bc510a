"""Two ways to a vector for an app that has none: a projection of its text, and the mean of apps
that share metadata with it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from embedding_assets.apps.metadata import AppQuery, Metadata
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError
from embedding_assets.search.cells import Rows
from embedding_assets.search.vectors import BLOCK

_NEGLIGIBLE = 1e-4
"""Of the largest weight: neighbours below play no part."""


class Weights(NamedTuple):
    """How much a shared category, a shared platform and a shared name count for."""

    category: float
    platform: float
    name: float

    def closeness(self, parts: Vectors) -> Vectors:
        """float32 [...]: the weighted sum of what is shared, for parts float32 [3, ...]."""
        summed: Vectors = np.tensordot(np.array(self, dtype=np.float32), parts, axes=1)
        return summed


@dataclass(frozen=True)
class Projection:
    """A linear map from text vectors to app vectors.

    slope: float32 [t, d]. offset: float32 [d].
    """

    slope: Vectors
    offset: Vectors

    def apply(self, texts: Vectors) -> Vectors:
        """float32 [n, d], unit length, for text vectors float32 [n, t]."""
        return unit(texts @ self.slope + self.offset)


@dataclass(frozen=True)
class Known:
    """n apps with their vectors.

    vectors: float32 [n, d], unit length; may be a memory map. metadata: of the same rows.
    """

    vectors: Vectors
    metadata: Metadata

    def take(self, rows: Rows) -> "Known":
        """The apps in some rows."""
        return Known(np.asarray(self.vectors[rows]), self.metadata.take(rows))

    def by_neighbours(self, app: AppQuery, weights: Weights) -> Vectors:
        """float32 [d], unit length: the mean of all apps, weighted by the exponential of what they
        share with `app`.

        Raises InputError when no app shares anything with it.
        """
        parts = self.metadata.parts(app)
        if not parts.any():
            known = ", ".join(sorted(self.metadata.categories.values)[:10])
            raise InputError(
                f"No app shares a category, a platform or a word of the name with {app.text!r}.",
                f"Categories are for example {known}." if known else "Load apps with metadata.",
            )
        closeness = weights.closeness(parts)
        shares = np.exp(closeness - closeness.max())
        rows = np.flatnonzero(shares > _NEGLIGIBLE)
        mean: Vectors = unit(_weighted_sum(self.vectors, rows, shares[rows])[None])[0]
        return mean


def project(texts: Vectors, vectors: Vectors, penalties: Iterable[float]) -> list[Projection]:
    """The ridge regression (Hoerl and Kennard 1970) of `vectors` on `texts` for each penalty, by
    one decomposition.

    texts: float32 [n, t]; vectors: float32 [n, d]. The intercept is not penalized.
    """
    middle, target = texts.mean(axis=0), vectors.mean(axis=0)
    centred = (texts - middle).astype(np.float64)
    squares, axes = np.linalg.eigh(centred.T @ centred)
    turned = axes.T @ (centred.T @ (vectors - target))
    found = []
    for penalty in penalties:
        slope = axes @ (turned / (squares.clip(0.0) + penalty)[:, None])
        offset = target - middle @ slope
        found.append(Projection(slope.astype(np.float32), offset.astype(np.float32)))
    return found


def unit(vectors: Vectors) -> Vectors:
    """float32 [n, d]: each vector with length 1; one without direction stays 0."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    turned: Vectors = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return turned


def _weighted_sum(vectors: Vectors, rows: Rows, shares: Vectors) -> Vectors:
    """float32 [d]: the sum of some vectors; in steps, so that no threads are asked for."""
    step = max(1, BLOCK // vectors.shape[1])
    total = np.zeros(vectors.shape[1], dtype=np.float32)
    for start in range(0, len(rows), step):
        total += shares[start : start + step] @ vectors[rows[start : start + step]]
    return total
