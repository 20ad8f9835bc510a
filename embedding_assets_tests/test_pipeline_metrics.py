import itertools
import os
import time
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from prometheus_client.parser import text_string_to_metric_families

from embedding_assets.alerts.seen import (
    CheckSeen,
    FreshnessSeen,
    read_checks,
    write_checks,
    write_freshness,
)
from embedding_assets.apps import slices
from embedding_assets.documents import inventory as documents_inventory
from embedding_assets.errors import StoreDamagedError
from embedding_assets.pipeline_metrics import PipelineCollector
from embedding_assets.quality.drift_table import DRIFT_SCHEMA
from embedding_assets.records import inventory as records_inventory
from embedding_assets.release.seats import Seat, Seats
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import table_slice
from embedding_assets.workspace import Workspace
from embedding_assets_tests.integration.workplace import record, write_records


@pytest.fixture
def opened(tmp_path, no_environment):
    """A workspace with two stored days, of which one is stale, and a day that is missing."""
    source = tmp_path / "records"
    write_records(source / "a.parquet", [record(at=f"2026-03-0{d}T12:00:00Z") for d in (1, 2, 3)])
    settings = Settings(
        data_dir=tmp_path / "store",
        records={"source": str(source)},
        documents={"settle_seconds": 0},
    )
    made = Workspace(settings)
    table = pa.table({"account_id": ["a", "b"]})
    stats = {"texts": 2, "computed": 1, "reused": 1, "tokens": 9, "seconds": 0.5}
    for day in ("2026-03-01", "2026-03-02"):
        part = table_slice(table, "1", day, **stats, truncated_tokens=0)
        made.ensure().table("account_embeddings").write(part)
    return made


def figures(collector):
    """Every sample by its name and labels, as Prometheus reads it."""
    found = {}
    for family in text_string_to_metric_families(collector.text().decode()):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            found[(sample.name.removeprefix("embedding_assets_"), *sample.labels.values())] = (
                sample.value
            )
    return found


def test_figures_are_those_of_the_model_that_serves_by_then(opened):
    hours = itertools.count()
    collector = PipelineCollector(opened, now=lambda: 3_600.0 * next(hours))
    assert figures(collector)["asset_partitions", "account_embeddings"] == 2
    seats = Seats(Seat("two", folder="models/two"), configured="one")
    with opened.seats_file.locked():
        opened.seats_file.write(seats)
    (opened.data_dir / "models" / "two").mkdir(parents=True)
    assert figures(collector)["asset_partitions", "account_embeddings"] == 0


def test_what_is_stored_is_counted(opened):
    found = figures(PipelineCollector(opened))
    asset = "account_embeddings"
    assert found["asset_rows", asset] == 4 and found["asset_partitions", asset] == 2
    assert found["asset_vectors_computed", asset] == found["asset_vectors_reused", asset] == 2
    assert found["asset_tokens", asset] == 18 and found["asset_truncated_tokens", asset] == 0
    assert found["asset_encode_seconds", asset] == 1.0
    assert time.time() - found["asset_changed_timestamp_seconds", asset] < 600
    assert found["asset_rows", "similar_items"] == 0
    assert ("asset_changed_timestamp_seconds", "doc_vectors") not in found
    assert found["disk_free_bytes",] > 0


def test_what_is_due_is_counted_by_asset_and_state(opened):
    found = figures(PipelineCollector(opened))
    assert found["partitions_due", "raw_records", "missing"] == 3
    assert found["partitions_due", "account_embeddings", "missing"] == 1


def test_what_is_not_there_is_no_failure(tmp_path, no_environment):
    found = figures(PipelineCollector(Workspace(Settings(data_dir=tmp_path / "new")).ensure()))
    assert {value for (name, *_), value in found.items() if name == "collect_failed"} == {0}
    assert found["quarantined", "documents"] == 0
    assert not [key for key in found if key[0] in ("live_model_info", "index_info", "vectors")]


def test_checks_and_freshness_are_told_as_the_sensors_saw_them(opened):
    checks = [
        CheckSeen("vectors:gate", "failed", True, "recall", 5.0),
        CheckSeen("vectors:drift", "passed", False, "", 5.0),
    ]
    write_checks(opened.data_dir, checks, 7.0)
    write_freshness(opened.data_dir, [FreshnessSeen("app_index", "FAIL", 3.0)], 7.0)
    found = figures(PipelineCollector(opened))
    assert found["check_passed", "true", "vectors:gate"] == 0
    assert found["check_passed", "false", "vectors:drift"] == 1
    assert found["check_state", "vectors:gate", "failed"] == 1
    assert found["checks_seen_timestamp_seconds",] == 7
    assert found["asset_fresh", "app_index"] == 0
    assert found["asset_made_timestamp_seconds", "app_index"] == 3


