import json

import pytest
from typer.testing import CliRunner

from embedding_assets.cli import app
from embedding_assets.release.promote import Switched
from embedding_assets.release.seats import Seat


@pytest.fixture
def rolled_back(no_environment, tmp_path, monkeypatch):
    """Goes back while the registry does not answer; what was told before it was waited for."""
    monkeypatch.setenv("EMBEDDING_ASSETS_DATA_DIR", str(tmp_path))

    def roll_back(workspace, tell):
        tell(Seat("before"))
        return Switched(Seat("before"), Seat("after"), ("The registry is away.",))

    monkeypatch.setattr("embedding_assets.release.promote.roll_back", roll_back)
    return lambda *words: CliRunner().invoke(app, ["model", "rollback", *words])


def test_who_serves_again_is_told_before_the_registry_is_waited_for(rolled_back):
    done = rolled_back()
    assert done.stderr == "before serves; the warehouse and the registry follow.\n"
    assert done.stdout.splitlines() == [
        "before serves now, before it after.", "Still to follow: The registry is away.",
    ]  # fmt: skip


def test_what_is_told_meanwhile_is_not_in_the_json(rolled_back):
    assert json.loads(rolled_back("--json").stdout)["champion"]["model"] == "before"
