import numpy as np
import pytest

from embedding_assets.embedding.folder import read_layout
from embedding_assets.embedding.model import load_encoder, resolve_model
from embedding_assets.embedding.precision import pin
from embedding_assets.embedding.sentence import load_sentence_transformer
from embedding_assets.embedding.static import read_rows
from embedding_assets.embedding.transformer import BERT, build_encoder
from embedding_assets.training.distil import distil, principal, sif_weights

TEXTS = ["Pho with beef", "a pizza, crème fraîche", "beef", "an the of"]


@pytest.fixture(scope="module")
def static(layout, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    distil(layout, folder, 16)
    return folder


def test_a_distilled_model_is_a_model_like_any_other(static, tmp_path):
    model = resolve_model(str(static), tmp_path)
    report = pin(model, tmp_path)
    assert (report.backend, report.precision) == ("static", "float32")
    assert (model.dimension, model.window, model.pooling) == (16, 254, "mean")
    encoding = load_encoder(model, report).encode(TEXTS)
    assert encoding.vectors.shape == (4, 16)
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, rtol=1e-6)


def test_sentence_transformers_reads_it_the_same(static, tmp_path):
    model = resolve_model(str(static), tmp_path)
    ours = load_encoder(model, pin(model, tmp_path)).encode(TEXTS).vectors
    theirs = load_sentence_transformer(static, "cpu").encode(TEXTS, show_progress_bar=False)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_a_token_has_the_direction_that_the_teacher_gives_it_alone(layout, tmp_path):
    distil(layout, tmp_path / "whole", layout.dimension)
    rows = read_rows(tmp_path / "whole" / "model.safetensors")
    teacher = build_encoder(layout, "float32", BERT, "fingerprint", threads=1)
    words = ["pizza", "beef", "noodles"]
    ids = [teacher._reader.read([word])[0][0] for word in words]
    alone = teacher.encode(words).vectors
    own = rows[ids] / sif_weights(len(rows))[ids, None]
    # Turned and moved, so that differences keep their lengths.
    for a, b in ((0, 1), (1, 2), (0, 2)):
        assert np.linalg.norm(own[a] - own[b]) == pytest.approx(
            np.linalg.norm(alone[a] - alone[b]), rel=1e-3
        )


def test_principal_components_keep_what_varies_most():
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(500, 3)).astype(np.float32) * np.float32([0.1, 5, 1])
    kept = principal(vectors, 2)
    assert kept.std(axis=0) == pytest.approx([5, 1], rel=0.1)
    centred = vectors - vectors.mean(axis=0)
    assert abs(np.corrcoef(kept[:, 0], centred[:, 1])[0, 1]) > 0.99


def test_frequent_tokens_weigh_less():
    weights = sif_weights(1_000)
    assert (np.diff(weights) > 0).all()
    assert weights[0] < weights[-1] / 10


def test_the_layout_of_a_distilled_model_is_static(static):
    assert read_layout(static).is_static
