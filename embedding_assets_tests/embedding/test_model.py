import json
import subprocess
import sys
import tarfile
from dataclasses import replace

import pytest

from embedding_assets.embedding import model as model_module
from embedding_assets.embedding.model import (
    DEFAULT_MODEL,
    encoder_fingerprint,
    load_encoder,
    resolve_model,
)
from embedding_assets.embedding.precision import PrecisionReport
from embedding_assets.errors import ModelChangedError, ModelDamagedError, ModelLoadError
from embedding_assets_tests.embedding import models

REPORT = PrecisionReport(content_sha256="", precision="float32", backend="bert", min_cosine=1.0)


@pytest.fixture
def folder(tmp_path):
    return models.copied(tmp_path)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize("name", [DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"])
def test_the_default_model_comes_from_its_package(tmp_path, name):
    model = resolve_model(name, tmp_path)
    assert (model.dimension, model.window, model.pooling, model.normalize) == (
        384,
        254,
        "mean",
        True,
    )
    assert model.name == name


def test_the_default_model_is_checked_against_the_published_hash(folder, monkeypatch):
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[50_000_000] ^= 1
    weights.write_bytes(content)
    monkeypatch.setattr(model_module, "_packaged_folder", lambda: folder)
    with pytest.raises(ModelDamagedError, match="not the published 53aa5117"):
        resolve_model(DEFAULT_MODEL, folder.parent)


def test_a_folder_and_its_archive_have_the_same_content(tmp_path, folder):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz", compresslevel=1) as tar:
        tar.add(folder, "model")
    unpacked = resolve_model(str(tmp_path / "model.tar.gz"), tmp_path / "models")
    assert unpacked.folder != folder
    assert unpacked.content_sha256 == resolve_model(str(folder), tmp_path).content_sha256


def test_pooling_window_tokenizer_and_weights_decide_the_content_and_the_readme_does_not(folder):
    def content():
        return resolve_model(str(folder), folder.parent).content_sha256

    seen = [content()]
    (folder / "README.md").write_text("changed")
    assert content() == seen[0]
    edit(folder / "1_Pooling/config.json", pooling_mode_cls_token=True)
    seen.append(content())
    edit(folder / "sentence_bert_config.json", max_seq_length=128)
    seen.append(content())
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    seen.append(content())
    assert len(set(seen)) == 4


def test_the_window_is_bounded_by_the_positions(folder):
    edit(folder / "sentence_bert_config.json", max_seq_length=4_000)
    assert resolve_model(str(folder), folder.parent).window == 510


@pytest.mark.parametrize("name", ["no/such-model", "/no/such/folder", "not a name", ""])
def test_an_absent_model_is_a_named_error(tmp_path, name):
    with pytest.raises(ModelLoadError, match=r"Set model\.name|is missing"):
        resolve_model(name or str(tmp_path), tmp_path)


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("modules.json", "modules.json is missing"),
        ("config.json", "config.json is missing"),
        ("1_Pooling/config.json", "config.json is missing"),
        ("model.safetensors", "holds no weights"),
    ],
)
def test_a_missing_file_is_named(folder, file, problem):
    (folder / file).unlink()
    with pytest.raises(ModelLoadError, match=problem):
        resolve_model(str(folder), folder.parent)


@pytest.mark.parametrize("file", ["modules.json", "config.json", "tokenizer.json"])
def test_a_torn_file_is_named(folder, file):
    (folder / file).write_bytes((folder / file).read_bytes()[:-20])
    with pytest.raises(ModelLoadError, match=f"{file} cannot be read"):
        resolve_model(str(folder), folder.parent)


@pytest.mark.parametrize("keep", [0, 4, 500, -1])
def test_truncated_weights_are_damaged(folder, keep):
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:keep])
    with pytest.raises(ModelDamagedError, match=r"model\.safetensors"):
        resolve_model(str(folder), folder.parent)


def test_weights_of_another_width_than_the_configuration_are_named(folder):
    edit(folder / "config.json", hidden_size=256)
    with pytest.raises(ModelLoadError, match="384 dimensions, its network has 256"):
        resolve_model(str(folder), folder.parent)
    edit(folder / "1_Pooling/config.json", word_embedding_dimension=256)
    with pytest.raises(ModelLoadError, match=r"384 dimensions, but config\.json says 256"):
        resolve_model(str(folder), folder.parent)


def test_a_model_that_is_no_text_transformer_is_named(folder):
    (folder / "modules.json").write_text(
        json.dumps([{"idx": 0, "name": "0", "path": "", "type": "x.models.CLIPModel"}])
    )
    with pytest.raises(ModelLoadError, match="CLIPModel, not a Transformer"):
        resolve_model(str(folder), folder.parent)


def test_weights_damaged_after_they_were_resolved_are_noticed_at_load(folder):
    model = resolve_model(str(folder), folder.parent)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-7] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelDamagedError, match="changed after"):
        load_encoder(model, replace(REPORT, content_sha256=model.content_sha256))


def test_a_report_of_another_model_is_refused(tmp_path):
    with pytest.raises(ModelChangedError, match="pinned for content"):
        load_encoder(resolve_model(DEFAULT_MODEL, tmp_path), REPORT)


def test_precision_and_back_end_change_the_fingerprint(tmp_path):
    model = resolve_model(DEFAULT_MODEL, tmp_path)
    reports = [
        REPORT,
        replace(REPORT, precision="bfloat16"),
        replace(REPORT, backend="sentence-transformers"),
    ]
    assert len({encoder_fingerprint(model, report) for report in reports}) == 3


def test_the_bert_path_imports_neither_transformers_nor_sentence_transformers(tmp_path):
    code = f"""
import sys
from dataclasses import replace
from pathlib import Path
from embedding_assets.embedding import model, precision, transformer
assert not {{"torch", "transformers", "tokenizers"}} & set(sys.modules)
files = model.resolve_model(model.DEFAULT_MODEL, Path({str(tmp_path)!r}))
measured = precision.Measurement(float32_deviation=0.0)
report = precision.choose(files, measured, "auto")
model.load_encoder(files, report).encode(["wine"])
assert not {{"transformers", "sentence_transformers"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
