"""The vectors of many texts as one matrix."""

from collections.abc import Sequence

import numpy as np

from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.embedding.store import VectorStore

_TEXTS_AT_ONCE = 1_024


def encoded(texts: Sequence[str], encoder: Encoder, store: VectorStore | None = None) -> Vectors:
    """float32 [n, d]: the vectors of `texts`; taken from `store` and kept there when one is given,
    some at a time, so that an interruption loses little."""
    vectors = np.empty((len(texts), encoder.dimension), dtype=np.float32)
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        some = texts[start : start + _TEXTS_AT_ONCE]
        done = store.encode(some, encoder).encoding if store is not None else encoder.encode(some)
        vectors[start : start + len(some)] = done.vectors
    return vectors
