"""Exact nearest neighbours by cosine, block by block: the truth that any index is measured by."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors

_QUERY_ROWS = 1_024
_VECTOR_ROWS = 8_192


@dataclass(frozen=True)
class Neighbours:
    """The nearest vectors of n queries, best first.

    rows: int64 [n, k], positions of the neighbours; scores: float32 [n, k], cosines.
    """

    rows: npt.NDArray[np.int64]
    scores: Vectors


def nearest(queries: Vectors, vectors: Vectors, top: int) -> Neighbours:
    """The `top` vectors with the highest cosine to each query; among equal ones at the
    edge the choice is arbitrary but reproducible.

    queries: float32 [n, d]; vectors: float32 [m, d]; both unit length. k is at most m.
    Memory beyond the inputs is bounded by the block size, whatever m is.
    """
    k = min(top, len(vectors))
    rows = np.empty((len(queries), 0), dtype=np.int64)
    scores = np.empty((len(queries), 0), dtype=np.float32)
    for start in range(0, len(vectors), _VECTOR_ROWS):
        block = queries @ np.asarray(vectors[start : start + _VECTOR_ROWS]).T
        best = _best(block, k)
        rows = np.concatenate([rows, best + start], axis=1)
        scores = np.concatenate([scores, np.take_along_axis(block, best, axis=1)], axis=1)
        kept = np.lexsort((rows, -scores), axis=1)[:, :k]
        rows = np.take_along_axis(rows, kept, axis=1)
        scores = np.take_along_axis(scores, kept, axis=1)
    return Neighbours(rows, scores)


def nearest_of_each(vectors: Vectors, top: int) -> Iterator[tuple[int, Neighbours]]:
    """For each vector its `top` nearest others, in blocks: (first row of the block, neighbours).

    vectors: float32 [n, d], unit length; may be a memory map. k is at most n - 1.
    """
    for start in range(0, len(vectors), _QUERY_ROWS):
        rows = np.arange(start, min(start + _QUERY_ROWS, len(vectors)))
        yield start, nearest_others(rows, vectors, top)


def nearest_others(rows: npt.NDArray[np.int64], vectors: Vectors, top: int) -> Neighbours:
    """The `top` nearest others of the vectors in `rows`; k is at most n - 1."""
    k = min(top, len(vectors) - 1)
    found = nearest(np.asarray(vectors[rows]), vectors, k + 1)
    return _without_self(found, rows, k)


def _best(block: Vectors, k: int) -> npt.NDArray[np.int64]:
    if block.shape[1] <= k:
        return np.broadcast_to(np.arange(block.shape[1]), block.shape)
    return np.argpartition(block, -k, axis=1)[:, -k:]


def _without_self(found: Neighbours, rows: npt.NDArray[np.int64], k: int) -> Neighbours:
    """Drop each query's own row; when equal vectors have pushed it out, drop the last instead."""
    own = found.rows == rows[:, None]
    own[~own.any(axis=1), -1] = True
    shape = (len(found.rows), k)
    return Neighbours(found.rows[~own].reshape(shape), found.scores[~own].reshape(shape))
