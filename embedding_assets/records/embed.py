"""Account texts to account embeddings, and the wide table that people open."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.embedding.store import Reuse, VectorStore
from embedding_assets.storage.slices import Stats, digest_of

EMBEDDING_CODE = "1"
"""Changes whenever the same texts and model would become other rows."""

Progress = Callable[[int], None]


def embedding_schema(dimension: int) -> pa.Schema:
    """The columns of `account_embeddings`: `embedding` is float32 [dimension], unit length."""
    return pa.schema(
        [
            pa.field("account_id", pa.string()),
            pa.field("text_for_embedding", pa.string()),
            pa.field("embedding", pa.list_(pa.float32(), dimension)),
            *_PROVENANCE,
        ]
    )


def wide_schema(dimension: int) -> pa.Schema:
    """`account_id`, `text_for_embedding`, `embedding_0` … `embedding_N`, then provenance."""
    return pa.schema(
        [
            pa.field("account_id", pa.string()),
            pa.field("text_for_embedding", pa.string()),
            *(pa.field(f"embedding_{i}", pa.float32()) for i in range(dimension)),
            *_PROVENANCE,
        ]
    )


def embedding_digest(texts_digest: str, fingerprint: str) -> str:
    """The digest of the embeddings of a slice of texts."""
    return digest_of("account_embeddings", EMBEDDING_CODE, texts_digest, fingerprint)


def embed_column(
    batches: Iterable[pa.RecordBatch],
    column: str,
    schema: pa.Schema,
    encoder: Encoder,
    vectors: VectorStore,
    stats: Stats,
    on_progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """The batches with the vectors of the texts in `column`, laid out as `schema`.

    schema: columns of the batches, and `embedding`, `tokens`, `windows`, `fingerprint`.
    `stats` is summed up while the batches are drawn: texts, tokens, reused and computed vectors,
    texts longer than the model's window, truncated tokens (always 0) and seconds of encoding.
    """
    stats.update(
        texts=0, tokens=0, reused=0, computed=0, computed_tokens=0, windowed=0,
        truncated_tokens=0, seconds=0.0, fingerprint=encoder.fingerprint,
    )  # fmt: skip
    for batch in batches:
        reuse = vectors.encode(batch[column].to_pylist(), encoder, on_progress)
        _add(stats, reuse)
        yield _with_vectors(batch, reuse, encoder, schema)


def embed_accounts(
    texts: Iterable[pa.RecordBatch],
    encoder: Encoder,
    vectors: VectorStore,
    stats: Stats,
    on_progress: Progress | None = None,
) -> Iterator[pa.RecordBatch]:
    """Batches of account texts (TEXT_SCHEMA) with their vectors (`embedding_schema`)."""
    schema = embedding_schema(encoder.dimension)
    return embed_column(texts, "text_for_embedding", schema, encoder, vectors, stats, on_progress)


def to_wide(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The same rows with one column per component of the vector."""
    dimension = batch.schema.field("embedding").type.list_size
    matrix = vectors_of(batch)
    columns = [batch["account_id"], batch["text_for_embedding"]]
    columns += [pa.array(np.ascontiguousarray(matrix[:, i])) for i in range(dimension)]
    columns += [batch[field.name] for field in _PROVENANCE]
    return pa.RecordBatch.from_arrays(columns, schema=wide_schema(dimension))


def vectors_of(batch: pa.RecordBatch) -> Vectors:
    """float32 [n, d]: the column `embedding` of a batch."""
    column = batch["embedding"]
    flat: Vectors = column.flatten().to_numpy()
    return flat.reshape(len(batch), column.type.list_size)


def _with_vectors(
    batch: pa.RecordBatch, reuse: Reuse, encoder: Encoder, schema: pa.Schema
) -> pa.RecordBatch:
    flat = pa.array(reuse.encoding.vectors.reshape(-1))
    columns = {name: batch[name] for name in batch.schema.names}
    columns["embedding"] = pa.FixedSizeListArray.from_arrays(flat, encoder.dimension)
    columns["tokens"] = pa.array(reuse.encoding.tokens)
    columns["windows"] = pa.array(reuse.encoding.windows)
    columns["fingerprint"] = pa.array([encoder.fingerprint] * len(batch), pa.string())
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _add(stats: Stats, reuse: Reuse) -> None:
    stats["texts"] += len(reuse.encoding.vectors)
    stats["tokens"] += int(reuse.encoding.tokens.sum(dtype=np.int64))
    stats["windowed"] += int((reuse.encoding.windows > 1).sum())
    stats["reused"] += reuse.reused
    stats["computed"] += reuse.computed
    stats["computed_tokens"] += reuse.computed_tokens
    stats["seconds"] += reuse.seconds


_PROVENANCE = [
    pa.field("day", pa.date32()),
    pa.field("records", pa.int64()),
    pa.field("main_cuisine", pa.string()),
    pa.field("tokens", pa.int32()),
    pa.field("windows", pa.int32()),
    pa.field("fingerprint", pa.string()),
]
