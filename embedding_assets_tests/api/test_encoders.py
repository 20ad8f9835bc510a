import numpy as np
import pytest

from embedding_assets.api.encoders import Encoders
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.problems import OverloadedError
from embedding_assets.embedding.encoder import HashingEncoder


@pytest.fixture
def opened():
    """The fingerprints whose models were loaded, in order."""
    return []


@pytest.fixture
def encoders(opened):
    def open_encoder(fingerprint):
        opened.append(fingerprint)
        return HashingEncoder(int(fingerprint))

    found = Encoders(open_encoder, 10, Metrics())
    yield found
    found.close()


def test_each_model_is_loaded_with_its_first_text_and_once(encoders, opened):
    first, second = encoders.of("8"), encoders.of("16")
    assert opened == []
    assert encoders.of("8") is first
    assert [each.encode(["a b"]).vectors.shape for each in (first, second, first)] == [
        (1, 8), (1, 16), (1, 8),
    ]  # fmt: skip
    assert opened == ["8", "16"]
    wanted = HashingEncoder(16).encode(["a b"]).vectors
    np.testing.assert_array_equal(second.encode(["a b"]).vectors, wanted)


def test_the_one_that_was_used_longest_ago_makes_room(encoders, opened):
    for fingerprint in ("8", "16", "24", "8", "32"):
        encoders.of(fingerprint).encode(["a"])
    encoders.of("8").encode(["b"])
    assert opened == ["8", "16", "24", "32"]
    encoders.of("16").encode(["a"])
    assert opened[-1] == "16", "it had left"


def test_after_the_end_nothing_is_encoded(encoders):
    before = encoders.of("8")
    before.encode(["a"])
    encoders.close()
    for each in (before, encoders.of("16")):
        with pytest.raises(OverloadedError):
            each.encode(["b"])
