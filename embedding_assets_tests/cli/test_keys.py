import json
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from embedding_assets.cli.keys import app
from embedding_assets.database import DatabaseUnavailableError
from embedding_assets.errors import NotFoundError


@pytest.fixture
def run(no_environment):
    """Runs a command in an empty folder: its result."""
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


def test_a_key_is_printed_once_and_only_listed_by_its_id(run):
    made = run("create", "page", "--scope", "search", "--scope", "embed", "--per-minute", "60")
    secret = made.stdout.strip()
    assert secret.startswith("ea_")
    assert "not shown again" in made.stderr
    listed = run("list").stdout
    assert "page: embed, search, 60 a minute" in listed
    assert secret not in listed


def test_json_holds_all_of_a_key_and_its_secret_only_at_its_creation(run):
    made = json.loads(run("create", "page", "--expires", "90d", "--json").stdout)
    [listed] = json.loads(run("list", "--json").stdout)
    assert made.pop("key").startswith("ea_")
    assert listed == made
    assert listed["scopes"] == ["accounts", "documents", "embed", "search", "similar"]
    assert listed["state"] == "valid"
    expires = datetime.fromisoformat(listed["expires"])
    assert timedelta(days=89) < expires - datetime.now(UTC) < timedelta(days=91)


def test_a_revoked_key_is_listed_as_such(run):
    run("create", "page")
    [key] = json.loads(run("revoke", "page", "--json").stdout)
    assert f"{key['id']}  revoked" in run("list").stdout
    with pytest.raises(NotFoundError):
        run("revoke", key["id"])


def test_an_empty_list_says_how_to_make_a_key(run):
    assert "embedding-assets keys create" in run("list").stdout


def test_looking_for_keys_makes_no_database(run, tmp_path):
    run("list")
    with pytest.raises(NotFoundError):
        run("revoke", "page")
    assert not (tmp_path / "data").exists()


def test_keys_whose_database_is_gone_are_not_said_to_be_none(run, tmp_path):
    run("create", "page")
    (tmp_path / "data/store/service.db").unlink()
    with pytest.raises(DatabaseUnavailableError, match="gone"):
        run("list")


@pytest.mark.parametrize("when", ["soon", "0d", "90", "2027-13-01"])
def test_an_odd_expiry_is_wrong_use(run, when):
    result = run("create", "page", "--expires", when)
    assert result.exit_code == 2
    assert "2027-12-31" in result.stderr


def test_a_date_without_zone_is_utc(run):
    made = json.loads(run("create", "page", "--expires", "2999-12-31", "--json").stdout)
    assert made["expires"] == "2999-12-31T00:00:00+00:00"
