"""Keyword, semantic and hybrid search judged on a labelled collection."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.embedding.store import VectorStore
from embedding_assets.quality.collections import Collection
from embedding_assets.quality.encoded import encoded
from embedding_assets.quality.retrieval import (
    METRICS,
    Comparison,
    Judgements,
    Rows,
    Score,
    Values,
    compare,
)
from embedding_assets.search.exact import nearest
from embedding_assets.search.hybrid import DEPTH, fuse, unrelated_cosine
from embedding_assets.search.keyword import KeywordIndex

MODES = ("keyword", "semantic", "hybrid")
JUDGED_BY = "ndcg@10"
"""The metric that modes are compared by."""
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class Evaluation:
    """How well each mode of search answers the queries of a collection.

    documents: those with text. scores: by mode and metric. comparisons: by nDCG@10, hybrid first.
    seconds: by step; `keyword`, `semantic` and `hybrid` are what searching took for all queries,
    the hybrid one without the two searches that it joins.
    """

    collection: str
    documents: int
    queries: int
    fingerprint: str
    scores: dict[str, dict[str, Score]]
    comparisons: tuple[Comparison, ...]
    seconds: dict[str, float]

    @property
    def hybrid_is_worse(self) -> bool:
        """Whether hybrid search is worse than another mode beyond what chance explains."""
        return any(comparison.is_worse for comparison in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "hybrid_is_worse": self.hybrid_is_worse}

    def to_table(self) -> list[tuple[str, ...]]:
        """One line per mode under a line of headings, for people: means with their intervals."""
        lines = [("mode", *METRICS)]
        for mode, scores in self.scores.items():
            lines.append((mode, *(_shown(score) for score in scores.values())))
        return lines


def evaluate(
    collection: Collection, encoder: Encoder, store: VectorStore | None = None
) -> Evaluation:
    """All three modes over `collection`, as the document index searches: exact, 100 rows deep.

    Whole documents are embedded, long ones in windows that are pooled; documents without text are
    in no index and cannot be found. store: where vectors are taken from and kept, so that nothing
    is computed twice.
    """
    steps = _Steps()
    texts, queries, values = _judged(collection, encoder, store, steps)
    return Evaluation(
        collection.name,
        texts,
        queries,
        encoder.fingerprint,
        {
            mode: {name: Score.of(one) for name, one in each.items()}
            for mode, each in values.items()
        },
        _comparisons({mode: each[JUDGED_BY] for mode, each in values.items()}),
        steps.seconds,
    )


def judged_queries(
    collection: Collection, encoder: Encoder, store: VectorStore | None = None
) -> dict[str, Values]:
    """float64 [n] by mode: nDCG@10 of each query as `evaluate` judges it, for `retrieval.compare`
    with another model's on the same collection."""
    *_, values = _judged(collection, encoder, store, _Steps())
    return {mode: each[JUDGED_BY] for mode, each in values.items()}


def _judged(
    collection: Collection, encoder: Encoder, store: VectorStore | None, steps: "_Steps"
) -> tuple[int, int, dict[str, dict[str, Values]]]:
    """The documents, the queries, and each query's value by mode and metric."""
    ids = [name for name, text in collection.documents.items() if text.strip()]
    texts = [collection.documents[name] for name in ids]
    queries = [*collection.queries.values()]
    with steps.timed("encode_documents"):
        vectors = encoded(texts, encoder, store)
    with steps.timed("encode_queries"):
        asked = encoded(queries, encoder)
    with steps.timed("index_keywords"):
        keywords = KeywordIndex.build(texts)
    ranked = _ranked(queries, asked, vectors, keywords, steps)
    judged = _by_row(collection, ids)
    values = {
        mode: {name: metric(rows, judged) for name, metric in METRICS.items()}
        for mode, rows in ranked.items()
    }
    return len(texts), len(queries), values


@dataclass
class _Steps:
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = self.seconds.get(step, 0.0) + time.perf_counter() - start


def _ranked(
    queries: Sequence[str], asked: Vectors, vectors: Vectors, keywords: KeywordIndex, steps: _Steps
) -> dict[str, list[Rows]]:
    """The best rows of each query by mode."""
    ranked: dict[str, list[Rows]] = {mode: [] for mode in MODES}
    mean = vectors.mean(axis=0)
    for start in range(0, len(queries), _QUERIES_AT_ONCE):
        some = slice(start, start + _QUERIES_AT_ONCE)
        with steps.timed("keyword"):
            said = [keywords.search(query, DEPTH) for query in queries[some]]
        with steps.timed("semantic"):
            near = nearest(asked[some], vectors, DEPTH)
        with steps.timed("hybrid"):
            both = [
                fuse(rows, scores, *found, DEPTH, unrelated=unrelated_cosine(query, mean))
                for rows, scores, found, query in zip(
                    near.rows, near.scores, said, asked[some], strict=True
                )
            ]
        ranked["keyword"] += [rows for rows, _ in said]
        ranked["semantic"] += [*near.rows]
        ranked["hybrid"] += [rows for rows, _ in both]
    return ranked


def _by_row(collection: Collection, ids: list[str]) -> list[Judgements]:
    """The judgements of each query by row; a document without a row keeps its grade, as one that
    ought to be found, under a row that no search gives."""
    rows = {name: row for row, name in enumerate(ids)}
    missing = (name for name in collection.documents if name not in rows)
    rows.update({name: -place for place, name in enumerate(missing, 1)})
    return [
        {rows[name]: grade for name, grade in collection.judgements[query].items()}
        for query in collection.queries
    ]


def _comparisons(values: dict[str, Values]) -> tuple[Comparison, ...]:
    pairs = (("hybrid", "keyword"), ("hybrid", "semantic"), ("semantic", "keyword"))
    return tuple(compare(one, values[one], other, values[other]) for one, other in pairs)


def _shown(score: Score) -> str:
    return f"{score.mean:.3f} ({score.low:.3f} to {score.high:.3f})"
