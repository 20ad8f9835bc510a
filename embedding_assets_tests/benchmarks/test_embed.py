import json
import math
import subprocess
import sys

import pytest

from embedding_assets.benchmarks.__main__ import main
from embedding_assets.benchmarks.contestants import CONTESTANTS, LEFT_OUT
from embedding_assets.benchmarks.texts import account_texts

KEYS = {
    "name",
    "texts_per_s",
    "tokens_per_s",
    "ratio",
    "min_cosine",
    "peak_rss_mb",
    "query_p50_ms",
}
COMMAND = [sys.executable, "-m", "embedding_assets.benchmarks", "embed", "--peers"]


def test_rows_of_us_and_of_plain_encode_as_json_alone_and_as_a_table(tmp_path):
    file = tmp_path / "rows.json"
    command = [*COMMAND, "--texts", "20", "--rounds", "1", "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = {row["name"]: row for row in json.loads(file.read_text())}
    assert list(rows) == ["sentence-transformers", "embedding_assets", "embedding_assets (float32)"]
    for row in rows.values():
        assert set(row) == KEYS
        assert all(math.isfinite(value) for key, value in row.items() if key != "name")
        assert row["min_cosine"] >= 0.999
        assert row["name"] in done.stdout
    assert rows["sentence-transformers"]["ratio"] == 1
    assert "cores" in done.stdout and "left out: fastembed" in done.stdout


def test_texts_are_the_same_for_a_seed_and_differ_between_seeds():
    assert account_texts(50, 1) == account_texts(50, 1) != account_texts(50, 2)


def test_text_lengths_are_skewed():
    words = sorted(len(text.split()) for text in account_texts(2_000, 0))
    assert words[100] < 15 < words[1_000] < 60 < words[1_900]


def test_no_peer_is_both_run_and_left_out():
    assert not set(CONTESTANTS) & set(LEFT_OUT)


def test_a_model_that_is_absent_is_a_named_failure(capsys):
    assert main(["embed", "--model", "/no/such/model"]) == 1
    assert "Set model.name" in capsys.readouterr().err


@pytest.mark.parametrize("option", [["--texts", "0"], ["--peers", "nobody"], ["--unknown"]])
def test_wrong_use_is_refused(option, capsys):
    with pytest.raises(SystemExit) as left:
        main(["embed", *option])
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err
