"""How much of what is near in one model is near in another."""

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.exact import nearest_others

SAMPLE = 1_000


def neighbour_overlap(
    vectors: Vectors, others: Vectors, k: int = 10, sample: int = SAMPLE
) -> float:
    """The mean share of a text's `k` nearest others by one model that are among those by another.

    vectors, others: float32 [n, d] and [n, e], unit length, the same texts in the same order; may
    be memory maps. Exact neighbours of at most `sample` texts, always the same; 1 for models that
    agree, about k / n for models that have nothing in common, nan with fewer than two texts.
    """
    if len(vectors) != len(others):
        raise ValueError(f"{len(vectors)} vectors but {len(others)} of the other model")
    if len(vectors) < 2:
        return float("nan")
    count = min(sample, len(vectors))
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), count, replace=False))
    one, other = (nearest_others(rows, each, k).rows for each in (vectors, others))
    shared = [
        len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(one, other, strict=True)
    ]
    return float(np.mean(shared) / one.shape[1])
