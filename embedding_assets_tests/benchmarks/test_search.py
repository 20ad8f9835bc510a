import json
import math
from dataclasses import fields

import numpy as np
import pytest

from embedding_assets.benchmarks.__main__ import main
from embedding_assets.benchmarks.passages import make_passages
from embedding_assets.benchmarks.search import Row, measure
from embedding_assets.benchmarks.searchers import EXACT, OURS, SEARCHERS, left_out

SMALL = ["search", "--rows", "400", "--rounds", "1", "--peers"]


def test_rows_of_us_and_of_exact_search_as_json_and_as_a_table(tmp_path, capsys):
    file = tmp_path / "rows.json"
    assert main([*SMALL, "--json", str(file)]) == 0
    rows = {row["name"]: row for row in json.loads(file.read_text())}
    assert list(rows) == [EXACT, OURS, f"{OURS} (keyword)", f"{OURS} (hybrid)"]
    table = capsys.readouterr().out
    for row in rows.values():
        assert set(row) == {field.name for field in fields(Row)}
        assert row["p95_ms"] >= row["p50_ms"] > 0 and math.isfinite(row["ratio"])
        assert row["name"] in table
    assert rows[EXACT]["recall"] == rows[OURS]["recall"] == 1
    assert rows[f"{OURS} (hybrid)"]["recall"] is None
    assert rows[EXACT]["ratio"] == 1


def test_json_alone_is_all_of_the_output(capsys):
    assert main([*SMALL, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4


@pytest.mark.parametrize("name", list(SEARCHERS))
def test_each_searcher_that_is_installed_finds_what_exact_search_finds(tmp_path, name):
    if name in left_out():
        pytest.skip(left_out()[name])
    rows = measure([EXACT, name], make_passages(1_000, 200, 0), tmp_path, 1)
    assert rows[-1].name == name
    if rows[-1].recall is not None:
        assert rows[-1].recall > 0.8
    if name.startswith(OURS) and rows[-1].filtered_recall is not None:
        assert rows[-1].filtered_recall == 1


def test_passages_are_the_same_for_a_seed_and_differ_between_seeds():
    one, same, other = (make_passages(30, 5, seed) for seed in (1, 1, 2))
    assert one.texts == same.texts != other.texts
    np.testing.assert_array_equal(one.vectors, same.vectors)
    assert one.queries == same.queries != other.queries


def test_passages_have_unit_vectors_and_queries_near_one_of_them():
    passages = make_passages(300, 20, 0)
    for vectors in (passages.vectors, passages.query_vectors):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    nearest = (passages.query_vectors @ passages.vectors.T).max(axis=1)
    assert ((nearest > 0.55) & (nearest < 0.9)).all()
    batches = list(passages.batches(128))
    assert [batch.num_rows for batch in batches] == [128, 128, 44]
    assert batches[2]["doc_id"][43].as_py() == "d000029"


@pytest.mark.parametrize("option", [["--rows", "0"], ["--peers", "nobody"], ["--unknown"]])
def test_wrong_use_is_refused(option, capsys):
    with pytest.raises(SystemExit) as left:
        main(["search", *option])
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err
