import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli.experiment_control import app
from embedding_assets.errors import (
    EmbeddingAssetsError,
    InputNotFoundError,
    NotFoundError,
    UnreadableInputError,
)
from embedding_assets.experiments.plan import PlanError

PLAN = {
    "id": "apps",
    "endpoint": "find-similar",
    "layer": "page",
    "share": 0.5,
    "variants": [
        {"name": "old", "weight": 70, "setting": "v1"},
        {"name": "new", "weight": 30, "setting": "v2"},
    ],
    "metrics": [{"name": "clicks", "kind": "rate"}],
}


@pytest.fixture
def command(no_environment, tmp_path):
    """Runs a command in an empty folder; its own errors are raised."""
    (tmp_path / "plan.json").write_text(json.dumps(PLAN))

    def run(*arguments):
        done = CliRunner().invoke(app, arguments)
        if isinstance(done.exception, EmbeddingAssetsError):
            raise done.exception
        return done

    return run


def test_an_experiment_goes_from_its_plan_to_its_decision(command, tmp_path):
    assert (
        "apps  draft  old 70 / new 30  50.00% of layer page"
        in command("create", "plan.json").stdout
    )
    assert "running" in command("start", "apps").stdout
    assert "75.00% of layer page" in command("raise-share", "apps", "0.75").stdout
    shown = command("show", "apps").stdout
    assert "units: old 0, new 0; 0 of them wait" in shown
    assert "keep going" in shown
    assert "stopped" in command("stop", "apps").stdout
    decided = command("decide", "apps", "--choose", "new", "--reason", "enough", "--by", "anna")
    assert "new stays (by_hand)" in decided.stdout
    assert "decided by anna" in command("show", "apps").stdout
    assert (tmp_path / "data/store/service.db").exists()


def test_looking_for_experiments_makes_no_database(command, tmp_path):
    assert command("list").stdout == "There is no experiment.\n"
    with pytest.raises(NotFoundError):
        command("show", "apps")
    assert not (tmp_path / "data").exists()


def test_all_can_be_had_as_json(command):
    assert json.loads(command("list", "--json").stdout) == []
    assert json.loads(command("create", "plan.json", "--json").stdout)["state"] == "draft"
    assert json.loads(command("list", "--json").stdout)[0]["plan"]["id"] == "apps"
    shown = json.loads(command("show", "apps", "--json").stdout)
    assert shown["judgement"]["decision"] == "keep_going"
    assert shown["exposures"] == {"old": 0, "new": 0}


def test_no_experiment_is_said(command):
    assert command("list").stdout == "There is no experiment.\n"


def test_the_database_of_the_settings_is_used(command, monkeypatch, tmp_path):
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    monkeypatch.setenv("EMBEDDING_ASSETS_SERVICE__DATABASE_URL", url)
    command("create", "plan.json")
    assert (tmp_path / "elsewhere.db").exists()


def test_a_choice_needs_its_reason(command):
    assert command("decide", "apps", "--choose", "new").exit_code == 2


def test_a_plan_that_cannot_be_used_is_named(command, tmp_path):
    with pytest.raises(InputNotFoundError, match=r"nothing\.json"):
        command("create", "nothing.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UnreadableInputError, match=r"broken\.json"):
        command("create", "broken.json")
    (tmp_path / "wrong.json").write_text(json.dumps({**PLAN, "alpha": 2}))
    with pytest.raises(PlanError, match="alpha"):
        command("create", "wrong.json")
