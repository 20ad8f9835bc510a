"""Targets that cannot be written, full disks, too little memory, other models and versions."""

import json
import os
import shutil
import tarfile
from collections import Counter

import duckdb
import pyarrow.parquet as pq
import pytest

from embedding_assets_tests.integration.faults import FileSizeLimit, SmallDisk
from embedding_assets_tests.integration.tiny import packaged_model, tiny_model
from embedding_assets_tests.integration.workplace import (
    assert_named_failure,
    contents,
    leftovers,
    record,
    write_records,
)

DAY = "2026-03-01"
MANY = [record(f"account-{i}", f"Dish number {i}, with rice and {i % 7} eggs") for i in range(400)]


@pytest.fixture
def source(place):
    return write_records(place.source / "records.parquet", [record(), record("two", "Soup")])


@pytest.fixture
def disk(tmp_path):
    disk = SmallDisk(tmp_path / "disk", kilobytes=4_096)
    if not disk.is_mounted:
        pytest.skip("only root may mount a small disk")
    yield disk
    disk.close()


# targets


def test_a_target_that_is_a_folder_is_refused(place, source):
    target = place.folder / "out.parquet.d"
    target.mkdir()
    assert_named_failure(place.embed(source, target), f"{target} is a folder", "Name a file")
    assert list(target.iterdir()) == []


def test_a_target_below_a_file_is_refused(place, source):
    target = source / "out.parquet"
    before = contents(place.source)
    assert_named_failure(place.embed(source, target), str(target), "not a writable folder")
    assert contents(place.source) == before


def test_a_target_that_the_system_forbids_is_refused(place, source):
    assert_named_failure(
        place.embed(source, "/proc/x/out.parquet"), "/proc/x/out.parquet cannot be written"
    )


def test_a_target_on_a_read_only_disk_is_refused(place, source, disk):
    (disk.seen / "out.parquet").write_bytes(b"good earlier output")
    disk.remount("ro")
    done = place.embed(source, disk.path / "out.parquet", prepare=disk.enter)
    assert_named_failure(done, f"{disk.path}/out.parquet cannot be written")
    assert contents(disk.seen).keys() == {"out.parquet"}
    assert (disk.seen / "out.parquet").read_bytes() == b"good earlier output"


def test_a_data_folder_that_cannot_be_is_refused_and_no_output_is_left(place, source):
    output = place.folder / "out.parquet"
    output.unlink(missing_ok=True)
    done = place.embed(source, output, EMBEDDING_ASSETS_DATA_DIR=source)
    assert_named_failure(done, f"{source}", "Not a directory")
    assert not output.exists()


# full disks


def fill(folder, keep_kilobytes):
    """Leave so much room on the disk of `folder`."""
    free = os.statvfs(folder)
    room = free.f_bavail * free.f_bsize - keep_kilobytes * 1_024
    (folder / "ballast").write_bytes(bytes(room))


def test_a_full_disk_at_the_output_leaves_the_earlier_output(place, disk):
    source = write_records(place.source / "records.parquet", MANY)
    output = disk.path / "out.parquet"
    (disk.seen / "out.parquet").write_bytes(b"good earlier output")
    fill(disk.seen, keep_kilobytes=16)
    done = place.embed(source, output, prepare=disk.enter)
    assert_named_failure(done, f"No space is left to write {output}", "Free space")
    assert sorted(contents(disk.seen)) == ["ballast", "out.parquet"]
    assert (disk.seen / "out.parquet").read_bytes() == b"good earlier output"

    (disk.seen / "ballast").unlink()
    done = place.embed(source, output, "--json", prepare=disk.enter)
    assert (done.code, json.loads(done.out)["computed"]) == (0, 0)
    assert pq.read_metadata(disk.seen / "out.parquet").num_rows == len(MANY)


def test_a_full_disk_at_the_data_folder_leaves_no_torn_vectors(place, disk):
    source = write_records(place.source / "records.parquet", MANY)
    output = place.folder / "out" / "out.parquet"
    shutil.copytree(place.data_dir, disk.seen / "store")
    fill(disk.seen, keep_kilobytes=16)
    before = contents(disk.seen)
    settings = {"EMBEDDING_ASSETS_DATA_DIR": disk.path / "store", "prepare": disk.enter}
    done = place.embed(source, output, **settings)
    assert_named_failure(done, "No space is left to write", "EMBEDDING_ASSETS_DATA_DIR")
    assert contents(disk.seen) == before
    assert not output.exists() and not leftovers(output.parent)

    (disk.seen / "ballast").unlink()
    done = place.embed(source, output, "--json", **settings)
    assert (done.code, json.loads(done.out)["computed"]) == (0, len(MANY))


