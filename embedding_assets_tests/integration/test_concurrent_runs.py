"""Runs beside each other and beside readers, and records that come later."""

import fcntl
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from embedding_assets_tests.integration.faults import Held, until
from embedding_assets_tests.integration.workplace import (
    DAY_ASSETS,
    assert_same_vectors,
    contents,
    generate,
    leftovers,
    record,
    today,
    write_records,
)

FIRST, LAST = "2026-03-01", "2026-03-04"
READER = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
query = "SELECT count(*) FROM similar_accounts"
for _ in sys.stdin:
    print(connection.execute(query).fetchone()[0], flush=True)
"""


@pytest.fixture(scope="module")
def sampled(registered, tmp_path_factory):
    """A workplace with a source of four days, no asset made."""
    place = registered.copy(tmp_path_factory.mktemp("sampled") / "place")
    generate(
        place.source / "sample.parquet", "--records", 120, "--accounts", 15, "--days", 4,
        "--end", LAST,
    )  # fmt: skip
    return place


@pytest.fixture(scope="module")
def finished(sampled, tmp_path_factory):
    place = sampled.copy(tmp_path_factory.mktemp("finished") / "place")
    assert place.materialize(FIRST, LAST).code == 0
    return place


def assert_all_days_as_in(place, finished):
    for asset in DAY_ASSETS[:3]:
        assert place.table(asset).equals(finished.table(asset))
    assert_same_vectors(place.table("account_embeddings"), finished.table("account_embeddings"))
    assert leftovers(place.data_dir) == []


def assert_overviews_as_in(place, finished):
    for asset in ("latest_account_embeddings", "item_embeddings"):
        assert_same_vectors(place.table(asset), finished.table(asset))
    query = "FROM similar_accounts SELECT account_id, similar_account_id, rank ORDER BY ALL"
    assert place.warehouse(query) == finished.warehouse(query)


def test_two_runs_of_different_days_at_once_both_finish(sampled, finished, tmp_path):
    place = sampled.copy(tmp_path / "place")
    runs = [place.start_days(FIRST, "2026-03-02"), place.start_days("2026-03-03", LAST)]
    assert [run.wait().code for run in runs] == [0, 0]
    assert_all_days_as_in(place, finished)
    assert_overviews_as_in(place, finished)


def test_of_two_runs_the_one_that_knows_fewer_days_never_has_the_last_word(
    sampled, finished, tmp_path
):
    place = sampled.copy(tmp_path / "place")
    held, others_done = tmp_path / "held", tmp_path / "others-done"
    slow = place.start_days(
        FIRST, "2026-03-02",
        prepare=Held("/latest_account_embeddings.parquet", held, others_done),
    )  # fmt: skip
    until(held.exists)
    assert place.materialize("2026-03-03", LAST).code == 0
    others_done.touch()
    assert slow.wait().code == 0
    assert_overviews_as_in(place, finished)


def test_two_runs_of_the_same_days_at_once_both_finish(sampled, finished, tmp_path):
    place = sampled.copy(tmp_path / "place")
    runs = [place.start_days(FIRST, LAST) for _ in range(2)]
    assert [run.wait().code for run in runs] == [0, 0]
    assert_all_days_as_in(place, finished)
    assert_overviews_as_in(place, finished)


def test_two_processes_that_store_the_same_vectors_at_once_do_no_harm(place):
    source = write_records(
        place.source / "records.parquet", [record(f"account-{i}", f"Dish {i}") for i in range(300)]
    )
    outputs = [place.folder / "out" / name for name in ("one.parquet", "two.parquet")]
    commands = [place.start("embedding-assets", "embed", source, output) for output in outputs]
    assert [command.wait().code for command in commands] == [0, 0]
    assert_same_vectors(*(pq.read_table(output) for output in outputs), least_cosine=0.999999)
    report = json.loads(place.embed(source, outputs[0], "--json").out)
    assert (report["computed"], report["reused"]) == (0, 300)
    assert leftovers(place.folder) == []


def test_two_embeds_of_one_output_at_once_leave_one_whole_file(place):
    source = write_records(
        place.source / "records.parquet", [record(f"account-{i}", f"Dish {i}") for i in range(300)]
    )
    output = place.folder / "out" / "out.parquet"
    commands = [place.start("embedding-assets", "embed", source, output) for _ in range(2)]
    assert [command.wait().code for command in commands] == [0, 0]
    assert pq.read_table(output).num_rows == 300
    assert list(output.parent.iterdir()) == [output]


def test_an_open_reader_neither_blocks_a_run_nor_is_disturbed_by_it(finished, tmp_path):
    place = finished.copy(tmp_path / "place")
    warehouse = place.data_dir / "warehouse.duckdb"
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(warehouse)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip

    def counted():
        reader.stdin.write("again\n")
        reader.stdin.flush()
        return int(reader.stdout.readline())

    before = counted()
    write_records(place.source / "more.parquet", [record("newcomer", "New noodles")])
    run = place.start_days(FIRST, LAST)
    during = []
    until(lambda: during.append(counted()) or not run.is_running())
    assert run.wait().code == 0
    assert set(during) | {counted()} == {before}
    reader.communicate()
    [(after,)] = place.warehouse("SELECT count(*) FROM similar_accounts")
    assert after > before


def test_another_run_waits_for_the_lock_and_names_its_holder_when_it_does_not_come_free(
    finished, tmp_path
):
    place = finished.copy(tmp_path / "place")
    write_records(place.source / "more.parquet", [record("newcomer", "New noodles")])
    before = contents(place.data_dir / "assets" / "account_embeddings")
    with (place.data_dir / "locks" / "tables.lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = {"pid": 7, "host": "there", "command": "other", "since": "noon"}
        lock.truncate(0)
        lock.write(json.dumps(holder))
        lock.flush()
        done = place.materialize(FIRST, LAST, EMBEDDING_ASSETS_STORAGE__LOCK_TIMEOUT_SECONDS=0.5)
    assert done.code == 1
    assert "StoreLockedError" in done.err and "process 7 on there (other) since noon" in done.err
    assert contents(place.data_dir / "assets" / "account_embeddings") == before


def test_one_new_record_for_today_in_one_account_embeds_one_text(graph):
    ada = [record("ada", f"Dish {day}", at=f"{day}T08:00:00") for day in ("2026-03-01", today())]
    bob = record("bob", "Dish of bob", at=f"{today()}T08:00:00")
    write_records(graph.source / "records.parquet", [*ada, bob])
    assert graph.materialize("2026-03-01", "2026-03-01").code == 0
    assert graph.materialize(today(), today()).code == 0
    assert graph.computed() == {"2026-03-01": 1, today(): 2}
    write_records(
        graph.source / "new.parquet", [record("bob", "Second dish", at=f"{today()}T00:00:00")]
    )
    assert graph.materialize(today(), today()).code == 0
    assert graph.computed() == {"2026-03-01": 1, today(): 1}


def test_a_late_record_embeds_its_day_and_each_later_day_of_its_account(graph):
    days = ["2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04"]
    active = (days[0], days[2], days[3])
    ada = [record("ada", f"Dish {day}", at=f"{day}T08:00:00") for day in active]
    bob = [record("bob", f"Bowl {day}", at=f"{day}T08:00:00") for day in days]
    write_records(graph.source / "records.parquet", [*ada, *bob])
    assert graph.materialize(days[0], days[-1]).code == 0
    untouched = contents(graph.data_dir / "assets" / "account_embeddings")[f"{days[0]}.parquet"]

    write_records(graph.source / "late.parquet", [record("ada", "Late", at=f"{days[1]}T09:00:00")])
    assert graph.materialize(days[0], days[-1]).code == 0
    computed = graph.computed()
    assert {day: computed[day] for day in days[1:]} == {days[1]: 1, days[2]: 1, days[3]: 1}
    embeddings = contents(graph.data_dir / "assets" / "account_embeddings")
    assert embeddings[f"{days[0]}.parquet"] == untouched

    keys = graph.stored_keys()
    assert graph.materialize(days[0], days[-1]).code == 0
    assert contents(graph.data_dir / "assets" / "account_embeddings") == embeddings
    assert graph.stored_keys() == keys
