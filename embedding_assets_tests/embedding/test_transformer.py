"""Vectors against Sentence Transformers itself."""

import random
import threading

import numpy as np
import pytest

from embedding_assets.embedding.probes import PROBES
from embedding_assets.embedding.transformer import TransformerEncoder, batches, run_network
from embedding_assets.embedding.windows import TextReader
from embedding_assets.embedding.workers import single_thread_workers
from embedding_assets.errors import ModelPrecisionError, NotEnoughMemoryError
from embedding_assets_tests.embedding import models

TEXTS = (*PROBES[:20], *PROBES[20::7])
"""All odd ones, and a seventh of the walks through many lengths."""


@pytest.fixture(scope="module")
def sentence_transformer():
    return models.sentence_transformer(models.packaged())


@pytest.fixture(scope="module", params=["bert", "sentence-transformers"])
def encoder(request):
    return models.encoder(models.packaged(), "float32", request.param)


@pytest.fixture(scope="module")
def rough():
    return models.encoder(models.packaged(), "bfloat16", "bert")


def fitting(encoder, texts=TEXTS):
    return [text for text, n in zip(texts, encoder.count_tokens(texts), strict=True) if n <= 254]


def test_float32_equals_sentence_transformers_on_every_text_that_fits(
    encoder, sentence_transformer
):
    texts = fitting(encoder)
    expected = sentence_transformer.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(texts).vectors, expected, atol=1e-5)


def test_bfloat16_is_close_to_sentence_transformers(rough, sentence_transformer):
    texts = fitting(rough)
    expected = sentence_transformer.encode(texts, normalize_embeddings=True)
    assert (rough.encode(texts).vectors * expected).sum(axis=1).min() >= 0.999


def test_vectors_have_unit_length_and_are_float32(encoder, rough):
    for encoding in encoder.encode(TEXTS), rough.encode(TEXTS):
        assert encoding.vectors.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1.0, atol=1e-6)


def test_no_text_gives_no_vector(encoder):
    encoding = encoder.encode([])
    assert encoding.vectors.shape == (0, 384)
    assert encoding.tokens.shape == encoding.windows.shape == (0,)
    assert encoder.count_tokens([]).shape == (0,)


def test_order_of_input_is_kept(encoder):
    texts = fitting(encoder)
    shuffled = random.Random(7).sample(range(len(texts)), len(texts))
    expected = encoder.encode(texts).vectors[shuffled]
    found = encoder.encode([texts[index] for index in shuffled]).vectors
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_the_same_texts_give_the_same_bits(rough):
    assert np.array_equal(rough.encode(TEXTS).vectors, rough.encode(TEXTS).vectors)


def test_bfloat16_hardly_depends_on_what_else_is_encoded(rough):
    alone = np.concatenate([rough.encode([text]).vectors for text in TEXTS[:30]])
    assert (alone * rough.encode(TEXTS).vectors[:30]).sum(axis=1).min() > 0.9998


def test_a_long_text_is_the_mean_of_its_windows_weighted_by_tokens(encoder, sentence_transformer):
    words = "pizza pasta soup salad bread wine fish rice".split()
    text = " ".join(random.Random(3).choices(words, k=600))
    encoding = encoder.encode([text])
    assert encoding.tokens.tolist() == [600]
    assert encoding.windows.tolist() == [3]
    thirds = [" ".join(text.split()[start : start + 200]) for start in (0, 200, 400)]
    mean = sentence_transformer.encode(thirds, normalize_embeddings=True).sum(axis=0)
    np.testing.assert_allclose(encoding.vectors[0], mean / np.linalg.norm(mean), atol=1e-5)


def test_a_text_of_a_megabyte_is_read_whole(rough):
    encoding = rough.encode(["wine " * 30_000 + "fish " * 1_000])
    assert encoding.tokens.tolist() == [31_000]
    assert encoding.windows.tolist() == [123]


