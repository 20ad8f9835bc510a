import dagster as dg
import pytest

from embedding_assets.defs.event_log import BatchedEventLog

KEYS = [f"d{number}" for number in range(40)]
TAGS = {
    "dagster/asset_partition_range_start": KEYS[0],
    "dagster/asset_partition_range_end": KEYS[-1],
}


@dg.asset(
    partitions_def=dg.StaticPartitionsDefinition(KEYS),
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def rows(context: dg.AssetExecutionContext) -> None:
    for key in context.partition_keys:
        context.add_asset_metadata({"key": key}, partition_key=key)


@dg.asset_check(asset=rows)
def rows_hold():
    return dg.AssetCheckResult(passed=True)


@pytest.fixture(params=["ours", "Dagster's"])
def instance(request, tmp_path, monkeypatch):
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "16")
    ours = {"module": BatchedEventLog.__module__, "class": BatchedEventLog.__name__}
    overrides = {"event_log_storage": ours} if request.param == "ours" else {}
    with dg.instance_for_test(temp_dir=str(tmp_path), overrides=overrides) as made:
        assert isinstance(made.event_log_storage, BatchedEventLog) == (request.param == "ours")
        yield made


def run(instance):
    job = dg.define_asset_job("job", [rows])
    defs = dg.Definitions([rows], asset_checks=[rows_hold], jobs=[job])
    done = defs.resolve_job_def("job").execute_in_process(instance=instance, tags=TAGS)
    assert done.success
    return done.run_id


def test_every_partition_counts_as_materialized(instance):
    run(instance)
    assert instance.get_materialized_partitions(rows.key) == set(KEYS)


def test_each_partition_keeps_its_own_metadata(instance):
    run(instance)
    query = dg.AssetRecordsFilter(asset_key=rows.key, asset_partitions=["d7"])
    [record] = instance.fetch_materializations(query, limit=5).records
    assert record.asset_materialization.metadata["key"].value == "d7"


def logged(instance, run_id):
    """The partitions of the run's materializations, as its log tells them."""
    events = [entry.dagster_event for entry in instance.all_logs(run_id) if entry.dagster_event]
    return [event.partition for event in events if event.is_step_materialization]


def test_the_log_of_a_run_is_whole(instance):
    assert sorted(logged(instance, run(instance))) == sorted(KEYS)


def test_the_asset_shows_its_latest_materialization(instance):
    run(instance)
    last = run(instance)
    event = instance.get_latest_materialization_event(rows.key)
    newest = (event.run_id, event.asset_materialization.partition)
    assert newest == (last, logged(instance, last)[-1])


def test_checks_are_stored(instance):
    run(instance)
    [found] = instance.event_log_storage.get_asset_check_execution_history(rows_hold.check_key, 5)
    assert found.status.value == "SUCCEEDED"
