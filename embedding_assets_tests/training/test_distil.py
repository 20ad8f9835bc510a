import numpy as np
import pytest

from embedding_assets.embedding.folder import read_layout
from embedding_assets.embedding.model import content_sha256, load_encoder, resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets.embedding.sentence import load_sentence_transformer
from embedding_assets.embedding.static import read_rows
from embedding_assets.embedding.transformer import BERT, STATIC, build_encoder
from embedding_assets.training.distil import corrected, distil, sif_weights
from embedding_assets_tests.training.words import pairs

TEXTS = ["Pho with beef", "a pizza, crème fraîche", "beef", "an the of"]


@pytest.fixture(scope="module")
def static(layout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    distil(layout, [], folder, threads=1)
    return folder


def test_a_distilled_model_is_a_model_like_any_other(static, tmp_path):
    model = resolve_model(str(static), tmp_path)
    report = pin(model, tmp_path)
    assert (report.backend, report.precision) == ("static", "float32")
    assert (model.dimension, model.window, model.pooling) == (32, 254, "mean")
    encoding = load_encoder(model, report).encode(TEXTS)
    assert encoding.vectors.shape == (4, 32)
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, rtol=1e-6)


def test_sentence_transformers_reads_it_the_same(static, tmp_path):
    model = resolve_model(str(static), tmp_path)
    ours = load_encoder(model, pin(model, tmp_path)).encode(TEXTS).vectors
    theirs = load_sentence_transformer(static, "cpu").encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_token_has_the_direction_that_the_teacher_gives_it_alone(layout, static):
    rows = read_rows(static / "model.safetensors")
    teacher = build_encoder(layout, "float32", BERT, "fingerprint", threads=1)
    words = ["pizza", "beef", "noodles"]
    ids = [teacher._reader.read([word])[0][0] for word in words]
    alone = teacher.encode(words).vectors
    np.testing.assert_allclose(rows[ids] / sif_weights(len(rows))[ids, None], alone, atol=1e-5)


def test_texts_of_the_domain_come_near_what_the_teacher_makes_of_them(layout, static, tmp_path):
    texts = [text for pair in pairs() for text in pair]
    distil(layout, texts, tmp_path / "learnt", threads=1)
    teacher = build_encoder(layout, "float32", BERT, "fingerprint", threads=1).encode(texts)

    def cosines(folder):
        encoder = build_encoder(read_layout(folder), "float32", STATIC, "fingerprint", threads=1)
        return (encoder.encode(texts).vectors * teacher.vectors).sum(axis=1)

    assert cosines(tmp_path / "learnt").mean() > 0.95 > cosines(static).mean()


def test_a_correction_leaves_tokens_without_texts_and_matched_texts_alone():
    rows = np.float32([[1, 0], [0, 1], [3, 4]])
    target = np.float32([[1, 0], [0.6, 0.8]])
    texts = [np.int32([0]), np.int32([2])]
    np.testing.assert_allclose(corrected(rows, texts, target), rows, atol=1e-6)
    moved = corrected(rows, texts, np.float32([[0, 1], [0.6, 0.8]]))
    np.testing.assert_array_equal(moved[1], rows[1])
    np.testing.assert_allclose(moved[2], rows[2], atol=1e-6)
    assert moved[0] @ [0, 1] > 0.7


def test_the_same_texts_in_any_order_give_the_same_model(layout, tmp_path):
    texts = [text for pair in pairs() for text in pair]
    distil(layout, texts, tmp_path / "one", threads=1)
    distil(layout, [*reversed(texts), *texts], tmp_path / "other", threads=1)
    assert content_sha256(tmp_path / "one") == content_sha256(tmp_path / "other")


def test_frequent_tokens_weigh_less():
    weights = sif_weights(1_000)
    assert (np.diff(weights) > 0).all()
    assert weights[0] < weights[-1] / 10


def test_the_layout_of_a_distilled_model_is_static(static):
    assert read_layout(static).is_static