def test_a_limit_of_file_size_is_named_like_a_full_disk(place):
    source = write_records(place.source / "records.parquet", MANY)
    output = place.folder / "out" / "out.parquet"
    done = place.embed(source, output, prepare=FileSizeLimit(20_000))
    assert_named_failure(done, "No space is left to write")
    assert not output.exists()
    assert leftovers(place.folder) == []


def test_a_full_disk_in_a_run_names_itself_and_the_last_run_stays_readable(graph, disk):
    write_records(graph.source / "records.parquet", [record("old", "Old soup")])
    disk.remount("size=40m")
    shutil.copytree(graph.data_dir, disk.seen / "store")
    settings = {"EMBEDDING_ASSETS_DATA_DIR": disk.path / "store", "prepare": disk.enter}
    assert graph.materialize(DAY, DAY, **settings).code == 0
    write_records(graph.source / "more.parquet", MANY)
    fill(disk.seen, keep_kilobytes=64)
    done = graph.materialize(DAY, DAY, **settings)
    assert done.code == 1
    assert "DiskFullError: No space is left to write" in done.err
    assert leftovers(disk.seen) == []
    shutil.copy(disk.seen / "store" / "warehouse.duckdb", graph.folder / "published.duckdb")
    with duckdb.connect(str(graph.folder / "published.duckdb"), read_only=True) as connection:
        assert connection.execute("FROM similar_accounts").fetchall() == []
    stored = disk.seen / "store" / "assets" / "account_embeddings" / f"{DAY}.parquet"
    assert pq.read_table(stored)["account_id"].to_pylist() == ["old"]

    (disk.seen / "ballast").unlink()
    assert graph.materialize(DAY, DAY, **settings).code == 0
    assert pq.read_metadata(stored).num_rows == 1 + len(MANY)


# The writers' database has several files (itself, a log, what spills), so each room differs.
@pytest.mark.parametrize("room", [0, 300])
def test_a_full_disk_in_the_duckdb_write_takes_no_quarantined_row_away(graph, disk, room):
    bad = [record(f"bad-{i}", "", vendor=f"vendor {i} " * 30) for i in range(2_000)]
    write_records(graph.source / "first.parquet", bad[:10])
    disk.remount("size=40m")
    shutil.copytree(graph.data_dir, disk.seen / "store")
    settings = {"EMBEDDING_ASSETS_DATA_DIR": disk.path / "store", "prepare": disk.enter}
    select = "record_files quarantined_records"
    listing = ("quarantine", "list", "--json")

    def quarantined():
        done = graph.run("embedding-assets", *listing, **settings)
        assert done.code == 0, done
        return Counter(row["source_file"] for row in json.loads(done.out))

    def materialize():
        return graph.run(
            "dagster", "asset", "materialize", "--select", select.replace(" ", ","),
            "-m", "embedding_assets.definitions", **settings,
        )  # fmt: skip

    assert materialize().code == 0
    write_records(graph.source / "second.parquet", bad)
    fill(disk.seen, keep_kilobytes=room)
    done = materialize()
    assert done.code == 1
    assert "DiskFullError: No space is left to write" in done.err
    (disk.seen / "ballast").unlink()
    assert quarantined() == {"first.parquet": 10}
    assert materialize().code == 0
    assert quarantined() == {"first.parquet": 10, "second.parquet": 2_000}


# memory


@pytest.mark.parametrize("gigabytes", [1.0, 1.5, 2, 3])
def test_too_little_address_space_is_named_before_any_work(place, source, gigabytes):
    output = place.folder / "out" / "out.parquet"
    limit = ["sh", "-c", f'ulimit -v {int(gigabytes * 1e9) // 1024}; exec "$@"', "sh"]
    done = place.spawn(limit, "embed", source, output)
    assert_named_failure(done, f"{gigabytes:.1f} GB of address space", "ulimit -v")
    assert not output.exists()


def test_enough_address_space_for_a_first_use_of_the_packaged_model(place, source):
    output = place.folder / "out" / "out.parquet"
    limit = ["sh", "-c", 'ulimit -v 5000000; exec "$@"', "sh"]
    done = place.spawn(
        limit, "embed", source, output, EMBEDDING_ASSETS_MODEL__NAME="all-MiniLM-L6-v2"
    )
    if done.code:
        assert_named_failure(done, "Memory")
        assert not output.exists()
    else:
        assert pq.read_metadata(output).num_rows == 2
    assert leftovers(place.folder) == []


# models


def damaged_archive(folder):
    path = folder / "model.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(packaged_model() / "vocab.txt", "vocab.txt")
    path.write_bytes(path.read_bytes()[:-1_000])
    return path


