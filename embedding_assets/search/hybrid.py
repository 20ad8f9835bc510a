"""One ranking from a semantic and a keyword search."""

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors

DEPTH = 100
"""How many rows of each search are to be fused."""

Rows = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


def fuse(
    semantic_rows: Rows,
    semantic_scores: Scores,
    keyword_rows: Rows,
    keyword_scores: Scores,
    k: int,
    *,
    unrelated: float = 0.0,
) -> tuple[Rows, Scores]:
    """The best `k` rows of two searches, best first, equal ones by row: rows and scores 0 to 1.

    A score is the mean of both, each scaled by its best one: a convex combination with theoretical
    minima (Bruch et al. 2023, An Analysis of Fusion Functions for Hybrid Retrieval). BM25 begins at
    0, where a row is that no keyword finds; cosines begin at `unrelated`, and a row that only
    keywords found has the lowest one listed.

    semantic_rows, keyword_rows: int64, unique, best first, `DEPTH` of each where there are so many.
    unrelated: the cosine of the query and a row that has nothing to do with it, which each model
    puts elsewhere; see `unrelated_cosine`.
    """
    rows, places = np.unique(np.concatenate((semantic_rows, keyword_rows)), return_inverse=True)
    semantic, keyword = places[: len(semantic_rows)], places[len(semantic_rows) :]
    scores = np.zeros(len(rows), dtype=np.float32)
    if len(semantic_rows):
        lowest = float(semantic_scores.min())
        cosines = np.full(len(rows), lowest, dtype=np.float32)
        cosines[semantic] = semantic_scores
        scores += _scaled(cosines, min(unrelated, lowest)) / 2
    scores[keyword] += _scaled(keyword_scores, 0.0) / 2
    order = np.argsort(-scores, kind="stable")[:k]
    return rows[order], scores[order]


def unrelated_cosine(query: Vectors, mean: Vectors) -> float:
    """The mean cosine of a query and all rows, most of which have nothing to do with it.

    query: float32 [d], unit length; mean: float32 [d], the mean of the rows' unit vectors.
    """
    return float(query @ mean)


def _scaled(scores: Scores, floor: float) -> Scores:
    best = float(scores.max(initial=floor))
    if best == floor:
        return np.ones_like(scores)
    return (scores - np.float32(floor)) / np.float32(best - floor)
