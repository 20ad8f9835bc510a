import base64

import numpy as np
import pytest

from embedding_assets.embedding.encoder import HashingEncoder

TEXTS = ["wireless headphones", "shoes", "wireless headphones"]


def test_vectors_come_in_the_order_of_the_texts(client):
    answer = client.post("/embed", json={"texts": TEXTS}).json()
    wanted = HashingEncoder().encode(TEXTS)
    np.testing.assert_array_equal(np.float32(answer.pop("vectors")), wanted.vectors)
    assert answer == {
        "model": "all-MiniLM-L6-v2",
        "fingerprint": HashingEncoder().fingerprint,
        "dimension": 64,
        "tokens": [2, 1, 2],
        "windows": [1, 1, 1],
    }


def test_base64_holds_the_same_numbers(client):
    answer = client.post("/embed", json={"texts": TEXTS, "format": "base64"}).json()
    rows = [np.frombuffer(base64.b64decode(row), "<f4") for row in answer["vectors"]]
    np.testing.assert_array_equal(rows, HashingEncoder().encode(TEXTS).vectors)


@pytest.mark.parametrize("texts", [["a"] * 65, ["a" * 10_000] * 11])
def test_too_much_at_once_is_refused(client, texts):
    answer = client.post("/embed", json={"texts": texts})
    assert answer.status_code == 422
    assert "at most" in answer.json()["mend"]


def test_a_text_that_is_too_long_is_refused(client):
    answer = client.post("/embed", json={"texts": ["a" * 10_001]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.texts.0"


def test_a_long_text_is_read_in_windows(client):
    answer = client.post("/embed", json={"texts": ["word " * 1_000]}).json()
    assert (answer["tokens"], answer["windows"]) == ([1_000], [4])
