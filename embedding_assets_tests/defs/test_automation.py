import time
from datetime import UTC, date, datetime

import dagster as dg
import pyarrow.compute as pc

from embedding_assets.definitions import defs
from embedding_assets.defs.automation import (
    backfill_records,
    daily_maintenance,
    daily_records,
    range_request,
    record_files_changed,
    records_job,
)
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets_tests.integration.workplace import DAY_ASSETS, record, write_records

START, END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def orders(*days, account="ada"):
    return [record(account, f"Dish of {day}", f"2026-03-{day:02}T12:00:00+00:00") for day in days]


def resources():
    return {"workspace": WorkspaceResource()}


def look(instance, cursor=None):
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=defs, resources=resources()
    )
    return record_files_changed(context)


def run_of(request, instance):
    job = defs.resolve_job_def(request.job_name)
    return job.execute_in_process(instance=instance, tags=request.tags, run_config={})


def days_of(request):
    return request.tags[START], request.tags[END]


def settle(instance):
    """Let the sensor's requests run until it has none; what it asked for."""
    asked = []
    found = look(instance)
    for request in getattr(found, "run_requests", None) or []:
        assert run_of(request, instance).success
        asked.append(request)
    return asked


def written(place):
    tables = place.data_dir / "assets"
    return {path.stem: path.stat().st_mtime_ns for path in (tables / "account_texts").iterdir()}


def test_a_new_file_asks_for_one_run_over_its_days(inside, instance):
    write_records(inside.source / "a.parquet", orders(3, 7))
    found = look(instance)
    assert [days_of(request) for request in found.run_requests] == [("2026-03-03", "2026-03-07")]


def test_the_cursor_keeps_the_sensor_quiet_until_a_file_changes(inside, instance):
    write_records(inside.source / "a.parquet", orders(3))
    found = look(instance)
    assert isinstance(look(instance, found.cursor), dg.SkipReason)
    write_records(inside.source / "b.parquet", orders(4))
    assert look(instance, found.cursor).run_requests


def test_a_touched_file_with_the_same_rows_asks_for_no_day(inside, instance):
    file = write_records(inside.source / "a.parquet", orders(3))
    settle(instance)
    write_records(file, orders(3))
    assert [request.job_name for request in settle(instance)] == ["quarantine"]
    assert settle(instance) == []


def test_a_folder_that_comes_back_to_an_earlier_state_has_its_run_launched_again(inside, instance):
    file = write_records(inside.source / "a.parquet", orders(3))
    asked = settle(instance)
    other = inside.source.parent / "a.parquet"
    file.rename(other)
    asked += settle(instance)
    other.rename(file)
    asked += settle(instance)
    assert [days_of(request) for request in asked] == [("2026-03-03", "2026-03-03")] * 3
    assert [request.run_key for request in asked] == [None] * 3  # Dagster launches a key once


def test_a_change_of_permissions_is_looked_at(inside, instance):
    file = write_records(inside.source / "a.parquet", orders(3))
    cursor = look(instance).cursor
    time.sleep(0.02)
    file.chmod(0o600)
    assert look(instance, cursor).run_requests


def test_a_late_record_makes_just_the_later_days_of_its_account_fresh(inside, instance):
    write_records(inside.source / "a.parquet", orders(3, 6) + orders(4, 5, account="bob"))
    settle(instance)
    before = written(inside)
    write_records(inside.source / "late.parquet", orders(2))
    [request] = settle(instance)
    assert days_of(request) == ("2026-03-02", "2026-03-06")
    changed = {day for day, stamp in written(inside).items() if stamp != before.get(day)}
    assert changed == {"2026-03-02", "2026-03-03", "2026-03-06"}


def test_a_removed_file_asks_for_its_days_and_those_that_look_back_on_them(inside, instance):
    write_records(inside.source / "a.parquet", orders(3))
    write_records(inside.source / "b.parquet", orders(2, 5))
    settle(instance)
    (inside.source / "a.parquet").unlink()
    [request] = settle(instance)
    assert days_of(request) == ("2026-03-03", "2026-03-05")
    texts = inside.table("account_texts").to_pylist()
    assert not any("Dish of 3" in row["text_for_embedding"] for row in texts)


def test_rows_without_a_day_ask_only_for_the_quarantine(inside, instance):
    write_records(inside.source / "a.parquet", [record(at="no date")])
    [request] = settle(instance)
    assert request.job_name == "quarantine"
    assert inside.warehouse("SELECT count(*) FROM quarantined_records") == [(1,)]
    assert settle(instance) == []


