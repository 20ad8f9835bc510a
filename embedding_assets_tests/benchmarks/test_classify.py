import csv
import json

import numpy as np
import pytest

from embedding_assets.benchmarks import classify
from embedding_assets.benchmarks.__main__ import main
from embedding_assets.benchmarks.classify import few_of_each
from embedding_assets.documents.classify.labels import LabelledRow, LabelledTexts
from embedding_assets.embedding.encoder import HashingEncoder

WORDS = {"food": ("soup", "cake", "bread", "oven"), "law": ("court", "judge", "clause", "plea")}
KEYS = {
    "name", "macro_f1", "accuracy", "ece", "abstained", "accuracy_of_rest", "train_seconds",
    "texts_per_s", "train_texts", "test_texts", "categories",
}  # fmt: skip


@pytest.fixture
def files(tmp_path):
    generator = np.random.default_rng(0)
    for name, count in (("train", 20), ("test", 5)):
        with (tmp_path / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["text", "category"])
            for category, words in WORDS.items():
                for number in range(count):
                    writer.writerow(
                        [" ".join([*generator.choice(words, 3), str(number)]), category]
                    )
            writer.writerow(["soup again", "unheard of" if name == "test" else "food"])
            writer.writerow(["soup again", "food"])
    return [f"--train={tmp_path / 'train.csv'}", f"--test={tmp_path / 'test.csv'}"]


def test_rows_of_us_of_words_and_of_names_alone(files, capsys, monkeypatch):
    monkeypatch.setattr(classify, "pin", lambda *_: None)
    monkeypatch.setattr(classify, "load_encoder", lambda *_: HashingEncoder())
    assert main(["classify", *files, "--per-class=8", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == [classify.OURS, classify.PEER, classify.ZERO]
    assert all(set(row) == KEYS for row in rows)
    ours, peer, names = rows
    assert (ours["train_texts"], peer["train_texts"], names["train_texts"]) == (16, 16, 0)
    assert {row["test_texts"] for row in rows} == {12}
    assert ours["accuracy"] == round(11 / 12, 4), "the category that was not there to learn"


def test_a_file_without_labels_is_a_named_failure(files, tmp_path, capsys):
    (tmp_path / "bare.csv").write_text("text\nsoup\n")
    assert main(["classify", files[0], f"--test={tmp_path / 'bare.csv'}"]) == 1
    assert 'no column "label"' in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "why"),
    [("!?", "empty vocabulary"), ("soup", "at least 2 classes")],
    ids=["no word", "one"],
)
def test_a_peer_that_cannot_learn_is_left_out_with_its_reason(
    tmp_path, capsys, monkeypatch, text, why
):
    monkeypatch.setattr(classify, "pin", lambda *_: None)
    monkeypatch.setattr(classify, "load_encoder", lambda *_: HashingEncoder())
    file, described = tmp_path / "few.csv", tmp_path / "categories.yaml"
    file.write_text(f"text,label\n{text} {text},food\n{text},food\n{text},food\n,food\n{text},\n")
    described.write_text("[food, law]")
    files = [f"--train={file}", f"--test={file}", f"--categories={described}"]
    assert main(["classify", *files]) == 0
    printed = capsys.readouterr()
    assert f"left out: {classify.PEER}: It cannot learn from these texts: " in printed.err
    assert why in printed.err
    assert classify.PEER not in printed.out and classify.ZERO in printed.out
    assert "left out of --train: 1 rows that were there before" in printed.out
    for name in ("--train", "--test"):
        assert f"left out of {name}: 1 rows without text" in printed.out
        assert f"left out of {name}: 1 rows without label" in printed.out


def test_a_missing_file_is_named_as_it_was_given(files, capsys):
    assert main(["classify", "--train=nothing.csv", files[1]]) == 1
    assert "nothing.csv does not exist. Put it there, or name another" in capsys.readouterr().err


def test_rows_that_cannot_be_written_are_named_before_anything_is_measured(
    files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(classify, "load_encoder", None)
    assert main(["classify", *files, f"--json={tmp_path / 'absent' / 'rows.json'}"]) == 1
    assert "rows.json cannot be written: " in capsys.readouterr().err


def test_few_of_each_is_drawn_by_the_seed():
    rows = [LabelledRow(f"{label} {n}", label) for label in "ab" for n in range(9)]
    labelled = LabelledTexts.from_rows([*rows, LabelledRow("c 0", "c")])
    found = few_of_each(labelled, 3, seed=1)
    assert np.bincount(found.labels).tolist() == [3, 3, 1]
    assert found.texts == few_of_each(labelled, 3, seed=1).texts
    assert found.texts != few_of_each(labelled, 3, seed=2).texts
