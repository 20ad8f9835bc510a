from datetime import date

from embedding_assets.records.cost import TextChanges
from embedding_assets.records.plan import AssetPlan, DayState, Plan
from embedding_assets.report import (
    Redriven,
    Status,
    neighbours_text,
    plan_text,
    quarantine_text,
    redrive_text,
    settings_rows,
    settings_text,
    status_text,
    table,
)
from embedding_assets.search.similar import Neighbour
from embedding_assets.settings import Settings, setting_names

STATUS = Status(
    data_dir="data/store",
    schema_version=1,
    live_model={"name": "mini", "precision": "bfloat16", "fingerprint": "f" * 64},
    files=3,
    unreadable_files={"b.parquet": "torn"},
    rows={"raw_records": 12_345},
    missing={"raw_records": 2},
    stale={},
    blocked={"raw_records": 1},
    quarantined={"account_id is empty": 1_000, "it lies in the future": 1},
    documents=4,
    quarantined_documents={"bad.pdf": "bad.pdf has no byte."},
    index="20260301T000000Z-abc",
    app_files="as stored",
    app_index="20260302T000000Z-def",
    vectors={"f" * 64: 12_000},
    locks={"tables": "process 7 on here"},
)


def test_tables_align_numbers_to_the_right_and_words_to_the_left():
    assert table(("name", "n"), [("ada", "12,345"), ("bo", 7)]).splitlines() == [
        "name       n",
        "ada   12,345",
        "bo         7",
    ]
    assert table(("name", "n"), []) == "name  n"


def plan(texts=None, seconds=None, why=None):
    asset = AssetPlan("account_embeddings", 1, 2, 3, why or {}, texts, seconds)
    return Plan((asset,), (DayState("account_embeddings", date(2025, 3, 1), "fresh", ""),))


def test_a_plan_shows_days_texts_cost_and_reasons():
    texts = TextChanges(1, 2, 3_000, 4, to_embed=2, tokens=5_000, tokens_estimated=True)
    text = plan_text(plan(texts, 61.4, {"texts or model changed": 2}))
    assert text.splitlines()[1].split() == [
        "account_embeddings", "day", "1", "2", "0", "3", "1", "2", "3,000", "4", "2", "~5,000",
        "61",
    ]  # fmt: skip
    assert "account_embeddings: texts or model changed (2 days)" in text


def test_a_plan_without_a_measured_speed_or_without_work_says_so():
    assert "not measured yet" in plan_text(plan(TextChanges(1, to_embed=1)))
    assert plan_text(plan(TextChanges(), 0.0)).endswith("\nNothing to do.")


def test_a_plan_names_the_table_the_files_and_what_blocks_days_once():
    blocked = "b.parquet cannot be read now"
    assets = (
        AssetPlan("similar_items", 0, 1, 0, {"item_embeddings will change": 1}, partition="table"),
        AssetPlan("quarantined_records", 1, 0, 2, {"never looked at": 1}, partition="file"),
        AssetPlan("raw_records", 0, 0, 3, {blocked: 1}, blocked=1),
        AssetPlan("cleaned_records", 0, 0, 3, {blocked: 1}, blocked=1),
    )
    states = [DayState(a.asset, date(2025, 3, 1), "blocked", blocked) for a in assets[2:]]
    lines = plan_text(Plan(assets, tuple(states))).splitlines()
    assert [line.split() for line in lines[1:5]] == [
        ["similar_items", "table", "0", "1", "0", "0"],
        ["quarantined_records", "file", "1", "0", "0", "2"],
        ["raw_records", "day", "0", "0", "1", "3"],
        ["cleaned_records", "day", "0", "0", "1", "3"],
    ]
    assert lines[6:] == [
        "Why:",
        "  similar_items: item_embeddings will change",
        "  quarantined_records: never looked at (1 file)",
        "Blocked until the file is restored or deleted:",
        "  b.parquet cannot be read now",
    ]
    only = plan_text(Plan(assets[2:], tuple(states)))
    assert "Nothing to do.\nBlocked until" in only


def test_a_status_shows_what_a_person_would_look_for():
    lines = status_text(STATUS).splitlines()
    for line in (
        "data folder   data/store (schema version 1)",
        "live model    mini (bfloat16, ffffffffffff)",
        "record files  3, 1 unreadable",
        "              b.parquet: torn",
        "app files     as stored",
        "app index     20260302T000000Z-def",
        "vectors       12,000 of ffffffffffff",
        "quarantined   1,001 rows",
        "              1,000 × account_id is empty",
        "locks held    tables by process 7 on here",
    ):
        assert line in lines


def test_a_status_counts_missing_stale_and_blocked_days_by_asset():
    [row] = [line for line in status_text(STATUS).splitlines() if line.startswith("raw_records")]
    assert row.split() == ["raw_records", "12,345", "2", "0", "1"]


def test_a_status_of_nothing_is_readable_too():
    empty = Status("d", None, None, 0, {}, {}, {}, {}, {}, {}, 0, {}, None, "none", None, {}, {})
    text = status_text(empty)
    assert "live model    none yet" in text
    assert "locks held    none" in text


def test_neighbours_are_ranked_lines_of_bounded_length():
    text = neighbours_text([Neighbour(1, "ada", "x" * 500, 0.98765)])
    assert text.splitlines()[1] == f"   1   0.988  ada  {'x' * 100}"


def test_quarantined_rows_are_listed_and_the_rest_counted():
    row = {
        "source_file": "a",
        "source_row": None,
        "class": "transient",
        "attempts": 2,
        "reason": "r",
    }
    assert quarantine_text(([row], 1_001)).endswith("… and 1,000 more")
    assert "transient" in quarantine_text(([row], 1))
    assert quarantine_text(([], 0)) == "Nothing is quarantined."


def test_a_redrive_is_told_in_one_sentence():
    assert redrive_text(Redriven(5, 2, ("a", "b"))) == (
        "3 of 5 quarantined rows are good now; 2 days made fresh."
    )
    assert redrive_text(Redriven(0, 0, ())).endswith("no day was stale.")


def test_every_setting_is_listed_with_its_variable_and_meaning():
    rows = settings_rows(Settings())
    assert {row["variable"] for row in rows} == {
        f"EMBEDDING_ASSETS_{name.upper()}" for name in setting_names()
    }
    assert all(row["meaning"] for row in rows)
    assert "EMBEDDING_ASSETS_RECORDS__SOURCE" in settings_text(rows)