def test_drift_is_told_as_it_was_last_judged(opened):
    day = date(2026, 3, 9)
    plain = {
        "window_start": day, "window_end": day, "reference_start": day, "reference_end": day,
        "reference": 5, "window": 5, "left_out": 0, "groups": [],
    }  # fmt: skip
    rows = [
        {**plain, "domain": "queries", "measure": "embedding", "verdict": "drift",
         "p_value": 0.01, "effect": 0.4},
        {**plain, "domain": "queries", "measure": "score", "verdict": "not judged"},
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, DRIFT_SCHEMA)
    opened.table("embedding_drift").write(table_slice(table, "1", "queries"))
    found = figures(PipelineCollector(opened))
    assert found["drift", "queries", "embedding"] == 1
    assert found["drift_p_value", "queries", "embedding"] == 0.01
    assert found["drift_effect", "queries", "embedding"] == 0.4
    assert ("drift", "queries", "score") not in found
    assert found["drift_window_end_timestamp_seconds", "queries", "score"] == 1_773_014_400


@pytest.mark.parametrize("text", ["{", "[]", '{"at": 1, "rows": [{"x": 1}]}', '{"rows": []}'])
def test_a_damaged_file_of_the_sensors_counts_as_none(opened, text):
    (opened.data_dir / "seen").mkdir()
    (opened.data_dir / "seen" / "checks.json").write_text(text)
    assert read_checks(opened.data_dir) == (0.0, ())
    assert figures(PipelineCollector(opened))


def test_a_group_that_cannot_be_taken_leaves_the_others(opened, monkeypatch):
    def torn(*_):
        raise StoreDamagedError("torn", "delete it")

    monkeypatch.setattr(Workspace, "live_model", torn)
    found = figures(PipelineCollector(opened))
    assert found["collect_failed", "model"] == 1 and found["collect_failed", "assets"] == 0
    assert found["asset_rows", "account_embeddings"] == 4


@pytest.mark.parametrize("error", [ValueError("half a file"), pa.ArrowInvalid("no magic bytes")])
def test_a_group_that_breaks_leaves_the_others(opened, monkeypatch, error):
    def broken(*_):
        raise error

    monkeypatch.setattr(Workspace, "live_model", broken)
    found = figures(PipelineCollector(opened))
    assert found["collect_failed", "model"] == 1
    assert found["asset_rows", "account_embeddings"] == 4


def test_files_that_no_run_takes_up_are_read_once(opened, monkeypatch):
    reads = []

    def counted(module, name):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *given: reads.append(name) or real(*given))

    folder = opened.library.folder
    folder.mkdir(parents=True)
    (folder / "a.json").write_text("[]")
    os.utime(folder / "a.json", (1, 1))
    counted(records_inventory, "_read")
    counted(documents_inventory, "_content")
    for _ in range(3):
        figures(PipelineCollector(opened))
    assert sorted(reads) == ["_content", "_read"]


def test_files_of_apps_that_stay_as_they_are_are_hashed_once(tmp_path, monkeypatch):
    opened = []
    real = slices.file_digest
    monkeypatch.setattr(slices, "file_digest", lambda *given: opened.append(1) or real(*given))
    path = tmp_path / "a.csv"
    path.write_text("one")
    assert slices._sha256(path) == slices._sha256(path)
    assert len(opened) == 2  # it was written just now
    monkeypatch.setattr(slices, "_SETTLED_SECONDS", -1.0)
    first = [slices._sha256(path) for _ in range(3)]
    assert len(opened) == 3 and len(set(first)) == 1
    path.write_text("another")
    assert slices._sha256(path) != first[0]


def test_a_write_that_failed_changes_nothing(opened):
    table = opened.table("account_embeddings")
    for path in Path(str(table.folder)).iterdir():
        os.utime(path, (1_000, 1_000))
    (Path(str(table.folder)) / ".x.tmp").write_text("half")
    found = figures(PipelineCollector(opened))
    assert found["asset_changed_timestamp_seconds", "account_embeddings"] == 1_000


def test_figures_are_kept_between_scrapes(opened, monkeypatch):
    clock = [1_000.0]
    collector = PipelineCollector(opened, 30, lambda: clock[0])
    figures(collector)
    opened.table("account_embeddings").remove("2026-03-01")
    clock[0] += 29
    assert figures(collector)["asset_rows", "account_embeddings"] == 4
    clock[0] += 600
    found = figures(collector)
    assert found["asset_rows", "account_embeddings"] == 2
    assert found["collected_timestamp_seconds",] == 1_629
