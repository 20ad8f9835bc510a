"""`kill -9` at many moments of `documents sync`, and then the same command again."""

import os
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from embedding_assets.definitions import defs
from embedding_assets.defs.document_automation import backfill_documents, document_files_changed
from embedding_assets.defs.resources import WorkspaceResource, configured_workspace
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.snapshots import Snapshots
from embedding_assets_tests.integration.faults import Killed, until
from embedding_assets_tests.integration.papers import (
    Plugged,
    documents,
    found,
    put,
    put_pair,
    quarantined,
    synced,
)
from embedding_assets_tests.integration.workplace import leftovers


def renamed(target, **options):
    return Killed("os:replace", rf"{target}'\)", **options)


MOMENTS = {
    "registered": Killed("embedding_assets.defs.document_sync:_run"),
    "half-removed": Killed("embedding_assets.storage.parquet:ParquetTable.remove", "gone", calls=2),
    "files-seen": renamed("document_files.parquet", after=True),
    "parsing": Killed("embedding_assets.documents.isolate:_Pool.finished", calls=2),
    "documents": renamed("documents/c.json.parquet"),
    "quarantine": renamed("quarantined_documents/torn.json.parquet"),
    "chunks": renamed("doc_chunks/c.json.parquet", after=True),
    "vectors-before-they-are-durable": renamed(r"vectors/\w+/[\w-]+.parquet"),
    "vectors-once-they-are-durable": renamed(r"vectors/\w+/[\w-]+.parquet", after=True),
    "vectors": renamed("doc_vectors/new.json.parquet", after=True),
    "index-half-built": Killed("embedding_assets.search.build:KeywordIndex.build"),
    "index-not-published": renamed("documents/current"),
    "index-published": renamed("documents/current", after=True),
}


@pytest.fixture(scope="module")
def before(registered, tmp_path_factory):
    """A workplace after one `documents sync`, whose documents then changed, came and went."""
    place = registered.copy(tmp_path_factory.mktemp("before") / "place")
    folder = place.documents
    for name in "abcde":
        put(folder, f"{name}.json", f"Kept walrus of {name}.", f"Second passage of {name}.")
    put(folder, "gone.json", "Secret gnu.")
    (folder / "mended.json").write_text("{")
    put_pair(folder, "pair", [("A tapir.", ["p2"])])
    synced(place)
    put(folder, "c.json", "Changed ocelot.", "Second passage of c.")
    put(folder, "new.json", "New penguin.")
    put(folder, "mended.json", "Mended penguin.")
    put_pair(folder, "pair", [("A tapir.", ["p1"])])
    (folder / "torn.json").write_text("{")
    (folder / "gone.json").unlink()
    return place


@pytest.fixture(scope="module")
def undisturbed(before, tmp_path_factory):
    place = before.copy(tmp_path_factory.mktemp("undisturbed") / "place")
    synced(place)
    return place


def sorted_rows(table, *without):
    return table.drop_columns([*without]).sort_by(table.column_names[0])


def served(place):
    snapshots = Snapshots(place.data_dir / "index" / "documents")
    return IndexVersion.open(snapshots.path(snapshots.current()))


def index_rows(place):
    """The rows that are searched, by document and passage: what is told of each, and its vector."""
    version = served(place)
    rows = [
        (version.document_of(row) | version.passages[row], version.vectors.take(np.array([row]))[0])
        for row in range(version.manifest.rows)
    ]
    rows.sort(key=lambda row: (row[0]["doc_id"], row[0]["chunk_id"]))
    return [about for about, _ in rows], np.stack([vector for _, vector in rows])


def vectors(place):
    table = place.table("doc_vectors").sort_by([("doc_id", "ascending"), ("chunk_id", "ascending")])
    return table.drop_columns(["embedding"]), np.stack(
        table["embedding"].to_numpy(zero_copy_only=False)
    )