def test_two_threads_can_share_an_encoder(encoder):
    expected = encoder.encode(TEXTS).vectors
    found = {}
    threads = [
        threading.Thread(target=lambda n=n: found.update({n: encoder.encode(TEXTS).vectors}))
        for n in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found[0], expected, atol=1e-6)
    np.testing.assert_allclose(found[1], expected, atol=1e-6)


def test_cls_pooling_and_no_normalize_module(tmp_path):
    folder = models.copied(tmp_path, {"pooling_mode_cls_token": True}, normalize=False)
    expected = models.sentence_transformer(folder).encode(
        ["wine and fish", ""], normalize_embeddings=True
    )
    for backend in "bert", "sentence-transformers":
        found = models.encoder(folder, "float32", backend).encode(["wine and fish", ""]).vectors
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_folder_saved_by_sentence_transformers_6(tmp_path, sentence_transformer):
    sentence_transformer.save(str(tmp_path / "saved"))
    found = models.encoder(tmp_path / "saved", "float32", "bert").encode(["wine and fish"])
    expected = sentence_transformer.encode(["wine and fish"], normalize_embeddings=True)
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["distilbert", "mpnet"])
def test_other_architectures_go_the_general_way(tmp_path, kind):
    folder = models.tiny(tmp_path, kind)
    encoder = models.encoder(folder, "float32", "sentence-transformers")
    texts = ["wine and fish", "", "rice " * 20]
    expected = models.sentence_transformer(folder).encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(texts).vectors, expected, atol=1e-5)
    assert encoder.encode(["rice " * 100]).windows.tolist() == [4]


def test_a_default_prompt_is_read_before_every_text(tmp_path):
    folder = models.copied(tmp_path, prompt="query: ")
    expected = models.sentence_transformer(folder).encode(["wine"], normalize_embeddings=True)
    found = models.encoder(folder, "float32", "bert").encode(["wine"])
    np.testing.assert_allclose(found.vectors, expected, atol=1e-5)


def test_the_bert_back_end_refuses_an_accelerator():
    with pytest.raises(ModelPrecisionError, match="'cuda'"):
        models.encoder(models.packaged(), "float32", "bert", device="cuda")


def test_batches_hold_like_lengths_and_every_position_once():
    lengths = [3, 40, 17, 16, 250, 1, 33, 48]
    result = batches(lengths, step=16, tokens=64)
    assert result == [[4], [1], [6], [7], [2], [0, 3, 5]]


class Hungry:
    """A network that can hold few windows at once."""

    step = 16

    def __init__(self, limit, error):
        self.limit, self.error = limit, error

    def __call__(self, windows):
        if len(windows) > self.limit:
            raise self.error
        return np.array([[len(ids), 0.0] for ids in windows], dtype=np.float32)


OUT_OF_MEMORY = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate")


@pytest.mark.parametrize("error", [MemoryError(), OUT_OF_MEMORY])
def test_batches_are_halved_until_they_fit_memory(error):
    windows = [np.zeros(n, dtype=np.int32) for n in range(1, 8)]
    found = run_network(Hungry(2, error), windows)
    assert found[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7]


def test_a_window_that_does_not_fit_memory_is_a_named_error():
    with pytest.raises(NotEnoughMemoryError, match="one window of 5 tokens"):
        run_network(Hungry(0, OUT_OF_MEMORY), [np.zeros(5, dtype=np.int32)])


def test_other_errors_of_the_network_are_not_hidden():
    with pytest.raises(RuntimeError, match="shapes"):
        run_network(Hungry(0, RuntimeError("shapes")), [np.zeros(5, dtype=np.int32)])


def test_windows_of_many_portions_stay_in_order(monkeypatch):
    monkeypatch.setattr("embedding_assets.embedding.transformer._TEXTS_AT_ONCE", 3)
    reader = TextReader.of(models.tokenizer(models.packaged()), 4)
    workers = single_thread_workers(2)
    encoder = TransformerEncoder(Hungry(1, MemoryError()), reader, 2, "", workers)
    texts = ["fish " * n for n in range(11)]
    assert encoder.encode(texts).tokens.tolist() == list(range(11))
    assert encoder.encode(texts).windows.tolist() == [1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]
