import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from embedding_assets.documents.entities import training
from embedding_assets.documents.entities.labelled import Span
from embedding_assets.documents.entities.model import EntityModel
from embedding_assets.documents.entities.training import Recipe, train
from embedding_assets.embedding.folder import read_layout
from embedding_assets.errors import ModelDamagedError, ModelLoadError
from embedding_assets_tests.documents.entities.villages import LABELS, TEXTS
from embedding_assets_tests.integration.tiny import tiny_model
from embedding_assets_tests.storage import processes

RECIPE = Recipe(sentences=4, fewest_steps=12, most_passes=3, rate=1e-3, new_rate=1e-2)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return read_layout(tiny_model(tmp_path_factory.mktemp("base") / "tiny"))


def weights(model):
    return {name: each.numpy() for name, each in model.network.state_dict().items()}


def same(one, other):
    mine, theirs = weights(one), weights(other)
    return all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_it_learns_names_that_it_is_taught(base):
    model = train(TEXTS, LABELS, base, replace(RECIPE, fewest_steps=150, most_passes=99), threads=1)
    found = model.tag([example.words for example in TEXTS])
    assert [tuple(span for span, _ in some) for some in found] == [each.spans for each in TEXTS]


def test_the_same_seed_gives_the_same_model_and_another_one_another(base):
    first, again, other = (
        train(TEXTS, LABELS, base, replace(RECIPE, seed=seed), threads=1) for seed in (1, 1, 2)
    )
    assert same(first, again)
    assert not same(first, other)