def test_no_run_is_asked_for_while_one_is_under_way(inside, instance):
    write_records(inside.source / "a.parquet", orders(3))
    instance.create_run_for_job(records_job_def(), status=dg.DagsterRunStatus.STARTED)
    assert isinstance(look(instance), dg.SkipReason)


def records_job_def():
    return defs.resolve_job_def(records_job.name)


def nightly():
    at = datetime(2026, 3, 8, 0, 15, tzinfo=UTC)
    context = dg.build_schedule_context(scheduled_execution_time=at, resources=resources())
    return daily_records(context)


def test_the_daily_schedule_asks_for_yesterday_and_today(inside):
    assert days_of(nightly()) == ("2026-03-07", "2026-03-08")


def test_the_daily_schedule_asks_for_nothing_where_there_are_no_records(inside):
    inside.source.rmdir()
    assert isinstance(nightly(), dg.SkipReason)


def backfill(instance, day):
    at = datetime(2026, 3, day, 9, 45, tzinfo=UTC)
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, resources=resources()
    )
    return backfill_records(context)


def test_the_backfill_covers_missing_and_stale_days_in_one_run(inside, instance):
    write_records(inside.source / "a.parquet", orders(3, 4, 6))
    settle(instance)
    assert isinstance(backfill(instance, 8), dg.SkipReason)
    (inside.data_dir / "assets" / "account_embeddings" / "2026-03-04.parquet").unlink()
    write_records(inside.source / "b.parquet", orders(7))
    request = backfill(instance, 8)
    assert days_of(request) == ("2026-03-04", "2026-03-07")
    assert run_of(request, instance).success
    assert isinstance(backfill(instance, 8), dg.SkipReason)


def test_the_backfill_looks_no_further_back_than_its_lookback(inside, instance, monkeypatch):
    monkeypatch.setenv("EMBEDDING_ASSETS_AUTOMATION__LOOKBACK_DAYS", "2")
    write_records(inside.source / "a.parquet", orders(3, 7))
    assert days_of(backfill(instance, 8)) == ("2026-03-07", "2026-03-07")


def test_a_day_that_a_broken_file_blocks_asks_for_no_run_until_the_file_is_restored(
    inside, instance
):
    content = write_records(inside.source / "a.parquet", orders(3, 5)).read_bytes()
    settle(instance)
    (inside.source / "a.parquet").write_bytes(b"torn")
    write_records(inside.source / "b.parquet", orders(3, account="bob"))
    assert [request.job_name for request in settle(instance)] == ["quarantine"]
    assert "1 blocked by unreadable files" in backfill(instance, 8).skip_message

    write_records(inside.source / "c.parquet", orders(4, account="bob"))
    [request] = settle(instance)
    assert days_of(request) == ("2026-03-04", "2026-03-05")
    (inside.data_dir / "assets" / "account_embeddings" / "2026-03-05.parquet").unlink()
    assert days_of(backfill(instance, 8)) == ("2026-03-05", "2026-03-05")

    (inside.source / "a.parquet").write_bytes(content)
    [request] = settle(instance)
    assert days_of(request) == ("2026-03-03", "2026-03-05")
    assert isinstance(backfill(instance, 8), dg.SkipReason)
    accounts = inside.table("account_embeddings").filter(pc.field("day") == date(2026, 3, 3))
    assert sorted(accounts["account_id"].to_pylist()) == ["ada", "bob"]


def test_a_run_over_a_blocked_day_makes_the_others_marks_it_and_then_fails_by_name(
    inside, instance
):
    write_records(inside.source / "a.parquet", orders(3))
    settle(instance)
    (inside.source / "a.parquet").write_bytes(b"torn")
    write_records(inside.source / "b.parquet", orders(3, 4, account="bob"))
    request = range_request(date(2026, 3, 3), date(2026, 3, 4))
    job = defs.resolve_job_def(request.job_name)
    result = job.execute_in_process(
        instance=instance, tags=request.tags, run_config={}, raise_on_error=False
    )
    assert not result.success
    [failed] = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "raw_records_raw_records_readable"
    assert "a.parquet held 1 records of 2026-03-03 and cannot be read now" in str(
        failed.step_failure_data.error
    )
    stored = (inside.data_dir / "assets" / "account_embeddings").iterdir()
    assert {path.stem for path in stored} == {"2026-03-03", "2026-03-04"}
    for asset in DAY_ASSETS:
        made = result.asset_materializations_for_node(asset)
        marked = {each.partition: "blocked" in each.metadata for each in made}
        assert marked == {"2026-03-03": True, "2026-03-04": False}


def test_the_maintenance_schedule_asks_for_one_run():
    assert isinstance(daily_maintenance(dg.build_schedule_context()), dg.RunRequest)
