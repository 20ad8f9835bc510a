import json

import pytest
from typer.testing import CliRunner

from embedding_assets import report
from embedding_assets.cli import app
from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets_tests.records.opened import open_shop
from embedding_assets_tests.records.shop import row, stocked


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    shop = stocked(tmp_path_factory.mktemp("shop"))
    shop.put("bad.parquet", row(at="never"))
    shop.run_all()
    return shop


@pytest.fixture
def made(made_once, tmp_path, no_environment, monkeypatch):
    """A shop after a run; the command line opens it."""
    shop = made_once.copy(tmp_path)
    workspace = open_shop(shop, monkeypatch)
    workspace.require_live_model()
    workspace.warehouse.publish()
    return shop


def said(*arguments):
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout


def told(*arguments):
    return json.loads(said(*arguments, "--json"))


def test_a_plan_of_a_fresh_store_is_a_table_and_nothing_to_do(made):
    lines = said("plan").splitlines()
    assert lines[0].split()[:6] == ["asset", "by", "missing", "stale", "blocked", "fresh"]
    assert [line.split()[0] for line in lines[1:11]] == [
        "record_files", "quarantined_records", "raw_records", "cleaned_records", "account_texts",
        "account_embeddings", "latest_account_embeddings", "item_embeddings", "similar_accounts",
        "similar_items",
    ]  # fmt: skip
    assert lines[-1] == "Nothing to do."


def test_a_plan_tells_people_and_programs_the_same(made):
    made.put("new.parquet", row("bob", "Soup", at="2025-03-05"))
    plan = told("plan")
    by_name = {asset["asset"]: asset for asset in plan["assets"]}
    embedded = by_name["account_embeddings"]
    assert (embedded["stale"], embedded["fresh"], embedded["why"]) == (
        1, 3, {"texts or model changed": 1},
    )  # fmt: skip
    assert embedded["texts"]["to_embed"] == by_name["item_embeddings"]["texts"]["to_embed"] == 1
    assert {"asset": "raw_records", "day": "2025-03-05", "state": "stale",
            "why": "record files changed"} in plan["states"]  # fmt: skip
    text = said("plan")
    assert "  account_embeddings: texts or model changed (1 day)" in text
    assert "  similar_items: item_embeddings will change" in text


def test_a_status_counts_rows_vectors_and_what_is_quarantined(made):
    status = told("status")
    assert status["rows"]["account_texts"] == 5
    assert status["quarantined"] == {"feature_timestamp is empty or not ISO-8601": 1}
    assert (status["missing"], status["stale"], status["blocked"]) == ({}, {}, {})
    assert list(status["vectors"].values()) == [8]
    text = said("status")
    assert "1 × feature_timestamp is empty or not ISO-8601" in text
    assert "locks held    none" in text


def test_a_status_names_blocked_days_and_the_file(made):
    (made.source / "ada.parquet").write_bytes(b"torn")
    made.put("new.parquet", row("bob", "Soup", at="2025-03-05"))
    assert told("status")["blocked"] == dict.fromkeys(
        ("raw_records", "cleaned_records", "account_texts", "account_embeddings"), 1
    )
    text = said("plan")
    assert "Blocked until the file is restored or deleted:" in text
    assert text.count("ada.parquet held 1 records of 2025-03-05 and cannot be read now") == 1


@pytest.mark.parametrize(
    ("option", "query", "nearest"),
    [("--account", "bob", "eve"), ("--item", "Dish 1", "Dish 3"), ("--item", "dish", "Dish")],
)
def test_neighbours_are_a_table_of_rank_cosine_id_and_text(made, option, query, nearest):
    [first, second] = told("similar", option, query, "--top", "2")
    assert (first["rank"], second["rank"]) == (1, 2)
    assert first["id"].startswith(nearest) and first["score"] >= second["score"]
    head, *rows = said("similar", option, query, "--top", "2").splitlines()
    assert head.split() == ["rank", "cosine", "id", "text"]
    assert rows[0].split()[:2] == ["1", f"{first['score']:.3f}"]
    assert first["id"] in rows[0]


@pytest.mark.parametrize("options", [[], ["--account", "ada", "--item", "Pho"]])
def test_one_of_account_and_item_is_asked_for(made, options):
    done = CliRunner().invoke(app, ["similar", *options])
    assert done.exit_code == 2
    assert "Give either --account or --item." in done.stderr


@pytest.fixture
def runs(made, monkeypatch):
    """Stands for the runs that a redrive starts: what was asked for, and the days made fresh."""
    asked = []

    def materialize(select, partition_range):
        asked.append((select, partition_range))
        made.run_all()
        workspace = open_shop(made, monkeypatch)
        workspace.warehouse.publish()

    monkeypatch.setattr(report, "_materialize", materialize)
    return asked


def test_a_redrive_tries_every_quarantined_row_again(made, runs):
    made.put("bad.parquet", row("bob", "Soup", at="2025-03-05"))
    assert told("quarantine", "redrive") == {"before": 1, "after": 0, "days": ["2025-03-05"]}
    assert runs == [
        ("record_files,quarantined_records", None),
        ("group:records", "2025-03-05...2025-03-05"),
    ]
    assert said("quarantine", "list") == "Nothing is quarantined.\n"


def test_a_redrive_of_rows_that_stay_bad_makes_no_day(made, runs):
    assert said("quarantine", "redrive") == (
        "0 of 1 quarantined rows are good now; no day was stale.\n"
    )
    assert runs == [("record_files,quarantined_records", None)]
    assert made.footers("quarantined_records")["bad.parquet"].rows == 1
    [listed] = told("quarantine", "list")
    assert (listed["source_file"], listed["class"]) == ("bad.parquet", "permanent")


@pytest.mark.parametrize("makes_the_days", [True, False])
def test_a_run_that_fails_fails_the_redrive_unless_it_made_every_day_that_can_be_made(
    made, runs, monkeypatch, makes_the_days
):
    made.put("bad.parquet", row("bob", "Soup", at="2025-03-05"))
    materialize = report._materialize

    def failing(select, partition_range):
        if not partition_range or makes_the_days:
            materialize(select, None)
        if partition_range:
            raise EmbeddingAssetsError("The run failed.", "Look at it.")

    if not makes_the_days:
        monkeypatch.setattr(made, "run_all", lambda: None)
    monkeypatch.setattr(report, "_materialize", failing)
    done = CliRunner().invoke(app, ["quarantine", "redrive"])
    assert (done.exception is None) is makes_the_days
    assert makes_the_days or isinstance(done.exception, EmbeddingAssetsError)
