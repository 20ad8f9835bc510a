import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.embedding.encoder import HashingEncoder

texts = st.lists(st.text(max_size=30), max_size=6)


@given(texts)
def test_every_text_has_a_unit_vector_whatever_stands_beside_it(some):
    encoder = HashingEncoder(dimension=16)
    encoding = encoder.encode(some)
    assert encoding.vectors.dtype == np.float32
    assert encoding.vectors.shape == (len(some), 16)
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, atol=1e-6)
    for text, vector in zip(some, encoding.vectors, strict=True):
        np.testing.assert_array_equal(encoder.encode([text]).vectors[0], vector)


def test_words_and_windows_are_counted():
    encoding = HashingEncoder(window=2).encode(["", "one", "one two", "one two three", "!"])
    assert encoding.tokens.tolist() == [0, 1, 2, 3, 0]
    assert encoding.windows.tolist() == [1, 1, 1, 2, 1]


def test_texts_that_share_words_are_close():
    vectors = HashingEncoder().encode(["red wine", "Wine, red!", "white fish"]).vectors
    assert vectors[0] @ vectors[1] > 0.99
    assert vectors[0] @ vectors[2] < 0.5


def test_what_decides_a_vector_decides_the_fingerprint():
    pairs = [(64, 254), (32, 254), (64, 128)]
    assert len({HashingEncoder(*pair).fingerprint for pair in pairs}) == 3
    assert HashingEncoder().fingerprint == HashingEncoder().fingerprint
