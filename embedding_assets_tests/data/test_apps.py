import csv
import os
import pickle
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from embedding_assets.apps.tables import read_app_vectors, read_catalogue, read_performance
from generate_data import main

SCRIPT = Path(__file__).parents[2] / "data" / "generate_data.py"
FILES = {
    "sample_apps.csv",
    "historical_performance.csv",
    "mock_embeddings_v1.pkl",
    "mock_embeddings_v2.pkl",
}


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("apps")
    assert main(["--apps", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def tables(folder):
    catalogue = read_catalogue(folder / "sample_apps.csv")
    vectors = {
        version: read_app_vectors(folder / f"mock_embeddings_{version}.pkl", catalogue.table)
        for version in ("v1", "v2")
    }
    return catalogue, vectors, read_performance(folder / "historical_performance.csv")


def same_category(tables, version):
    """Share of the 10 nearest of each app that have its category, where both are known."""
    catalogue, vectors, _ = tables
    of_app = {row["app_id"]: row["super_category"] for row in catalogue.table.to_pylist()}
    table = vectors[version].table
    matrix = np.array(table["vector"].to_pylist())
    unit = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    scores = unit @ unit.T
    np.fill_diagonal(scores, -1)
    names = np.array([of_app[app_id] or "" for app_id in table["app_id"].to_pylist()])
    nearest = names[np.argsort(-scores, axis=1)[:, :10]]
    known = (names != "")[:, None] & (nearest != "")
    return (nearest == names[:, None])[known].mean()


def test_script_writes_500_apps_and_says_by_how_much_v2_is_better(tmp_path):
    command = [sys.executable, str(SCRIPT), "--apps", str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.fullmatch(
        r"(.*): 500 apps; of the 10 nearest ([\d.]+)% in v1, ([\d.]+)% in v2 are of the same "
        r"category, ([\d.]+)% by chance; [\d.]+ s\n",
        done.stdout,
    )
    assert found[1] == str(tmp_path / "new")
    v1, v2, chance = map(float, found.groups()[1:])
    assert 60 < v1 < 80 < 90 < v2 < 99
    assert 8 < chance < 10
    assert {*contents(tmp_path / "new")} == FILES


def test_what_is_said_holds_of_the_files(tables, folder, tmp_path, capsys):
    assert main(["--apps", str(tmp_path)]) == 0
    said = re.findall(r"([\d.]+)% in v", capsys.readouterr().out)
    assert contents(tmp_path) == contents(folder)
    for version, share in zip(("v1", "v2"), said, strict=True):
        assert same_category(tables, version) == pytest.approx(float(share) / 100, abs=0.02)


def test_all_of_it_can_be_read_back(tables):
    catalogue, vectors, performance = tables
    for read in (catalogue, performance, *vectors.values()):
        assert read.rejects.num_rows == 0
    ids = set(catalogue.table["app_id"].to_pylist())
    assert len(ids) == 500
    assert all(re.fullmatch(r"APP_\d{5}", app_id) for app_id in ids)
    for version, dimension in (("v1", 64), ("v2", 128)):
        assert set(vectors[version].table["app_id"].to_pylist()) == ids
        assert vectors[version].notes["dimension"] == dimension
    assert set(performance.table["app_id"].to_pylist()) < ids


def test_ids_repeat_and_values_are_missing(tables):
    notes = tables[0].notes
    assert 30 < notes["repeated_rows"] < 90
    assert notes["missing_app_name"] and notes["missing_super_category"]
    assert notes["missing_app_platform"] and notes["conflicting_super_category"]
    assert Counter(tables[0].table["app_platform"].to_pylist()).keys() == {
        *("android", "ios", "web", "desktop", None)
    }
    assert len(set(tables[0].table["super_category"].to_pylist())) == 13


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_vectors_come_in_all_shapes(folder, version):
    content = pickle.loads((folder / f"mock_embeddings_{version}.pkl").read_bytes())
    shapes = Counter(
        f"{value.ndim}-d" if isinstance(value, np.ndarray) else type(value).__name__
        for value in content.values()
    )
    assert shapes.keys() == {"1-d", "2-d", "list", "dict"}
    assert shapes["1-d"] > 400
    assert {frozenset(value) for value in content.values() if isinstance(value, dict)} == {
        frozenset({"vec", "meta"})
    }


def test_names_tell_the_category(tables):
    words = defaultdict(set)
    for row in tables[0].table.to_pylist():
        if row["app_name"] and row["super_category"]:
            words[row["super_category"]].update(row["app_name"].split())
    assert {"Sudoku", "Word"} & words["Puzzle Games"]
    assert "Bank" in words["Finance"]
    assert "Bank" not in words["Puzzle Games"]


def test_performance_has_several_rows_for_an_app_and_gaps_in_what_is_optional(folder, tables):
    with (folder / "historical_performance.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert 1000 < len(rows) < 3000
    assert {*Counter(row["app_id"] for row in rows).values()} == {1, 2, 3, 4, 5, 6}
    assert any(row["event_count"] == "" for row in rows)
    assert any(row["mmp_offer_default_revenue"] == "" for row in rows)
    assert tables[2].notes["rows_without_impressions"] > 0


def test_click_rates_depend_on_the_place_of_an_app(tables):
    """The rate of an app's nearest neighbours predicts its own; that of others does not."""
    _, vectors, performance = tables
    rate = {
        row["app_id"]: row["clicks"] / row["impressions"]
        for row in performance.table.to_pylist()
        if row["impressions"] > 500
    }
    assert 0.01 < np.median([*rate.values()]) < 0.1
    explained = {}
    for version in ("v1", "v2"):
        rows = [row for row in vectors[version].table.to_pylist() if row["app_id"] in rate]
        unit = np.array([row["vector"] for row in rows])
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        own = np.log([rate[row["app_id"]] + 0.001 for row in rows])
        scores = unit @ unit.T
        np.fill_diagonal(scores, -1)
        near = own[np.argsort(-scores, axis=1)[:, :10]].mean(axis=1)
        far = own[np.argsort(scores, axis=1)[:, 1:11]].mean(axis=1)
        explained[version] = np.corrcoef(own, near)[0, 1]
        assert explained[version] > 0.4 > np.corrcoef(own, far)[0, 1] + 0.1
    assert explained["v2"] > explained["v1"]


def test_same_arguments_give_the_same_bytes_and_another_seed_others(tmp_path):
    for name, seed in (("one", "7"), ("two", "7"), ("other", "8")):
        arguments = ["--apps", str(tmp_path / name), "--count", "50", "--seed", seed]
        assert main(arguments) == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    for name, content in contents(tmp_path / "other").items():
        assert content != contents(tmp_path / "one")[name]


@pytest.mark.parametrize("count", [1, 2, 3000])
def test_count_says_how_many_apps(tmp_path, count):
    assert main(["--apps", str(tmp_path), "--count", str(count)]) == 0
    catalogue = read_catalogue(tmp_path / "sample_apps.csv").table
    vectors = read_app_vectors(tmp_path / "mock_embeddings_v2.pkl", catalogue)
    assert (len(catalogue), len(vectors.table)) == (count, count)
    assert len(read_performance(tmp_path / "historical_performance.csv").table) > 0.8 * count


def test_nothing_is_replaced_when_one_file_cannot_be_written(tmp_path, monkeypatch, capsys):
    assert main(["--apps", str(tmp_path), "--count", "20"]) == 0
    before = contents(tmp_path)

    def fail(*_, **__):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("samples.apps.pickle.dump", fail)
    assert main(["--apps", str(tmp_path), "--count", "30"]) == 1
    assert contents(tmp_path) == before
    assert capsys.readouterr().err == (
        f"generate_data.py: error: cannot write {tmp_path}: No space left on device\n"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--count", "5"], "--count 5: needs --documents FOLDER, --apps FOLDER or --entities FILE"),
        (["--apps", "new", "--count", "0"], "--count 0: must be 1 to 1000000"),
        (["--apps", "new", "--documents", "other"], "not allowed with argument"),
        (["--apps", __file__], f"--apps {__file__}: is a file"),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(arguments, reason, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    problem = capsys.readouterr().err
    assert reason in problem
    assert problem.count("\n") == 1
