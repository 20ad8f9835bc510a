import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli import app


@pytest.fixture
def run(tmp_path, no_environment, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("EMBEDDING_ASSETS_ENTITIES__PATTERNS", '["money", "isin"]')
    return lambda *arguments: CliRunner().invoke(app, [*arguments])


def test_entities_of_a_text_for_people_and_as_json(run):
    text = "Pay $5 for US0378331005."
    shown = run("entities", text)
    assert shown.exit_code == 0, shown.output
    assert "US0378331005" in shown.stdout and "1 MONEY, 1 ISIN" in shown.stdout
    rows = json.loads(run("entities", text, "--json").stdout)
    assert [(row["label"], row["start"], row["end"]) for row in rows] == [
        ("MONEY", 4, 6), ("ISIN", 11, 23),
    ]  # fmt: skip


def test_entities_of_no_documents(run):
    assert json.loads(run("documents", "entities", "--json").stdout) == []
    assert run("documents", "entities").stdout == "No entities.\n"
