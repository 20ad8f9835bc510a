import json
import subprocess
import sys
from dataclasses import replace

import pytest

from embedding_assets.embedding import precision
from embedding_assets.embedding.model import DEFAULT_MODEL, open_encoder, resolve_model
from embedding_assets.embedding.precision import Measurement, choose, measure_precision, pin
from embedding_assets.embedding.probes import PROBES
from embedding_assets.errors import ModelPrecisionError, SettingsError, StoreDamagedError
from embedding_assets_tests.embedding import models

SOME = PROBES[::12]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return resolve_model(DEFAULT_MODEL, tmp_path_factory.mktemp("models"))


@pytest.fixture
def few_probes(monkeypatch):
    monkeypatch.setattr(precision, "PROBES", SOME)


@pytest.fixture
def here(monkeypatch):
    """Measures in this process, whose measuring the test replaces."""
    monkeypatch.setattr(precision, "aside", lambda work, *arguments: work(*arguments))


def report(model, **changes):
    return replace(choose(model, Measurement(float32_deviation=1e-7), "auto"), **changes)


def test_there_are_more_than_a_hundred_probes_and_some_outgrow_the_window():
    assert len(set(PROBES)) > 100
    assert max(len(text.split()) for text in PROBES) > 512


def test_the_bert_path_of_the_default_model_is_measured_and_chosen(model, few_probes):
    found = measure_precision(model)
    assert found.backend == "bert"
    assert found.float32_deviation <= 1e-5
    assert found.min_cosine >= 0.999
    assert found.probes == len(SOME)
    assert found.processor
    if found.bfloat16_cosine is None:
        assert found.precision == "float32"


def test_a_processor_without_bfloat16_gets_float32(model, few_probes, monkeypatch):
    monkeypatch.setattr(precision, "native_bfloat16", lambda: False)
    found = measure_precision(model)
    assert (found.precision, found.backend, found.bfloat16_cosine) == ("float32", "bert", None)


def measured(cosine, speedup):
    return Measurement(
        float32_deviation=1e-7, bfloat16_cosine=cosine, bfloat16_speedup=speedup, processor="p"
    )


@pytest.mark.parametrize(
    ("cosine", "speedup", "expected"),
    [(0.9995, 3.0, "bfloat16"), (0.9985, 3.0, "float32"), (0.9995, 0.8, "float32")],
)
def test_bfloat16_must_be_close_and_faster(model, cosine, speedup, expected):
    assert choose(model, measured(cosine, speedup), "auto").precision == expected


def test_what_is_asked_for_is_had_when_it_is_close(model):
    assert choose(model, measured(0.9995, 3.0), "float32").precision == "float32"
    assert choose(model, measured(0.9995, 0.8), "bfloat16").precision == "bfloat16"


@pytest.mark.parametrize("cosine", [0.9985, None])
def test_bfloat16_that_is_not_close_or_not_there_is_refused(model, cosine):
    with pytest.raises(ModelPrecisionError, match=f"float32 {cosine}"):
        choose(model, measured(cosine, 3.0), "bfloat16")


def test_a_bert_path_that_deviates_falls_back_to_sentence_transformers(model):
    found = choose(model, Measurement(float32_deviation=2e-4), "auto")
    assert (found.precision, found.backend) == ("float32", "sentence-transformers")


def test_an_unsupported_architecture_goes_the_general_way(tmp_path):
    folder = models.tiny(tmp_path, "distilbert")
    found = measure_precision(resolve_model(str(folder), tmp_path))
    assert (found.precision, found.backend) == ("float32", "sentence-transformers")
    encoder = open_encoder(str(folder), tmp_path)
    assert encoder.encode(["wine and fish"]).vectors.shape == (1, 32)


def test_a_pin_is_measured_once_whatever_is_asked_for(model, tmp_path, monkeypatch, here):
    answers = iter([choose(model, measured(0.9995, 3.0), "auto")])
    monkeypatch.setattr(precision, "measure_precision", lambda _: next(answers))
    assert pin(model, tmp_path).precision == "bfloat16"
    assert pin(model, tmp_path).precision == "bfloat16"
    assert pin(model, tmp_path, "float32").precision == "float32"


def test_of_two_that_pin_at_once_the_first_wins(model, tmp_path, monkeypatch, here):
    def measure_slowly(model):
        monkeypatch.setattr(precision, "measure_precision", report)
        pin(model, tmp_path)
        return report(model, precision="bfloat16")

    monkeypatch.setattr(precision, "measure_precision", measure_slowly)
    assert pin(model, tmp_path) == report(model)
    assert len(list((tmp_path / "precision").iterdir())) == 1


def test_an_unknown_precision_is_named(model, tmp_path):
    with pytest.raises(SettingsError, match="'int8'"):
        pin(model, tmp_path, "int8")


@pytest.mark.parametrize("content", ["{", json.dumps({"precision": "float32"})])
def test_a_damaged_pin_is_named(model, tmp_path, monkeypatch, here, content):
    monkeypatch.setattr(precision, "measure_precision", report)
    pin(model, tmp_path)
    next((tmp_path / "precision").iterdir()).write_text(content)
    with pytest.raises(StoreDamagedError, match="Delete the file"):
        pin(model, tmp_path)


def test_processes_that_pin_at_once_agree(model, tmp_path):
    code = f"""
import os
from pathlib import Path
from embedding_assets.embedding import model, precision
files = model.resolve_model(model.DEFAULT_MODEL, Path({str(tmp_path)!r}))
measured = precision.Measurement(processor=str(os.getpid()))
precision.aside = lambda work, *arguments: work(*arguments)
precision.measure_precision = lambda files: precision.choose(files, measured, "auto")
print(precision.pin(files, Path({str(tmp_path)!r})).processor)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
