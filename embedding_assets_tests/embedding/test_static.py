import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from embedding_assets.embedding.folder import read_layout
from embedding_assets.embedding.transformer import STATIC, build_encoder
from embedding_assets.errors import ModelDamagedError, ModelLoadError
from embedding_assets_tests.embedding.models import packaged

DIMENSION = 8
TEXTS = ["red wine", "white fish", "wine", "", "\u0000"]


@pytest.fixture
def folder(tmp_path):
    """A model of random vectors, as Sentence Transformers saves one."""
    folder = tmp_path / "static"
    folder.mkdir()
    content = (packaged() / "tokenizer.json").read_bytes()
    (folder / "tokenizer.json").write_bytes(content)
    kind = "sentence_transformers.models.StaticEmbedding"
    (folder / "modules.json").write_text(json.dumps([{"idx": 0, "path": "", "type": kind}]))
    put(folder, "embedding.weight")
    return folder


def put(folder, name, dtype=np.float32):
    (folder / "model.safetensors").unlink(missing_ok=True)
    rows = np.random.default_rng(0).normal(size=(30_522, DIMENSION)).astype(dtype)
    save_file({name: rows}, folder / "model.safetensors")
    return rows


def encoder(folder):
    return build_encoder(read_layout(folder), "float32", STATIC, "fingerprint", threads=1)


def test_a_text_is_the_mean_of_its_tokens(folder):
    rows = put(folder, "embedding.weight")
    read = encoder(folder)
    [ids] = read._reader.read(["red wine"])
    mean = rows[ids].mean(axis=0)
    vectors = read.encode(TEXTS).vectors
    np.testing.assert_allclose(vectors[0], mean / np.linalg.norm(mean), rtol=1e-5)


def test_a_text_without_tokens_has_a_vector_of_unit_length(folder):
    encoding = encoder(folder).encode(TEXTS)
    assert encoding.tokens.tolist() == [2, 2, 1, 0, 0]
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, rtol=1e-6)


def test_a_long_text_is_read_in_windows_without_special_tokens(folder):
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 10}')
    read = encoder(folder)
    encoding = read.encode(["wine " * 25])
    assert (read.window, encoding.tokens[0], encoding.windows[0]) == (10, 25, 3)
    np.testing.assert_allclose(encoding.vectors[0], read.encode(["wine"]).vectors[0], rtol=1e-5)


def test_what_model2vec_saves_is_read_too(folder):
    expected = encoder(folder).encode(TEXTS).vectors
    put(folder, "embeddings", np.float16)
    np.testing.assert_allclose(encoder(folder).encode(TEXTS).vectors, expected, atol=2e-3)


def test_other_texts_beside_it_change_nothing(folder):
    read = encoder(folder)
    many = [f"wine and fish number {n}" for n in range(300)]
    np.testing.assert_array_equal(read.encode(many).vectors[7], read.encode(many[7:8]).vectors[0])


def test_weights_that_are_not_one_vector_per_token_are_named(folder):
    put(folder, "something")
    with pytest.raises(ModelLoadError, match="holds something, not one vector per token"):
        read_layout(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelLoadError, match="holds nothing"):
        read_layout(folder)


def test_truncated_vectors_are_damaged(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors"):
        read_layout(folder)
