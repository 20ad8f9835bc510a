import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli import app


@pytest.fixture
def drift(tmp_path, no_environment, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", str(tmp_path / "store"))
    return lambda *arguments: CliRunner().invoke(app, ["drift", *arguments])


def test_where_nothing_is_stored_each_measure_says_so(drift):
    done = drift("--until", "2026-03-31")
    assert done.exit_code == 0, done.output
    assert "2026-03-25 to 2026-03-31 against 2025-12-25 to 2026-03-24" in done.output
    assert done.output.count("no data in the window") == 4
    assert "search, empty results: not judged: no searches are kept" in done.output


def test_the_same_as_json(drift):
    done = drift("--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {row["domain"] for row in found["drift"]} == {
        "accounts", "documents", "queries", "apps",
    }  # fmt: skip
    assert {row["verdict"] for row in found["performance"]} == {"not judged"}


def test_a_day_that_is_none_is_wrong_use(drift):
    assert drift("--until", "yesterday").exit_code == 2
