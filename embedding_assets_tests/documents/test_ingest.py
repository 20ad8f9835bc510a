import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from structlog.testing import capture_logs

from embedding_assets.documents.ingest import ingest_pair, ingest_texts, write_ingested
from embedding_assets.documents.parse.pair import PairText
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.embedding.transformer import BERT
from embedding_assets.errors import NotWritableError
from embedding_assets_tests.embedding import models

TEXTS = [
    PairText("Refunds take five days.", (4, 1)),
    PairText(" \n", (2,)),
    PairText("Couriers carry a card.", (0,)),
    PairText("Refunds take five days.", (7,)),
]


class CountingEncoder(HashingEncoder):
    def __init__(self):
        super().__init__()
        self.calls = []

    def encode(self, texts):
        self.calls.append(list(texts))
        return super().encode(texts)


def test_every_text_but_the_empty_ones_has_its_vector_and_pages_in_the_order_of_the_file():
    entries = ingest_texts("12345", TEXTS, HashingEncoder()).to_dicts()
    assert [(entry["text"], entry["pages"]) for entry in entries] == [
        ("Refunds take five days.", [4, 1]),
        ("Couriers carry a card.", [0]),
        ("Refunds take five days.", [7]),
    ]
    expected = HashingEncoder().encode([entry["text"] for entry in entries]).vectors
    for entry, vector in zip(entries, expected, strict=True):
        assert list(entry) == ["text", "vector", "pages"]
        assert entry["vector"].dtype == torch.float32
        assert entry["vector"].tolist() == vector.tolist()


def test_repeated_texts_are_embedded_once_and_all_in_one_call():
    encoder = CountingEncoder()
    ingestion = ingest_texts("12345", TEXTS, encoder)
    assert encoder.calls == [["Refunds take five days.", "Couriers carry a card."]]
    assert ingestion.positions == (0, 2, 3)


def test_vectors_share_no_memory():
    first, _, again = ingest_texts("12345", TEXTS, HashingEncoder()).to_dicts()
    again["vector"].zero_()
    assert first["vector"].norm().item() == pytest.approx(1)


def test_number_of_empty_texts_is_logged():
    with capture_logs() as logs:
        ingest_texts("12345", TEXTS, HashingEncoder())
        ingest_texts("12345", TEXTS[2:], HashingEncoder())
    assert [(log["doc_id"], log["empty"]) for log in logs] == [("12345", 1)]


def test_pair_without_any_text_gives_an_empty_list():
    assert ingest_texts("12345", TEXTS[1:2], HashingEncoder()).to_dicts() == []


def test_store_spares_what_was_computed_before(tmp_path):
    encoder = CountingEncoder()
    store = VectorStore.of(tmp_path, encoder)
    first = ingest_texts("12345", TEXTS[:2], encoder, store)
    again = ingest_texts("12345", TEXTS, encoder, store)
    assert encoder.calls == [["Refunds take five days."], ["Couriers carry a card."]]
    assert np.array_equal(again.vectors[[0, 2]], first.vectors[[0, 0]])


def test_pair_is_read_from_its_folder(tmp_path):
    (tmp_path / "pages_12345.csv").write_text("id,pg_num\np-1,3\n")
    (tmp_path / "texts_12345.json").write_text(json.dumps([{"text": "Menu", "pages": ["p-1"]}]))
    [entry] = ingest_pair(tmp_path, "12345", HashingEncoder()).to_dicts()
    assert (entry["text"], entry["pages"]) == ("Menu", [3])


def test_parquet_file_has_one_row_per_text(tmp_path):
    ingestion = ingest_texts("12345", TEXTS, HashingEncoder(dimension=8))
    write_ingested(ingestion, tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    assert {name: str(table.schema.field(name).type) for name in table.column_names} == {
        "doc_id": "string",
        "position": "int32",
        "text": "string",
        "pages": "list<element: int32>",
        "vector": "fixed_size_list<element: float>[8]",
    }
    assert table["position"].to_pylist() == [0, 2, 3]
    assert table["pages"].to_pylist() == [[4, 1], [0], [7]]
    assert np.array_equal(table["vector"].to_pylist(), ingestion.vectors)
    assert table.schema.metadata[b"fingerprint"].decode() == ingestion.fingerprint


def test_parquet_file_of_no_text_can_be_written(tmp_path):
    write_ingested(ingest_texts("1", [], HashingEncoder()), tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").num_rows == 0


def test_target_that_cannot_be_written_is_named_and_nothing_is_left(tmp_path):
    (tmp_path / "out.parquet").mkdir()
    ingestion = ingest_texts("12345", TEXTS, HashingEncoder())
    with pytest.raises(NotWritableError, match=r"out\.parquet"):
        write_ingested(ingestion, tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


@pytest.fixture(scope="module")
def encoder():
    return models.encoder(models.packaged(), "float32", BERT)


def ingested(encoder, *texts):
    ingestion = ingest_texts("12345", [PairText(text, (0,)) for text in texts], encoder)
    return torch.stack([entry["vector"] for entry in ingestion.to_dicts()])


def test_vectors_are_those_of_sentence_transformers_where_the_text_fits(encoder):
    texts = ["Tip", "How long does a refund take? " * 30, "Crème brûlée, 今日は", "Tip"]
    expected = models.sentence_transformer(models.packaged()).encode(
        texts, normalize_embeddings=True
    )
    np.testing.assert_allclose(ingested(encoder, *texts), expected, atol=1e-5)


def test_every_token_of_a_long_text_contributes_and_its_vector_has_unit_length(encoder):
    start = "The courier rings twice and waits. " * 600
    vectors = ingested(encoder, start + "soup", start + "refund", "refund" + start)
    assert len(start) > 20_000
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1, 1], abs=1e-6)
    assert torch.pdist(vectors).min() > 1e-4
