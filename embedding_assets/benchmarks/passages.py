"""Passages with vectors and queries as hard to search as real ones, the same every time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.rows import row_schema

DIMENSION = 384
CATEGORIES = 100
_PASSAGES_PER_DOCUMENT = 10
_PASSAGES_PER_TOPIC = 500
_WORDS, _WORDS_OF_TOPIC, _WORDS_PER_PASSAGE = 50_000, 200, 60
_DECAY = 0.6
"""How fast directions lose weight. So chosen that cells find as much as among 100,000 sentences of
abstracts and recipes with the vectors of all-MiniLM-L6-v2, or a little less."""


@dataclass(frozen=True)
class Passages:
    """n passages, ten to a document, each document in one of 100 categories.

    vectors: float32 [n, 384]; categories: int64 [n].
    queries: words of a passage; query_vectors: float32 [q, 384], at a cosine of 0.7 to one.
    """

    texts: list[str]
    vectors: Vectors
    categories: np.ndarray
    queries: list[str]
    query_vectors: Vectors

    @property
    def doc_ids(self) -> list[str]:
        """The document of each passage."""
        return [f"d{row // _PASSAGES_PER_DOCUMENT:06}" for row in range(len(self.texts))]

    def batches(self, rows: int = 4_096) -> Iterator[pa.RecordBatch]:
        """The passages as an index is built from them."""
        schema, doc_ids = row_schema(DIMENSION), self.doc_ids
        for start in range(0, len(self.texts), rows):
            here = range(start, min(start + rows, len(self.texts)))
            columns = {
                "chunk_id": [f"c{row}" for row in here],
                "text": [self.texts[row] for row in here],
                "kind": ["paragraph"] * len(here),
                "pages": [[1 + row % 20] for row in here],
                "doc_id": [doc_ids[row] for row in here],
                "path": [f"{doc_ids[row]}.pdf" for row in here],
                "category": [f"category {self.categories[row]}" for row in here],
                "vector": list(self.vectors[here.start : here.stop]),
            }
            empty = {name: [None] * len(here) for name in schema.names if name not in columns}
            yield pa.RecordBatch.from_pydict({**empty, **columns}, schema)


def make_passages(count: int, queries: int, seed: int) -> Passages:
    """`count` passages around topics, and queries about some of them."""
    chance = np.random.default_rng(seed)
    documents = np.arange(count) // _PASSAGES_PER_DOCUMENT
    topics = chance.integers(max(1, count // _PASSAGES_PER_TOPIC), size=documents[-1] + 1)
    vectors = _unit(
        0.6 * _directions(chance, topics.max() + 1)[topics][documents]
        + 0.55 * _directions(chance, len(topics))[documents]
        + 0.55 * _directions(chance, count)
    )
    texts = _texts(chance, topics[documents])
    asked = chance.integers(count, size=queries)
    noise = _unit(chance.standard_normal((queries, DIMENSION), dtype=np.float32))
    return Passages(
        texts=texts,
        vectors=vectors,
        categories=chance.integers(CATEGORIES, size=len(topics))[documents],
        queries=[" ".join(chance.choice(texts[row].split(), 8)) for row in asked],
        query_vectors=_unit(vectors[asked] + noise),
    )


def _texts(chance: np.random.Generator, topics: np.ndarray) -> list[str]:
    """Half the words of a passage are its topic's, half anybody's; frequencies follow Zipf."""
    own = chance.integers(_WORDS, size=(topics.max() + 1, _WORDS_OF_TOPIC))
    half = _WORDS_PER_PASSAGE // 2
    texts = []
    for topic in topics:
        common = (chance.zipf(1.2, half) - 1) % _WORDS
        special = own[topic, (chance.zipf(1.5, half) - 1) % _WORDS_OF_TOPIC]
        texts.append(" ".join(f"w{word}" for word in (*common, *special)))
    return texts


def _directions(chance: np.random.Generator, count: int) -> Vectors:
    weights = np.arange(1, DIMENSION + 1, dtype=np.float32) ** -_DECAY
    return _unit(chance.standard_normal((count, DIMENSION), dtype=np.float32) * weights)


def _unit(vectors: Vectors) -> Vectors:
    unit: Vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    return unit
