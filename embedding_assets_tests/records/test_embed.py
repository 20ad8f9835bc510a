from datetime import date

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.records.embed import (
    embed_accounts,
    embedding_digest,
    embedding_schema,
    to_wide,
    vectors_of,
    wide_schema,
)
from embedding_assets.records.text import TEXT_SCHEMA

TEXTS = ["Items: a b c.", "Items: d.", "Items: a b c."]


@pytest.fixture
def encoder():
    return HashingEncoder(dimension=12, window=3)


@pytest.fixture
def vectors(tmp_path, encoder):
    return VectorStore.of(tmp_path, encoder)


def batch(texts=TEXTS):
    columns = zip("xyz", texts, strict=False)
    rows = [(name, text, date(2025, 3, 1), 2, None, 7) for name, text in columns]
    named = [dict(zip(TEXT_SCHEMA.names, row, strict=True)) for row in rows]
    return pa.RecordBatch.from_pylist(named, TEXT_SCHEMA)


def test_each_text_gets_its_vector_tokens_windows_and_fingerprint(encoder, vectors):
    [out] = embed_accounts([batch()], encoder, vectors, {})
    assert out.schema == embedding_schema(12)
    np.testing.assert_array_equal(vectors_of(out), encoder.encode(TEXTS).vectors)
    assert out["tokens"].to_pylist() == [4, 2, 4]
    assert out["windows"].to_pylist() == [2, 1, 2]
    assert set(out["fingerprint"].to_pylist()) == {encoder.fingerprint}
    assert out["day"].to_pylist() == [date(2025, 3, 1)] * 3


def test_stats_are_summed_over_the_batches(encoder, vectors):
    stats, seen = {}, []
    batches = [batch(), batch(["Items: d.", "new one", "new one"])]
    list(embed_accounts(batches, encoder, vectors, stats, seen.append))
    seconds = stats.pop("seconds")
    assert seconds > 0
    assert stats == {
        "texts": 6, "tokens": 16, "reused": 3, "computed": 3, "computed_tokens": 8, "windowed": 2,
        "truncated_tokens": 0, "fingerprint": encoder.fingerprint,
    }  # fmt: skip
    assert seen == [3, 3]


def test_stats_of_nothing_are_zero(encoder, vectors):
    stats = {}
    assert list(embed_accounts([], encoder, vectors, stats)) == []
    assert (stats["texts"], stats["seconds"], stats["fingerprint"]) == (0, 0.0, encoder.fingerprint)


@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 2), slice(0, 0)])
def test_the_wide_layout_has_one_column_per_component_in_order(encoder, vectors, rows):
    [out] = embed_accounts([batch()], encoder, vectors, {})
    part = out.slice(rows.start, rows.stop - rows.start)
    wide = to_wide(part)
    assert wide.schema.names == [
        "account_id", "text_for_embedding", *(f"embedding_{i}" for i in range(12)),
        "day", "records", "main_cuisine", "tokens", "windows", "fingerprint",
    ]  # fmt: skip
    assert wide.schema == wide_schema(12)
    matrix = np.array([wide[f"embedding_{i}"].to_pylist() for i in range(12)], dtype=np.float32).T
    np.testing.assert_array_equal(matrix, encoder.encode(TEXTS).vectors[rows])
    assert wide["account_id"].to_pylist() == list("xyz")[rows]


def test_a_batch_without_rows_has_the_columns(encoder, vectors):
    [out] = embed_accounts([batch().slice(0, 0)], encoder, vectors, {})
    assert (out.schema, len(to_wide(out))) == (embedding_schema(12), 0)


def test_the_digest_follows_the_texts_and_the_model():
    digests = {embedding_digest(t, f) for t in ("t1", "t2") for f in ("f1", "f2")}
    assert len(digests) == 4