@pytest.mark.parametrize("step", [7, 9], ids=["before the mean", "within the mean"])
def test_training_that_is_killed_goes_on_to_the_same_model(base, tmp_path, step):
    recipe = replace(RECIPE, checkpoint_seconds=0.0)
    code = f"""
import os, signal
from pathlib import Path
from embedding_assets.documents.entities import training
from embedding_assets.embedding.folder import read_layout
from embedding_assets_tests.documents.entities.villages import LABELS, TEXTS
kept = training._Run.keep
def killed(run):
    kept(run)
    if run.step == {step}:
        os.kill(os.getpid(), signal.SIGKILL)
training._Run.keep = killed
from embedding_assets.documents.entities.training import Recipe
training.train(TEXTS, LABELS, read_layout(Path({str(base.folder)!r})), {recipe!r}, threads=1,
               work=Path({str(tmp_path)!r}))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -9, done.stderr
    steps = []
    with pytest.MonkeyPatch.context() as patch:
        advance = training._Run.advance
        patch.setattr(
            training._Run, "advance", lambda run: (steps.append(run.step), advance(run))[1]
        )
        resumed = train(TEXTS, LABELS, base, recipe, threads=1, work=tmp_path)
    assert steps == list(range(step, 10))
    assert same(resumed, train(TEXTS, LABELS, base, RECIPE, threads=1))


def test_a_kill_while_a_checkpoint_is_written_leaves_nothing(base, tmp_path):
    processes.killed_while_writing(tmp_path / "checkpoint.safetensors")
    assert len([*tmp_path.iterdir()]) == 1
    train(TEXTS, LABELS, base, RECIPE, threads=1, work=tmp_path)
    assert not [*tmp_path.iterdir()]


def test_weights_are_the_mean_of_the_last_third(base, monkeypatch):
    after = []
    advance = training._Run.advance

    def noted(run):
        loss = advance(run)
        after.append(run.network.out.weight.detach().numpy().copy())
        return loss

    monkeypatch.setattr(training._Run, "advance", noted)
    model = train(TEXTS, LABELS, base, RECIPE, threads=1)
    assert np.allclose(weights(model)["out.weight"], np.mean(after[-3:], axis=0), atol=1e-6)
    assert not np.allclose(weights(model)["out.weight"], after[-1], atol=1e-6)


def other_weights(base, folder):
    """A base of the same shape."""
    shutil.copytree(base.folder, folder)
    weights = load_file(folder / "model.safetensors")
    save_file({name: -each for name, each in weights.items()}, folder / "model.safetensors")
    return read_layout(folder)


def other_tokenizer(base, folder):
    shutil.copytree(base.folder, folder)
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace('"oslo"', '"0slo"'))
    return read_layout(folder)


@pytest.mark.parametrize(
    "damage", ["torn", "of other texts", "of other weights", "of another tokenizer"]
)
def test_a_checkpoint_that_does_not_fit_is_not_used(base, tmp_path, damage):
    recipe = replace(RECIPE, checkpoint_seconds=0.0)
    work = tmp_path / "work"
    train(TEXTS, LABELS, base, recipe, threads=1, work=work)
    [path] = work.iterdir()
    texts = TEXTS
    if damage == "of other weights":
        base = other_weights(base, tmp_path / "other")
    elif damage == "of another tokenizer":
        base = other_tokenizer(base, tmp_path / "other")
    if damage == "torn":
        path.write_bytes(path.read_bytes()[:-100])
    elif damage == "of other texts":
        texts = TEXTS[1:]
    again = train(texts, LABELS, base, recipe, threads=1, work=work)
    assert same(again, train(texts, LABELS, base, RECIPE, threads=1))


@pytest.mark.parametrize("examples", [TEXTS[:1], TEXTS[:2]], ids=["one example", "one class"])
def test_one_class_and_one_example_are_enough(base, examples):
    labels = sorted({span.label for each in examples for span in each.spans})
    model = train(examples, labels, base, RECIPE, threads=1)
    assert model.types == tuple(labels)
    assert len(model.tag([["Bergen"], []])) == 2


def test_a_long_sentence_is_read_in_parts(base):
    model = train(TEXTS, LABELS, base, replace(RECIPE, fewest_steps=150, most_passes=99), threads=1)
    words = [word for example in TEXTS for word in example.words] * 40
    [found] = model.tag([words])
    assert {span.label for span, _ in found} == set(LABELS)
    assert all(0 <= span.start < span.end <= len(words) for span, _ in found)
    assert max(span.start for span, _ in found) > 600


def test_a_name_has_one_label_in_a_document(base, monkeypatch):
    model = train(TEXTS, LABELS, base, RECIPE, threads=1)

    def found(sentences):
        sure, unsure = [(Span(0, 1, "PLACE"), 0.9)], [(Span(0, 1, "PERSON"), 0.6)]
        return [unsure if "is" in words else sure for words in sentences]

    monkeypatch.setattr(model, "_tag", found)
    texts = ["Oslo", "Oslo is here", "Oslo is there"]

    def labels(documents=None):
        return [some[0].label for some in model.find(texts, documents)]

    assert labels() == ["PLACE", "PERSON", "PERSON"]
    assert labels([1, 1, 2]) == ["PLACE", "PLACE", "PERSON"]


def test_a_saved_model_finds_the_same_in_texts(base, tmp_path):
    model = train(TEXTS, LABELS, base, replace(RECIPE, fewest_steps=150, most_passes=99), threads=1)
    texts = ["Anna lives in Oslo.", "", "Bergen | Anna\nno name", "…"]
    model.save(tmp_path / "model")
    loaded = EntityModel.load(tmp_path / "model", threads=1)
    found = loaded.find(texts)
    assert found == model.find(texts)
    assert [(texts[0][each.start : each.end], each.label) for each in found[0]] == [
        ("Anna", "PERSON"),
        ("Oslo", "PLACE"),
    ]
    assert {path.suffix for path in (tmp_path / "model").iterdir()} == {".json", ".safetensors"}


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "tokenizer.json"])
def test_a_damaged_model_is_named(base, tmp_path, name):
    train(TEXTS, LABELS, base, RECIPE, threads=1).save(tmp_path / "model")
    path = tmp_path / "model" / name
    path.write_bytes(path.read_bytes()[:-40] + b" " * 39)
    with pytest.raises(ModelDamagedError, match="The entity model in .* cannot be read"):
        EntityModel.load(tmp_path / "model")


def test_an_encoder_that_is_no_bert_is_named(base, tmp_path):
    other = tiny_model(tmp_path / "other")
    config = other / "config.json"
    config.write_text(config.read_text().replace('"bert"', '"roberta"'))
    with pytest.raises(ModelLoadError, match="'roberta' model; entities need a BERT"):
        train(TEXTS, LABELS, replace(base, transformer=other), RECIPE, threads=1)


def test_steps_are_bounded_by_what_is_read():
    recipe = Recipe(sentences=10, passes=5, fewest_steps=100, most_passes=30, most_pieces=1_000)
    assert recipe.steps(examples=10, pieces=10) == 30
    assert recipe.steps(examples=100, pieces=10) == 100
    assert recipe.steps(examples=400, pieces=10) == 200
    assert recipe.steps(examples=400, pieces=2_000) == 20