def assert_as_undisturbed(place, undisturbed):
    for asset, stamps in {
        "documents": (),
        "doc_chunks": (),
        "document_files": ("changed_ns",),
    }.items():
        assert sorted_rows(place.table(asset), *stamps).equals(
            sorted_rows(undisturbed.table(asset), *stamps)
        )
    passing = ("failed_at", "attempts")
    assert sorted_rows(place.table("quarantined_documents"), *passing).equals(
        sorted_rows(undisturbed.table("quarantined_documents"), *passing)
    )
    for read in (vectors, index_rows):
        (about, made), (expected, should_be) = read(place), read(undisturbed)
        assert about == expected
        assert (made * should_be).sum(axis=1).min() >= 0.9999


def assert_nothing_is_torn(place):
    for path in (place.data_dir / "assets").glob("*/*.parquet"):
        pq.read_table(path)
    assert served(place).manifest.rows > 0
    assert found(place, "walrus")


def workers(place):
    """Processes that parse files for this workplace."""
    mine = f"EMBEDDING_ASSETS_DATA_DIR={place.data_dir}".encode()
    return [pid for pid in Path("/proc").glob("[0-9]*") if _is_worker(pid, mine)]


def _is_worker(process, environment):
    try:
        command, own = ((process / name).read_bytes() for name in ("cmdline", "environ"))
    except OSError:
        return False
    return b"documents.worker" in command and environment in own.split(b"\0")


def unfinished_runs(place):
    with dg.DagsterInstance.from_config(str(place.folder / "dagster")) as instance:
        return [run for run in instance.get_runs() if not run.is_finished]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_sync_is_finished_by_the_next(before, undisturbed, tmp_path, moment):
    place = before.copy(tmp_path / "place")
    done = documents(place, "sync", prepare=MOMENTS[moment])
    assert done.code == -9, done
    assert_nothing_is_torn(place)

    synced(place)
    assert_as_undisturbed(place, undisturbed)
    assert found(place, "secret") == []
    assert quarantined(place).keys() == {"torn.json"}
    keys = place.stored_keys()
    assert len(keys) == len(set(keys))
    assert leftovers(place.data_dir / "assets") == []
    assert not (place.data_dir / "index" / "documents" / "building").exists()
    assert unfinished_runs(place) == []
    until(lambda: not workers(place))
    assert synced(place)["run_id"] is None


def test_the_worker_of_a_killed_sync_ends_too_whatever_it_is_at(graph, tmp_path):
    slow = graph.documents / "slow.odd"
    slow.write_text("spin")
    sync = graph.start("embedding-assets", "documents", "sync", prepare=Plugged(tmp_path / "plug"))
    until(lambda: workers(graph) or not sync.is_running())
    os.kill(sync.pid, 9)
    assert sync.wait().code == -9
    until(lambda: not workers(graph))


@pytest.fixture
def killed(before, tmp_path, monkeypatch):
    """Kills a sync at a moment; what the sensor and the schedule are given afterwards."""

    def kill(moment):
        place = before.copy(tmp_path / "place")
        for name, value in place.environment.items():
            monkeypatch.setenv(name, value)
        assert documents(place, "sync", prepare=MOMENTS[moment]).code == -9
        return dg.DagsterInstance.from_config(str(place.folder / "dagster"))

    return kill


def test_the_sensor_goes_on_after_a_killed_sync(killed):
    with killed("parsing") as instance:
        context = dg.build_sensor_context(
            instance=instance, definitions=defs, resources={"workspace": WorkspaceResource()}
        )
        result = document_files_changed(context)
        assert [run.job_name for run in result.run_requests] == ["documents"]


def test_the_hourly_look_sees_that_the_index_was_not_built(killed):
    with killed("index-half-built") as instance:
        context = dg.build_schedule_context(
            instance=instance, resources={"workspace": WorkspaceResource()}
        )
        run = backfill_documents(context)
        done = defs.resolve_job_def(run.job_name).execute_in_process(
            instance=instance, tags=run.tags
        )
        assert done.success
        hits = configured_workspace().library.search.search("secret penguin", "keyword")
        assert {hit.doc_id for hit in hits} == {"new.json", "mended.json"}
        assert isinstance(backfill_documents(context), dg.SkipReason)
