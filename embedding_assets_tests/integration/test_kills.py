"""`kill -9` at many moments, and then the same command again."""

import json
import shutil
import sqlite3
from contextlib import closing

import duckdb
import pyarrow.parquet as pq
import pytest

from embedding_assets_tests.integration.faults import Killed, until
from embedding_assets_tests.integration.workplace import (
    DAY_ASSETS,
    assert_same_vectors,
    generate,
    leftovers,
    record,
    write_records,
)

FIRST, LAST = "2026-03-01", "2026-03-04"
ASSETS = (
    *DAY_ASSETS, "record_files", "quarantined_records", "latest_account_embeddings",
    "item_embeddings", "similar_accounts", "similar_items",
)  # fmt: skip
LATE = [
    record("ada", "Late lasagne", at="2026-03-02T09:00:00"),
    record("ada", "Early espresso", at="2026-03-04T09:00:00"),
    record("new", "First falafel", at="2026-03-03T09:00:00"),
    record("bad", "", at="2026-03-03T09:00:00"),
]
TABLES = "embedding_assets.storage.tables"
CLIENT = "mlflow.tracking.client:MlflowClient"


def renamed(target, **options):
    return Killed("os:replace", rf"{target}'\)", **options)


MOMENTS = {
    "record_files": renamed("record_files.parquet"),
    "raw_records": renamed(r"raw_records/2026-03-03.parquet"),
    "quarantined_records-in-the-duckdb-transaction": Killed(
        f"{TABLES}:_remember", "quarantined_records"
    ),
    "cleaned_records": renamed(r"cleaned_records/2026-03-04.parquet"),
    "account_texts": renamed(r"account_texts/2026-03-03.parquet", after=True),
    "vectors-before-they-are-durable": renamed(r"vectors/\w+/[\w-]+.parquet"),
    "vectors-once-they-are-durable": renamed(r"vectors/\w+/[\w-]+.parquet", after=True, calls=2),
    "account_embeddings": renamed(r"account_embeddings/2026-03-03.parquet"),
    "mlflow-run-not-ended": Killed(f"{CLIENT}.set_terminated", "FINISHED", calls=2),
    "mlflow-files-without-a-version": Killed("mlflow:register_model"),
    "similar_accounts-in-the-duckdb-transaction": Killed(f"{TABLES}:_remember", "similar_accounts"),
    "warehouse": renamed("warehouse.duckdb", calls=6),
}


@pytest.fixture(scope="module")
def before(registered, tmp_path_factory):
    """A workplace with one finished run, and records that came after it."""
    place = registered.copy(tmp_path_factory.mktemp("before") / "place")
    generate(
        place.source / "sample.parquet", "--records", 120, "--accounts", 15, "--days", 4,
        "--end", LAST,
    )  # fmt: skip
    write_records(
        place.source / "known.parquet",
        [record("ada", "Daily dal", at=f"2026-03-0{day}T08:00:00") for day in (1, 3)],
    )
    assert place.materialize(FIRST, LAST).code == 0
    write_records(place.source / "late.parquet", LATE)
    return place


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory):
    place = before.copy(tmp_path_factory.mktemp("undisturbed") / "place")
    assert place.materialize(FIRST, LAST).code == 0
    return place


def assert_as_undisturbed(place, undisturbed):
    for asset in (*DAY_ASSETS[:3], "record_files"):
        assert (
            place.table(asset)
            .drop_columns(stamps(asset))
            .equals(undisturbed.table(asset).drop_columns(stamps(asset)))
        )
    for asset in ("account_embeddings", "latest_account_embeddings", "item_embeddings"):
        assert_same_vectors(place.table(asset), undisturbed.table(asset))
    for query in (
        "FROM quarantined_records ORDER BY ALL",
        "FROM similar_accounts SELECT account_id, similar_account_id, rank ORDER BY ALL",
    ):
        assert place.warehouse(query) == undisturbed.warehouse(query)


def stamps(asset):
    return ["modified_ns"] if asset == "record_files" else []


def assert_nothing_is_torn(place):
    """Whatever stands under its own name can be read whole, by a person too."""
    for path in (place.data_dir / "assets").glob("*/*.parquet"):
        pq.read_table(path)
    for path in (place.data_dir / "vectors").glob("*/*.parquet"):
        pq.read_table(path)
    with duckdb.connect(str(place.data_dir / "warehouse.duckdb"), read_only=True) as connection:
        for asset in ASSETS:
            connection.execute(f"FROM {asset}").fetchall()


def mlflow_statuses(place):
    with closing(sqlite3.connect(place.data_dir / "mlflow.db")) as connection:
        return [status for (status,) in connection.execute("SELECT status FROM runs")]


def assert_no_vector_was_made_twice(place):
    keys = place.stored_keys()
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_is_finished_by_the_same_command(before, undisturbed, tmp_path, moment):
    place = before.copy(tmp_path / "place")
    if moment == "mlflow-files-without-a-version":
        (place.data_dir / "mlflow.db").unlink()
        shutil.rmtree(place.data_dir / "mlflow")
    done = place.materialize(FIRST, LAST, prepare=MOMENTS[moment])
    assert done.code == -9, done
    assert_nothing_is_torn(place)
    durable = set(place.stored_keys())

    done = place.materialize(FIRST, LAST)
    assert done.code == 0, done
    assert_as_undisturbed(place, undisturbed)
    assert durable <= set(place.stored_keys())
    assert_no_vector_was_made_twice(place)
    assert leftovers(place.data_dir / "assets") == []
    assert "RUNNING" not in mlflow_statuses(place)


def test_embed_killed_between_its_batches_computes_only_the_rest(place):
    records = [record(f"account-{i:05}", f"Dish {i}") for i in range(5_000)]
    source = write_records(place.source / "records.parquet", records)
    output = place.folder / "out" / "out.parquet"
    output.parent.mkdir()
    output.write_bytes(b"good earlier output")
    stored = len(place.stored_keys())
    first_batch = Killed("os:replace", r"vectors/", after=True)
    assert place.embed(source, output, prepare=first_batch).code == -9
    assert output.read_bytes() == b"good earlier output"
    durable = len(place.stored_keys()) - stored
    assert 0 < durable < 5_000

    report = json.loads(place.embed(source, output, "--json").out)
    assert (report["computed"], report["reused"]) == (5_000 - durable, durable)
    assert pq.read_metadata(output).num_rows == 5_000
    assert_no_vector_was_made_twice(place)
    assert sorted(path.name for path in output.parent.iterdir()) == ["out.parquet"]


def test_a_run_killed_from_outside_while_duckdb_writes_its_log(before, undisturbed, tmp_path):
    place = before.copy(tmp_path / "place")
    run = place.start_days(FIRST, LAST)
    log = place.data_dir / "tables.duckdb.wal"
    until(lambda: log.exists() or not run.is_running())
    run.kill()
    assert run.wait().code == -9
    assert_nothing_is_torn(place)
    assert place.materialize(FIRST, LAST).code == 0
    assert_as_undisturbed(place, undisturbed)
