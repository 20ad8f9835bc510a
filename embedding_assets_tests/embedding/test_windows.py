import numpy as np
import pytest

from embedding_assets.embedding.windows import TextReader, pool_windows, portions
from embedding_assets_tests.embedding import models


@pytest.fixture(scope="module")
def reader():
    return TextReader.of(models.tokenizer(models.packaged()), window=5)


@pytest.mark.parametrize(
    ("tokens", "sizes"),
    [(0, [0]), (1, [1]), (5, [5]), (6, [3, 3]), (11, [4, 4, 3]), (15, [5, 5, 5])],
)
def test_windows_are_few_balanced_and_lose_no_token(reader, tokens, sizes):
    ids = np.arange(1000, 1000 + tokens, dtype=np.int32)
    windows = reader.windows(ids)
    assert [len(window) - 2 for window in windows] == sizes
    assert all(window[0] == 101 and window[-1] == 102 for window in windows)
    assert np.array_equal(np.concatenate([window[1:-1] for window in windows]), ids)


def test_the_tokenizers_own_truncation_and_padding_are_off(reader):
    assert [len(ids) for ids in reader.read(["wine " * 1_000, "wine", ""])] == [1_000, 1, 0]


def test_lone_surrogates_are_read_as_question_marks(reader):
    assert np.array_equal(reader.read(["a\ud800b"])[0], reader.read(["a?b"])[0])


def test_special_tokens_are_found_on_either_side(reader):
    assert reader.opening.tolist() == [101]
    assert reader.closing.tolist() == [102]


def test_pooling_weighs_by_tokens():
    vectors = np.array([[1, 0], [0, 1], [0, 1]], dtype=np.float32)
    pooled = pool_windows(vectors, np.array([3, 4, 2]), np.array([2, 1]))
    np.testing.assert_allclose(pooled, [[0.6, 0.8], [0, 1]], atol=1e-6)
    assert pooled.dtype == np.float32


def test_portions_are_bounded_by_texts_and_by_characters():
    texts = ["a", "b", "c", "dddd", "eeeeeeeeee", "f", ""]
    assert [list(some) for some in portions(texts, 3, 5)] == [
        ["a", "b", "c"],
        ["dddd"],
        ["eeeeeeeeee"],
        ["f", ""],
    ]
    assert list(portions([], 3, 5)) == []
