"""Input that cannot be used, or only in part, through the command line and through a real run."""

import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets_tests.integration.workplace import (
    COLUMNS,
    assert_named_failure,
    contents,
    leftovers,
    record,
    write_records,
)

DAY, NEXT = "2026-03-01", "2026-03-02"
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
GOOD = [record(f"account-{i}", f"Dish number {i} with rice") for i in range(500)]


def absent(path):
    pass


def folder(path):
    path.mkdir()


def no_bytes(path):
    path.touch()


def no_rows(path):
    write_records(path, [])


def footer_gone(path):
    write_records(path, GOOD)
    path.write_bytes(path.read_bytes()[:-200])


def cut_in_half(path):
    write_records(path, GOOD)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def damaged_page(path):
    write_records(path, GOOD, compression="zstd", use_dictionary=False)
    data = bytearray(path.read_bytes())
    middle = pq.ParquetFile(path).metadata.row_group(0).column(1).data_page_offset + 40
    data[middle : middle + 200] = bytes(200)
    path.write_bytes(data)


def csv(path):
    lines = [",".join(COLUMNS), *(",".join(map(str, each.values())) for each in GOOD)]
    path.write_text("\n".join(lines))


def missing_column(path):
    write_records(path, GOOD)
    pq.write_table(pq.read_table(path).drop(["vendor_name"]), path)


def number_column(path):
    write_records(path, GOOD)
    table = pq.read_table(path)
    at = table.schema.get_field_index("account_id")
    pq.write_table(table.set_column(at, "account_id", pa.array(range(len(table)))), path)


def bad_rows_only(path):
    write_records(path, [record(item=None), record(at="yesterday"), record(account="")])


BAD_FILES = {
    absent: ["does not exist", "Check the path"],
    folder: ["is a folder"],
    no_bytes: ["cannot be read as Parquet"],
    no_rows: ["holds no records"],
    footer_gone: ["cannot be read as Parquet"],
    cut_in_half: ["cannot be read as Parquet"],
    damaged_page: ["cannot be read as Parquet"],
    csv: ["cannot be read as Parquet", "another format"],
    missing_column: ["lacks the column vendor_name"],
    number_column: ["account_id has the type int64"],
}


@pytest.mark.parametrize("damage", BAD_FILES, ids=lambda damage: damage.__name__)
def test_a_file_that_cannot_be_used_is_named_and_changes_nothing(place, damage):
    bad = place.source / "records.parquet"
    damage(bad)
    output = place.folder / "out" / "embeddings.parquet"
    output.parent.mkdir()
    output.write_bytes(b"good earlier output")
    before = contents(place.data_dir) | contents(output.parent)
    done = place.embed(bad, output)
    assert_named_failure(done, *BAD_FILES[damage])
    if damage is not number_column:
        assert str(bad) in done.err
    assert contents(place.data_dir) | contents(output.parent) == before
    assert sorted(output.parent.iterdir()) == [output]


def test_when_every_row_is_bad_the_reasons_are_counted_and_the_rows_kept(place):
    bad = place.source / "records.parquet"
    bad_rows_only(bad)
    output = place.folder / "out" / "embeddings.parquet"
    output.parent.mkdir()
    output.write_bytes(b"good earlier output")
    rows = output.with_suffix(".quarantined.parquet")
    assert_named_failure(
        place.embed(bad, output),
        "None of the 3 records",
        "item_description is empty (1)",
        str(rows),
    )
    assert output.read_bytes() == b"good earlier output"
    assert pq.read_table(rows)["source_row"].to_pylist() == [0, 1, 2]
    assert sorted(output.parent.iterdir()) == [output, rows]


@pytest.mark.parametrize(
    "arguments",
    [[], ["one.parquet"], ["a.parquet", "b.parquet", "--history-days", "0"],
     ["a.parquet", "b.parquet", "--no-such-option"]],
    ids=["no-path", "one-path", "no-history", "unknown-option"],
)  # fmt: skip
def test_wrong_use_exits_with_2(place, arguments):
    done = place.embed(*arguments)
    assert done.code == 2
    assert "Usage: embedding-assets embed" in done.err
    assert "Traceback" not in done.err


ODD = [
    record("good"),
    record("good"),
    record("good", at="2026-03-01 12:00:00"),
    record("good", "Same instant, other zone", at="2026-03-01T14:00:00+02:00"),
    record("no-item", None),
    record("empty-item", ""),
    record("blank-item", " \n\t\u00a0"),
    record("emoji", "\U0001f355\U0001f363"),
    record("long", "very long dish " * 70_000),
    record("a/b/../c"),
    record("quo\"te's; DROP TABLE"),
    record("Zoë-東京-🍕"),
    record("two\nlines"),
    record("", "nobody's order"),
    record(None, "nobody's order"),
    record("no-zone", at="2026-03-01T23:59:59"),
    record("other-zone", at="2026-03-02T01:30:00+02:00"),
    record("zulu", at="2026-03-01T00:00:00Z"),
    record("unparsable", at="the other day"),
    record("no-such-day", at="2026-02-30T12:00:00"),
    record("no-time", at=None),
    record("future", at=TOMORROW),
    record("no-vendor", vendor=None, cuisines=None),
]
EMBEDDED = {
    "good", "emoji", "long", "a/b/../c", 'quo"te\'s; DROP TABLE', "Zoë-東京-🍕", "two lines",
    "no-zone", "other-zone", "zulu", "no-vendor",
}  # fmt: skip
REASONS = {
    "no-item": "item_description is empty",
    "empty-item": "item_description is empty",
    "blank-item": "item_description is empty",
    "unparsable": "feature_timestamp is empty or not ISO-8601",
    "no-such-day": "feature_timestamp is empty or not ISO-8601",
    "no-time": "feature_timestamp is empty or not ISO-8601",
    "future": "feature_timestamp lies in the future",
}
DUPLICATES = 2


