"""How good a model is where nobody has judged anything: halves of one text must find each other."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.embedding.store import VectorStore
from embedding_assets.quality.encoded import encoded
from embedding_assets.quality.pairs import Pairs
from embedding_assets.quality.retrieval import Score, Values

_QUERIES_AT_ONCE = 1_024
_ANSWERS_AT_ONCE = 8_192
_ROUNDING = 1e-6
"""Cosines that differ by less are equal: the same vectors multiplied in other blocks."""


@dataclass(frozen=True)
class SelfRetrieval:
    """Where each first half finds its own second half among all second halves.

    reciprocal_ranks: float64 [n], 1 / rank by cosine, for `retrieval.compare` with another
    model's on the same pairs. Among equal cosines the own half is the last, so that a model whose
    vectors are all alike finds nothing.
    """

    reciprocal_ranks: Values

    @classmethod
    def of_vectors(cls, queries: Vectors, answers: Vectors) -> "SelfRetrieval":
        """The result for vectors that are at hand: float32 [n, d] each, unit length, in one order.

        Exact; memory beyond the inputs does not grow with n.
        """
        if queries.shape != answers.shape:
            raise ValueError(f"queries of shape {queries.shape} but answers of {answers.shape}")
        return cls(np.concatenate([np.empty(0), *_reciprocal_ranks(queries, answers)]))

    @property
    def mrr(self) -> float:
        """The mean reciprocal rank; nan without any pair."""
        return float(self.reciprocal_ranks.mean()) if len(self) else float("nan")

    @property
    def recall_at_1(self) -> float:
        """The share of first halves that find their own before all others; nan without any."""
        return self._recall(1)

    @property
    def recall_at_10(self) -> float:
        """The share of first halves with their own among the best ten; nan without any."""
        return self._recall(10)

    @property
    def score(self) -> Score:
        """The mean reciprocal rank with its 95 % bootstrap interval.

        Raises ValueError without any pair.
        """
        return Score.of(self.reciprocal_ranks)

    def __len__(self) -> int:
        return len(self.reciprocal_ranks)

    def _recall(self, k: int) -> float:
        found = self.reciprocal_ranks * k >= 1 - _ROUNDING
        return float(found.mean()) if len(self) else float("nan")


def self_retrieval(
    pairs: Pairs, encoder: Encoder, store: VectorStore | None = None
) -> SelfRetrieval:
    """How well `encoder` finds the other half of each pair.

    store: where vectors are taken from and kept, so that nothing is computed twice.
    """
    return SelfRetrieval.of_vectors(
        encoded(pairs.queries, encoder, store), encoded(pairs.answers, encoder, store)
    )


def _reciprocal_ranks(queries: Vectors, answers: Vectors) -> Iterator[Values]:
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        rows = np.arange(start, min(start + _QUERIES_AT_ONCE, len(queries)))
        asked = np.asarray(queries[rows])
        own = np.einsum("nd,nd->n", asked, np.asarray(answers[rows]))
        before = np.zeros(len(rows), dtype=np.int64)
        for first in range(0, len(answers), _ANSWERS_AT_ONCE):
            block = np.asarray(answers[first : first + _ANSWERS_AT_ONCE])
            is_before = asked @ block.T >= own[:, None] - _ROUNDING
            inside = (rows >= first) & (rows < first + len(block))
            is_before[inside, rows[inside] - first] = False
            before += is_before.sum(axis=1)
        yield 1.0 / (1 + before)
