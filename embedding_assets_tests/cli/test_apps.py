import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli import app
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.apps.shelf import V1, published


@pytest.fixture
def run(no_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", str(tmp_path))
    snapshots = Snapshots(tmp_path / "indexes" / "apps")
    published(snapshots)
    published(snapshots, v1={**V1, "radio": [0.0, 0.0, 1.0]})

    def invoke(*arguments):
        return CliRunner().invoke(app, ["apps", *arguments])

    return invoke


def test_similar_apps_are_shown_with_the_reasons(run):
    shown = run("similar", "chess", "-k", "1").stdout
    assert "checkers" in shown and "same category Games" in shown


def test_kept_versions_are_shown_and_the_one_before_can_be_served_again(run):
    kept = json.loads(run("versions", "--json").stdout)
    assert [each["apps"] for each in kept] == [6, 6]
    assert "v1: 5, v2: 3" in run("versions").stdout
    answer = json.loads(run("similar", "chess", "--json").stdout)
    assert answer["index_version"] == kept[1]["version"]
    assert kept[0]["version"] in run("rollback").stdout
    answer = json.loads(run("similar", "chess", "--json").stdout)
    assert answer["index_version"] == kept[0]["version"]
