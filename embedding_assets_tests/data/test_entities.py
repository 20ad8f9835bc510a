import json
import subprocess
import sys

import pytest

from embedding_assets.documents.entities.reading import read_labelled
from embedding_assets_tests.integration.workplace import GENERATOR


def generate(path, *more):
    done = subprocess.run(
        [sys.executable, GENERATOR, "--entities", path, *more],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_the_same_seed_gives_the_same_labelled_paragraphs(tmp_path):
    one, again, other = (tmp_path / f"{name}.jsonl" for name in ("one", "again", "other"))
    assert generate(one)[0] == generate(again)[0] == generate(other, "--seed", "8")[0] == 0
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()
    labelled = read_labelled(one)
    assert labelled.labels == ("COMPANY", "CUISINE", "DISH", "DISTRICT", "VENDOR")
    assert labelled.notes == {}


def test_the_spans_are_the_names(tmp_path):
    generate(tmp_path / "labelled.jsonl", "--count", "40")
    entries = list(map(json.loads, (tmp_path / "labelled.jsonl").read_text().splitlines()))
    assert len(entries) == 40
    named = {
        entry["text"][span["start"] : span["end"]]
        for entry in entries
        for span in entry["spans"]
        if span["label"] == "COMPANY"
    }
    assert named == {"Plate and Pedal"}
    tables = [entry for entry in entries if " | " in entry["text"]]
    assert tables
    for entry in tables:
        dishes = [entry["text"][span["start"] : span["end"]] for span in entry["spans"]]
        assert dishes == [row.split(" | ")[0] for row in entry["text"].split("\n")[1:]]


@pytest.mark.parametrize(
    ("more", "problem"),
    [(["--count", "0"], "--count 0: must be 1 to 100000"), (["--apps", "x"], "not allowed with")],
)
def test_wrong_use_is_named(tmp_path, more, problem):
    code, said = generate(tmp_path / "labelled.jsonl", *more)
    assert code == 2 and problem in said
