import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets.definitions import defs
from embedding_assets.defs import records
from embedding_assets_tests.integration.workplace import record, write_records

RECORD_ASSETS = [
    records.raw_records, records.cleaned_records, records.quarantined_records,
    records.account_texts, records.account_embeddings, records.item_embeddings,
    records.latest_account_embeddings,
]  # fmt: skip
DAYS = {
    "dagster/asset_partition_range_start": "2026-03-01",
    "dagster/asset_partition_range_end": "2026-03-02",
}


@pytest.fixture
def made(inside, instance):
    """A workplace in which two days are materialized."""
    orders = [record("ada", at="2026-03-01T08:00:00"), record("bob", at="2026-03-02T08:00:00")]
    write_records(inside.source / "a.parquet", [*orders, orders[0], record(item="")])
    assert defs.resolve_job_def("records").execute_in_process(instance=instance, tags=DAYS).success
    return inside


CHECKS = dg.define_asset_job("checks", dg.AssetSelection.checks_for_assets(*RECORD_ASSETS))
JOB = dg.Definitions(
    assets=defs.assets, asset_checks=defs.asset_checks, jobs=[CHECKS], resources=defs.resources
).resolve_job_def("checks")


def verdicts(instance):
    """Every check of the records, run alone."""
    result = JOB.execute_in_process(instance=instance, raise_on_error=False)
    return {each.check_name: each.passed for each in result.get_asset_check_evaluations()}


def spoil(path, change):
    """Rewrite a stored partition with other rows and its own footer."""
    table = pq.read_table(path)
    kept = table.schema.metadata or pq.read_metadata(path).metadata
    changed = change(table)
    pq.write_table(
        changed.replace_schema_metadata({**(changed.schema.metadata or {}), **kept}), path
    )


def test_all_checks_pass_on_good_data(made, instance):
    found = verdicts(instance)
    assert len(found) == 12
    assert all(found.values()), found


def test_an_account_twice_on_a_day_fails(made, instance):
    for asset in ("account_texts", "account_embeddings"):
        path = made.data_dir / "assets" / asset / "2026-03-01.parquet"
        spoil(path, lambda table: pa.concat_tables([table, table]))
    found = verdicts(instance)
    assert not found["account_texts_one_row_per_account"]
    assert not found["account_embeddings_one_row_per_account"]


@pytest.mark.parametrize("component", [float("nan"), 3.0])
def test_a_vector_that_is_not_of_unit_length_fails(made, instance, component):
    def change(table):
        kind = table.schema.field("embedding").type
        vectors = [[component] * len(v) for v in table["embedding"].to_pylist()]
        return table.set_column(2, "embedding", pa.array(vectors, kind))

    spoil(made.data_dir / "assets" / "account_embeddings" / "2026-03-02.parquet", change)
    assert not verdicts(instance)["account_embeddings_unit_length"]


def test_a_text_read_in_too_few_windows_fails(made, instance):
    def change(table):
        at = table.schema.get_field_index("tokens")
        return table.set_column(at, "tokens", pa.array([9_000], pa.int32()))

    spoil(made.data_dir / "assets" / "account_embeddings" / "2026-03-02.parquet", change)
    assert not verdicts(instance)["account_embeddings_nothing_truncated"]


def test_a_lost_record_fails(made, instance):
    path = made.data_dir / "assets" / "cleaned_records" / "2026-03-01.parquet"
    spoil(path, lambda table: table.slice(0, 0))
    assert not verdicts(instance)["cleaned_records_complete"]


def test_a_clean_record_that_breaks_the_schema_fails(made, instance):
    def change(table):
        return table.set_column(1, "item_description", pa.array([None] * len(table), pa.string()))

    spoil(made.data_dir / "assets" / "cleaned_records" / "2026-03-01.parquet", change)
    assert not verdicts(instance)["cleaned_records_schema"]


def test_vectors_gone_from_the_store_are_told(made, instance):
    for path in (made.data_dir / "vectors").glob("*/*.parquet"):
        path.unlink()
    assert not verdicts(instance)["account_embeddings_vectors_reusable"]


def test_a_blocking_check_stops_what_comes_after_it(made, instance, monkeypatch):
    from embedding_assets.records import clean

    def lossy(raw, days):
        for part in clean_all(raw, days):
            yield clean.Cleaned(part.good.slice(1), part.bad)

    clean_all = clean.clean
    monkeypatch.setattr("embedding_assets.records.days.clean", lossy)
    write_records(made.source / "b.parquet", [record("eve", at="2026-03-02T09:00:00")])
    path = made.data_dir / "assets" / "account_texts" / "2026-03-02.parquet"
    before = path.stat().st_mtime_ns
    result = defs.resolve_job_def("records").execute_in_process(
        instance=instance, tags=DAYS, raise_on_error=False
    )
    assert not result.success
    assert path.stat().st_mtime_ns == before
