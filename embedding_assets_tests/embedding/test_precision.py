import json
import subprocess
import sys
from dataclasses import replace

import pytest

from embedding_assets.embedding import precision
from embedding_assets.embedding.model import DEFAULT_MODEL, open_encoder, resolve_model
from embedding_assets.embedding.precision import PrecisionReport, measure_precision, pin
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


def report(model, **changes):
    return replace(
        PrecisionReport(
            model.content_sha256, "float32", "packed", 1.0, None, None, 1e-7, 111, "a processor"
        ),
        **changes,
    )


def test_there_are_more_than_a_hundred_probes_and_some_outgrow_the_window():
    assert len(set(PROBES)) > 100
    assert max(len(text.split()) for text in PROBES) > 512


def test_the_packed_path_of_the_default_model_is_measured_and_chosen(model, few_probes):
    found = measure_precision(model)
    assert found.backend == "packed"
    assert found.float32_deviation <= 1e-5
    assert found.min_cosine >= 0.999
    assert found.probes == len(SOME)
    assert found.processor
    if found.bfloat16_cosine is None:
        assert found.precision == "float32"


def test_float32_is_had_when_asked_for(model, few_probes):
    assert measure_precision(model, "float32").precision == "float32"


def test_a_processor_without_bfloat16_gets_float32(model, few_probes, monkeypatch):
    monkeypatch.setattr(precision, "native_bfloat16", lambda: False)
    found = measure_precision(model)
    assert (found.precision, found.backend, found.bfloat16_cosine) == ("float32", "packed", None)
    with pytest.raises(ModelPrecisionError, match="bfloat16 is not to be had"):
        measure_precision(model, "bfloat16")


@pytest.mark.parametrize(
    ("cosine", "speedup", "expected"),
    [(0.9995, 3.0, "bfloat16"), (0.9985, 3.0, "float32"), (0.9995, 0.8, "float32")],
)
def test_bfloat16_must_be_close_and_faster(model, cosine, speedup, expected):
    measured = precision._Measured(1e-7, cosine, speedup)
    assert precision._chosen(model, "auto", measured).precision == expected


def test_bfloat16_that_is_not_close_is_refused(model):
    with pytest.raises(ModelPrecisionError, match=r"0\.9985"):
        precision._chosen(model, "bfloat16", precision._Measured(1e-7, 0.9985, 3.0))


def test_a_packed_path_that_deviates_falls_back_to_sentence_transformers(model):
    found = precision._chosen(model, "auto", precision._Measured(2e-4))
    assert (found.precision, found.backend) == ("float32", "sentence-transformers")


def test_an_unsupported_architecture_goes_the_general_way(tmp_path):
    folder = models.tiny(tmp_path, "distilbert")
    found = measure_precision(resolve_model(str(folder), tmp_path))
    assert (found.precision, found.backend) == ("float32", "sentence-transformers")
    encoder = open_encoder(str(folder), tmp_path)
    assert encoder.encode(["wine and fish"]).vectors.shape == (1, 32)


def test_a_pin_is_measured_once(model, tmp_path, monkeypatch):
    asked = []

    def measure(model, requested):
        asked.append(requested)
        return report(model, processor=f"number {len(asked)}")

    monkeypatch.setattr(precision, "measure_precision", measure)
    first = pin(model, tmp_path)
    assert pin(model, tmp_path) == first == report(model, processor="number 1")
    assert pin(model, tmp_path, "float32").processor == "number 2"
    assert asked == ["auto", "float32"]


def test_of_two_that_pin_at_once_the_first_wins(model, tmp_path, monkeypatch):
    def measure_slowly(model, requested):
        monkeypatch.setattr(precision, "measure_precision", lambda *_: report(model))
        pin(model, tmp_path)
        return report(model, precision="bfloat16")

    monkeypatch.setattr(precision, "measure_precision", measure_slowly)
    assert pin(model, tmp_path) == report(model)
    assert len(list((tmp_path / "precision").iterdir())) == 1


def test_an_unknown_precision_is_named(model, tmp_path):
    with pytest.raises(SettingsError, match="'int8'"):
        pin(model, tmp_path, "int8")


@pytest.mark.parametrize("content", ["{", json.dumps({"precision": "float32"})])
def test_a_damaged_pin_is_named(model, tmp_path, monkeypatch, content):
    monkeypatch.setattr(precision, "measure_precision", lambda *_: report(model))
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
precision.measure_precision = lambda files, requested: precision.PrecisionReport(
    files.content_sha256, "float32", "packed", 1.0, None, None, 0.0, 0, str(os.getpid())
)
print(precision.pin(files, Path({str(tmp_path)!r})).processor)
"""
    running = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert len({process.communicate()[0] for process in running}) == 1