def reasons_by_account(rows):
    return {row["account_id"]: row["reason"] for row in rows if row["account_id"]}


def test_each_odd_row_is_embedded_or_quarantined_with_its_reason(place):
    source = write_records(place.source / "odd.parquet", ODD)
    output = place.folder / "out" / "embeddings.parquet"
    done = place.embed(source, output, "--json")
    assert (done.code, done.err) == (0, "")
    report = json.loads(done.out)
    table = pq.read_table(output)
    quarantined = pq.read_table(report["quarantine"]).to_pylist()

    assert set(table["account_id"].to_pylist()) == EMBEDDED
    assert reasons_by_account(quarantined) == REASONS
    assert [row["reason"] for row in quarantined if not row["account_id"]] == [
        "account_id is empty"
    ] * 2
    assert report["duplicates"] == DUPLICATES
    in_texts = sum(table["records"].to_pylist())
    assert in_texts + len(quarantined) + DUPLICATES == len(ODD) == report["records"]


def test_a_text_of_1_mb_is_read_in_windows_and_no_token_is_cut(place):
    source = write_records(place.source / "odd.parquet", ODD)
    output = place.folder / "out" / "embeddings.parquet"
    report = json.loads(place.embed(source, output, "--json").out)
    [row] = [row for row in pq.read_table(output).to_pylist() if row["account_id"] == "long"]
    assert len(row["text_for_embedding"]) > 1_000_000
    assert row["tokens"] > 3 * 70_000
    assert row["windows"] == -(-row["tokens"] // 254)
    assert (report["windowed"], report["truncated_tokens"]) == (1, 0)


def test_a_run_accounts_for_each_odd_row_too(graph):
    write_records(graph.source / "odd.parquet", ODD)
    done = graph.materialize(DAY, DAY)
    assert done.code == 0, done
    assert set(graph.table("account_embeddings")["account_id"].to_pylist()) == EMBEDDED
    quarantined = graph.warehouse("FROM quarantined_records SELECT account_id, reason")
    assert {account: reason for account, reason in quarantined if account} == REASONS
    assert len(quarantined) == len(REASONS) + 2
    stats = graph.stats("cleaned_records")[DAY]
    assert stats["duplicates"] == DUPLICATES
    assert graph.warehouse("SELECT count(*) FROM latest_account_embeddings") == [(len(EMBEDDED),)]


def test_columns_of_proper_types_give_the_texts_of_strings(place):
    strings = write_records(place.source / "strings.parquet", GOOD[:5])
    table = pq.read_table(strings)
    moments = pa.array([datetime(2026, 3, 1, 12)] * 5, pa.timestamp("ms"))
    cuisines = pa.array([["italian", "pizza"]] * 5)
    typed = place.folder / "typed.parquet"
    pq.write_table(
        table.set_column(4, "feature_timestamp", moments).set_column(
            3, "vendor_cuisines", cuisines
        ),
        typed,
    )
    outputs = [place.folder / "out" / name for name in ("strings.parquet", "typed.parquet")]
    reports = [
        json.loads(place.embed(source, output, "--json").out)
        for source, output in zip((strings, typed), outputs, strict=True)
    ]
    assert [report["computed"] for report in reports] == [5, 0]
    assert pq.read_table(outputs[0]).equals(pq.read_table(outputs[1]))


def test_unreadable_files_are_listed_while_the_others_go_on_until_they_are_mended(graph):
    write_records(graph.source / "good.parquet", [record("good")])
    damages = (footer_gone, damaged_page, csv, missing_column, no_bytes)
    bad = {f"{damage.__name__}.parquet": damage for damage in damages}
    for name, damage in bad.items():
        damage(graph.source / name)
    done = graph.materialize(DAY, DAY)
    assert done.code == 0, done
    assert graph.table("account_embeddings")["account_id"].to_pylist() == ["good"]
    rows = graph.warehouse("FROM quarantined_records SELECT source_file, reason, class")
    assert {kind for *_, kind in rows} == {"transient"}
    reasons = {file: reason for file, reason, _ in rows}
    assert reasons.keys() == bad.keys()
    for name, damage in bad.items():
        assert BAD_FILES[damage][0] in reasons[name]
        assert str(graph.source / name) in reasons[name]
    status = json.loads(graph.run("embedding-assets", "status", "--json").out)
    assert status["unreadable_files"] == reasons

    for name in bad:
        write_records(graph.source / name, [record(name, f"Mended {name}")])
    assert graph.materialize(DAY, DAY).code == 0
    assert set(graph.table("account_embeddings")["account_id"].to_pylist()) == {"good", *bad}
    assert graph.warehouse("FROM quarantined_records") == []
    assert graph.computed() == {DAY: len(bad)}


def test_a_file_that_breaks_keeps_its_days_as_they_were(graph):
    good = write_records(graph.source / "good.parquet", [record("good")])
    broken = write_records(graph.source / "broken.parquet", [record("broken")])
    assert graph.materialize(DAY, DAY).code == 0
    assets = ("raw_records", "cleaned_records", "account_texts", "account_embeddings")
    before = [contents(graph.data_dir / "assets" / asset) for asset in assets]

    csv(broken)
    done = graph.materialize(DAY, DAY)
    assert done.code == 0, done
    assert [contents(graph.data_dir / "assets" / asset) for asset in assets] == before
    assert graph.warehouse("FROM quarantined_records SELECT source_file") == [("broken.parquet",)]

    write_records(good, [record("good"), record("other", "A dish of the same day")])
    write_records(
        graph.source / "next.parquet",
        [record("good", "A dish of the next day", at=f"{NEXT}T10:00")],
    )
    done = graph.materialize(DAY, NEXT)
    assert done.code == 1
    assert "broken.parquet held 1 records of 2026-03-01 and cannot be read now" in done.err
    assert "Restore the file, or delete it" in done.err
    after = [contents(graph.data_dir / "assets" / asset) for asset in assets]
    assert [{k: v for k, v in now.items() if NEXT not in k} for now in after] == before
    assert all(f"{NEXT}.parquet" in now for now in after)
    latest = dict(graph.warehouse("SELECT account_id, day::VARCHAR FROM latest_account_embeddings"))
    assert latest == {"good": NEXT, "broken": DAY}
    assert leftovers(graph.data_dir) == []

    done = graph.materialize(NEXT, NEXT)
    assert done.code == 0, done
    plan = json.loads(graph.run("embedding-assets", "plan", "--json").out)
    assert {asset["asset"]: asset["blocked"] for asset in plan["assets"] if asset["blocked"]} == (
        dict.fromkeys(assets, 1)
    )
    assert not any(asset["missing"] or asset["stale"] for asset in plan["assets"])
    status = json.loads(graph.run("embedding-assets", "status", "--json").out)
    assert status["blocked"] == dict.fromkeys(assets, 1)

    write_records(broken, [record("broken")])
    done = graph.materialize(DAY, NEXT)
    assert done.code == 0, done
    latest = graph.warehouse("SELECT account_id FROM latest_account_embeddings ORDER BY ALL")
    assert latest == [("broken",), ("good",), ("other",)]


def test_a_redrive_makes_the_days_of_a_mended_file_and_tells_what_stays_bad(graph):
    write_records(graph.source / "good.parquet", [record("good"), record("bad", "")])
    torn = graph.source / "torn.parquet"
    csv(torn)
    assert graph.materialize(DAY, DAY).code == 0
    assert len(graph.warehouse("FROM quarantined_records")) == 2

    write_records(torn, [record("mended", "A dish at last")])
    done = graph.run("embedding-assets", "quarantine", "redrive", "--json")
    assert done.code == 0, done
    assert json.loads(done.out) == {"before": 2, "after": 1, "days": [DAY]}
    accounts = graph.warehouse("SELECT account_id FROM latest_account_embeddings ORDER BY ALL")
    assert accounts == [("good",), ("mended",)]
    assert graph.warehouse("FROM quarantined_records SELECT account_id, attempts") == [("bad", 2)]
    assert graph.computed() == {DAY: 1}


def test_a_source_that_does_not_exist_is_named_by_the_run(graph):
    graph.source.rmdir()
    done = graph.materialize(DAY, DAY)
    assert done.code == 1
    assert f"The source of records, {graph.source}, does not exist." in done.err
    assert "EMBEDDING_ASSETS_RECORDS__SOURCE" in done.err


def test_an_empty_source_gives_empty_tables(graph):
    done = graph.materialize(DAY, DAY)
    assert done.code == 0, done
    for asset in ("account_embeddings", "latest_account_embeddings", "similar_accounts"):
        assert graph.warehouse(f"FROM {asset}") == []


def test_a_day_whose_rows_are_all_bad_has_no_embedding_and_stops_nothing(graph):
    write_records(
        graph.source / "records.parquet",
        [record("bad", "", at=f"{DAY}T08:00:00"), record("good", at="2026-03-02T08:00:00")],
    )
    done = graph.materialize(DAY, "2026-03-02")
    assert done.code == 0, done
    assert graph.table("account_embeddings")["account_id"].to_pylist() == ["good"]
    assert graph.warehouse("FROM quarantined_records SELECT reason") == [
        ("item_description is empty",)
    ]
