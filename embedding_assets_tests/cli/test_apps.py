import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli.apps import app
from embedding_assets.errors import NotFoundError
from embedding_assets.settings import load_settings
from embedding_assets.workspace import open_workspace
from embedding_assets_tests.apps.shelf import published


@pytest.fixture(autouse=True)
def indexed(tmp_path, no_environment, monkeypatch):
    """A data folder in which an index of apps is published, and nothing else."""
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", str(tmp_path / "store"))
    published(open_workspace(load_settings()).catalogue.snapshots)


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_similar_apps_are_a_table_with_reasons():
    done = run("similar", "chess", "-k", 2)
    assert done.exit_code == 0, done.output
    head, columns, first, second = done.stdout.splitlines()
    assert head.startswith("Version v1, by its vector (index ")
    assert columns.split()[:2] == ["score", "app"]
    assert first.split()[:2] == ["0.894", "checkers"]
    assert first.endswith("same category Games; name shares 'puzzle'")
    assert second.split()[1] == "sudoku"


def test_json_holds_the_whole_answer():
    options = ("--version", "v2", "--filter-category", "tools", "--filter-platform", "IOS")
    done = run("similar", "chess", *options, "--json")
    answer = json.loads(done.stdout)
    assert (answer["version"], answer["placed_by"]) == ("v2", "known")
    assert [each["app_id"] for each in answer["results"]] == ["weather"]
    assert answer["results"][0]["impressions"] == 1_000


def test_a_new_app_is_described():
    done = run("similar", "--category", "games", "--platform", "ios", "-k", 3)
    assert "a new app, placed by apps that share its metadata" in done.stdout
    assert {line.split()[1] for line in done.stdout.splitlines()[2:]} == {
        "chess", "checkers", "sudoku",
    }  # fmt: skip


def test_nothing_that_meets_the_filters_is_said():
    done = run("similar", "chess", "--version", "v2", "--filter-category", "Games")
    assert done.stdout.splitlines()[1:] == ["No app meets the filters."]


@pytest.mark.parametrize("command", ["similar", "predict"])
@pytest.mark.parametrize("arguments", [(), ("chess", "--name", "Chess"), ("--name", " ")])
def test_an_app_is_named_in_just_one_way(command, arguments):
    done = run(command, *arguments)
    assert done.exit_code == 2
    assert "Give either APP_ID" in done.output.replace("\n", " ")


def test_what_cannot_be_predicted_is_named():
    done = run("predict", "chess")
    assert isinstance(done.exception, NotFoundError)
    assert "No performance is known" in done.exception.problem
