import json

import pytest

from embedding_assets.benchmarks import ner
from embedding_assets.benchmarks.__main__ import main
from embedding_assets.documents.entities.labelled import Span
from embedding_assets.documents.entities.score import Score

LABELLED = "Acme B-ORG\nof O\nOslo B-LOC\n\nin O\nOslo B-LOC\n\n"


def first_words(examples, labels, threads):
    """Calls each sentence's first word an organisation."""
    return lambda sentences: [[Span(0, 1, "ORG")] for _ in sentences]


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setitem(ner.CONTESTANTS, ner.OURS, first_words)
    path = tmp_path / "labelled.conll"
    path.write_text(LABELLED)
    return str(path)


def test_json_has_scores_overall_and_by_type_and_seconds(file, capsys):
    assert main(["ner", "--train", file, "--test", file, "--only", ner.OURS, "--json"]) == 0
    [row] = json.loads(capsys.readouterr().out)
    assert (row["precision"], row["recall"], row["support"]) == (0.5, 1 / 3, 3)
    assert row["types"]["LOC"] == vars(Score(None, 0.0, 0.0, 2))
    assert {"train_s", "train_cpu_s", "sentences_per_s"} <= row.keys()


def test_labels_of_the_test_file_are_spelled_as_in_training_and_its_notes_told(
    file, tmp_path, capsys
):
    entries = [{"text": "Acme", "spans": [{"end": 4, "label": "org"}, {"end": 99, "label": "org"}]}]
    other = tmp_path / "test.json"
    other.write_text(json.dumps(entries))
    assert main(["ner", "--train", file, "--test", str(other), "--only", ner.OURS]) == 0
    printed = capsys.readouterr().out
    assert "ORG (1)" in printed and "1.000" in printed and "org" not in printed
    assert "1 spans outside their text left out, in the test file" in printed


def test_folds_test_each_sentence_once(file, capsys):
    assert main(["ner", "--train", file, "--folds", "2", "--only", ner.OURS]) == 0
    printed = capsys.readouterr().out
    assert "2 labelled sentences, 2 tested in 2 part(s)" in printed
    assert "LOC (2)" in printed


@pytest.mark.parametrize("more", [[], ["--folds", "2", "--test", "x"]])
def test_either_test_or_folds(file, more, capsys):
    assert main(["ner", "--train", file, *more]) == 1
    assert "either --test or --folds" in capsys.readouterr().err


def test_a_peer_that_is_not_installed_is_named(file, capsys, monkeypatch):
    monkeypatch.setattr(ner, "find_spec", lambda name: None)
    assert main(["ner", "--train", file, "--test", file]) == 0
    assert "left out: spacy: not installed" in capsys.readouterr().out


def test_more_folds_than_sentences_are_named(file, capsys):
    assert main(["ner", "--train", file, "--folds", "3", "--only", ner.OURS]) == 1
    assert "2 different sentences for 3 folds" in capsys.readouterr().err


def test_no_threads_are_refused(file, capsys):
    with pytest.raises(SystemExit):
        main(["ner", "--train", file, "--test", file, "--threads", "-1"])
    assert "-1 is not positive" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["absent/rows.json", ""])
def test_rows_that_cannot_be_written_are_named_before_anything_is_measured(
    file, tmp_path, capsys, monkeypatch, name
):
    monkeypatch.setitem(ner.CONTESTANTS, ner.OURS, None)
    target = str(tmp_path / name)
    given = ["--train", file, "--test", file, "--only", ner.OURS, "--json", target]
    assert main(["ner", *given]) == 1
    assert target.rstrip("/") in capsys.readouterr().err


def test_rows_are_written_to_a_file_beside_the_table(file, tmp_path, capsys):
    rows = tmp_path / "rows.json"
    given = ["--train", file, "--test", file, "--only", ner.OURS, "--json", str(rows)]
    assert main(["ner", *given]) == 0
    assert json.loads(rows.read_text())[0]["name"] == ner.OURS
    assert ner.OURS in capsys.readouterr().out