def half_a_model(folder):
    path = folder / "half"
    shutil.copytree(packaged_model(), path)
    weights = path / "model.safetensors"
    os.truncate(weights, weights.stat().st_size // 2)
    return path


BAD_MODELS = {
    "absent": (lambda folder: folder / "absent", "is no file or folder"),
    "unknown-name": (lambda folder: "no-such-model", "not in the local Hugging Face cache"),
    "empty-folder": (lambda folder: folder, "modules.json is missing"),
    "text-file": (
        lambda folder: packaged_model() / "vocab.txt",
        "truncated or no gzipped tar archive",
    ),
    "damaged-archive": (damaged_archive, "truncated or no gzipped tar archive"),
    "half-a-model": (half_a_model, "their header says"),
}


@pytest.mark.parametrize("bad", BAD_MODELS)
def test_a_model_that_cannot_be_used_is_named(place, source, tmp_path, bad):
    make, words = BAD_MODELS[bad]
    model = make(tmp_path / "models") if (tmp_path / "models").mkdir() is None else None
    output = place.folder / "out" / "out.parquet"
    before = contents(place.data_dir)
    done = place.embed(source, output, "--model", model)
    assert_named_failure(done, str(model), words)
    assert contents(place.data_dir) == before
    assert not output.exists()


def test_weights_damaged_after_their_first_use_are_named(place, source, tmp_path):
    model = tmp_path / "copied"
    shutil.copytree(place.model, model)
    output = place.folder / "out" / "out.parquet"
    assert place.embed(source, output, "--model", model).code == 0
    before = contents(output.parent) | contents(place.data_dir)
    with (model / "model.safetensors").open("r+b") as weights:
        weights.seek(2_000_000)
        weights.write(b"damage" * 1_000)
    write_records(source, [record("three", "Something new")])
    done = place.embed(source, output, "--model", model)
    assert_named_failure(done, str(model), "fingerprint", "Restore the model's files")
    assert contents(output.parent) | contents(place.data_dir) == before


def test_weights_damaged_from_the_start_give_no_vector(place, source, tmp_path):
    model = tiny_model(tmp_path / "damaged")
    with (model / "model.safetensors").open("r+b") as weights:
        weights.seek(weights.seek(0, os.SEEK_END) // 2)
        weights.write(b"\xff" * 1_900_000)
    output = place.folder / "out" / "out.parquet"
    before = contents(place.data_dir / "vectors")
    assert_named_failure(place.embed(source, output, "--model", model), "not numbers")
    assert contents(place.data_dir / "vectors") == before
    assert not output.exists() and leftovers(place.folder) == []


def test_a_model_of_another_dimension_is_refused_until_it_is_staged_or_switched_to(graph, tmp_path):
    write_records(graph.source / "records.parquet", [record("one", "Soup of the day")])
    assert graph.materialize(DAY, DAY).code == 0
    other = {"EMBEDDING_ASSETS_MODEL__NAME": tiny_model(tmp_path / "other", dimension=16)}
    folders = [graph.data_dir / "assets", graph.data_dir / "vectors"]
    before = [contents(folder) for folder in folders]
    live = (graph.data_dir / "models" / "live.json").read_bytes()

    done = graph.materialize(DAY, DAY, **other)
    assert done.code == 1
    assert "ModelChangedError: The embeddings in" in done.err
    assert "(dimension 32," in done.err and "(dimension 16," in done.err
    assert "embedding-assets model stage" in done.err
    assert [contents(folder) for folder in folders] == before
    assert (graph.data_dir / "models" / "live.json").read_bytes() == live

    assert graph.run("embedding-assets", "model", "switch", **other).code == 0
    done = graph.materialize(DAY, DAY, **other)
    assert done.code == 0, done
    assert graph.table("account_embeddings").schema.field("embedding").type.list_size == 16
    assert graph.computed() == {DAY: 1}


# versions of the data folder


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        ('{"schema_version": 0}', ("schema version 0", "store upgrade")),
        ('{"schema_version": 99}', ("schema version 99", "Install the newer release")),
        ("torn", ("cannot be read as a schema version",)),
    ],
    ids=["older", "newer", "torn"],
)
def test_a_data_folder_of_another_version_is_refused_and_not_touched(place, source, mark, words):
    (place.data_dir / "schema.json").write_text(mark)
    shutil.rmtree(place.data_dir / "models")
    before = contents(place.data_dir)
    output = place.folder / "out" / "out.parquet"
    for command in (("embed", source, output), ("plan",), ("status",), ("model", "show")):
        assert_named_failure(place.run("embedding-assets", *command), *words)
    assert contents(place.data_dir) == before
    assert not output.exists()


def test_a_run_on_a_data_folder_of_another_version_is_refused_and_touches_nothing(graph):
    write_records(graph.source / "records.parquet", [record()])
    (graph.data_dir / "schema.json").write_text('{"schema_version": 99}')
    before = contents(graph.data_dir)
    done = graph.materialize(DAY, DAY)
    assert done.code == 1
    assert "StoreVersionError" in done.err and "has schema version 99" in done.err
    assert contents(graph.data_dir) == before
