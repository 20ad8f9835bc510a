import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from embedding_assets.embedding.folder import read_layout
from embedding_assets.embedding.transformer import BERT, build_encoder
from embedding_assets.embedding.workers import single_thread_workers
from embedding_assets.errors import EmptyInputError, StoreDamagedError
from embedding_assets.quality.pairs import Pairs
from embedding_assets.quality.self_retrieval import self_retrieval
from embedding_assets.training.adapt import Recipe, adapt, averaged
from embedding_assets.training.folder import copy_with, read_weights
from embedding_assets_tests.storage import processes
from embedding_assets_tests.training.words import pairs

RECIPE = Recipe(steps=12, batch=16, tokens=16, rate=1e-3)


@pytest.fixture(scope="module")
def adapted(layout, tmp_path_factory):
    return adapt(layout, pairs(), RECIPE, tmp_path_factory.mktemp("adapted") / "checkpoint")


def same(one, other):
    return one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


def mrr(folder):
    encoder = build_encoder(read_layout(folder), "float32", BERT, "fingerprint", threads=1)
    return self_retrieval(Pairs.of(pairs()), encoder).mrr


def test_what_belongs_together_comes_closer(layout, adapted, tmp_path):
    copy_with(layout, adapted.weights, tmp_path / "adapted")
    assert len(adapted.losses) == RECIPE.steps
    assert adapted.losses[-3:].mean() < adapted.losses[:3].mean()
    assert mrr(tmp_path / "adapted") > mrr(layout.folder) + 0.05


def test_only_the_upper_half_of_the_layers_changes(layout, adapted):
    before = read_weights(layout)
    assert before.keys() == adapted.weights.keys()
    changed = {name for name in before if not (before[name] == adapted.weights[name]).all()}
    assert changed and all(name.startswith("encoder.layer.1.") for name in changed)


def test_the_same_pairs_give_the_same_weights_and_another_seed_others(layout, adapted, tmp_path):
    again = adapt(layout, pairs(), RECIPE, tmp_path / "one")
    other = adapt(layout, pairs(), Recipe(12, 16, 16, 1e-3, seed=1), tmp_path / "other")
    assert same(again.weights, adapted.weights)
    assert not same(other.weights, adapted.weights)


def test_encoding_before_it_does_not_change_what_a_training_gives(layout, adapted, tmp_path):
    with single_thread_workers(1) as workers:
        workers.submit(int).result()  # torch applies their one thread to others too
    torch.set_num_threads(1)
    again = adapt(layout, pairs(), RECIPE, tmp_path / "checkpoint")
    assert same(again.weights, adapted.weights)


def test_a_killed_training_goes_on_to_the_same_weights(layout, adapted, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    code = f"""
from pathlib import Path
from embedding_assets.embedding.folder import read_layout
from embedding_assets.training import adapt
from embedding_assets_tests.training.test_adapt import RECIPE, pairs
step = adapt._Training.step
def waiting(self, number):
    if number == 6:
        import time; time.sleep(600)
    step(self, number)
adapt._Training.step = waiting
adapt.adapt(read_layout(Path({str(layout.folder)!r})), pairs(), RECIPE, Path({str(checkpoint)!r}),
            every=5)
"""
    with subprocess.Popen([sys.executable, "-c", code]) as process:
        while not checkpoint.exists() and process.poll() is None:
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert checkpoint.exists()
    resumed = adapt(layout, pairs(), RECIPE, checkpoint)
    assert same(resumed.weights, adapted.weights)
    assert resumed.losses.tolist() == adapted.losses.tolist()


def test_a_kill_while_a_checkpoint_is_written_leaves_nothing(layout, tmp_path):
    checkpoint = tmp_path / "checkpoint"
    processes.killed_while_writing(checkpoint)
    assert len([*tmp_path.iterdir()]) == 1
    adapt(layout, pairs(), RECIPE, checkpoint)
    assert [*tmp_path.iterdir()] == [checkpoint]


def test_the_checkpoint_of_other_pairs_is_not_gone_on_from(layout, adapted, tmp_path):
    adapt(layout, pairs(40), RECIPE, tmp_path / "checkpoint", every=5)
    assert (tmp_path / "checkpoint").exists()
    again = adapt(layout, pairs(), RECIPE, tmp_path / "checkpoint")
    assert same(again.weights, adapted.weights)


def test_a_torn_checkpoint_is_named(layout, tmp_path):
    (tmp_path / "checkpoint").write_bytes(b"torn")
    with pytest.raises(StoreDamagedError, match="checkpoint"):
        adapt(layout, pairs(), RECIPE, tmp_path / "checkpoint")


def test_too_few_pairs_are_refused(layout, tmp_path):
    with pytest.raises(EmptyInputError, match="31 pairs of texts are too few"):
        adapt(layout, pairs(31), RECIPE, tmp_path / "checkpoint")


def test_pairs_that_share_a_text_are_no_negatives_of_each_other(layout, tmp_path):
    shared = [("one heading", answer) for _, answer in pairs(32)]
    losses = adapt(layout, shared, RECIPE, tmp_path / "checkpoint").losses
    assert losses.tolist() == [0.0] * RECIPE.steps


def test_the_mean_of_weights_lies_between_them(layout, adapted):
    before = read_weights(layout)
    name = "encoder.layer.1.output.dense.weight"
    middle = averaged(adapted.weights, before, 0.25)
    expected = 0.25 * adapted.weights[name] + 0.75 * before[name]
    np.testing.assert_allclose(middle[name], expected)
    assert same(averaged(adapted.weights, before, 0.0), before)


def test_a_copy_differs_in_its_weights_alone(layout, adapted, tmp_path):
    copy_with(layout, adapted.weights, tmp_path / "copy")
    assert same(load_file(tmp_path / "copy" / "model.safetensors"), adapted.weights)
    for path in layout.folder.rglob("*.json"):
        copied = tmp_path / "copy" / path.relative_to(layout.folder)
        assert copied.read_bytes() == path.read_bytes()
