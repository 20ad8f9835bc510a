import errno
import os

import pyarrow.parquet as pq
import pytest

import embedding_assets
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import (
    DiskFullError,
    EmptyInputError,
    InputNotFoundError,
    NotWritableError,
    SchemaError,
    UnreadableInputError,
)
from embedding_assets.records.processor import EmbeddingProcessor, check_writable
from embedding_assets.storage import files
from embedding_assets_tests.records.shop import row, write


@pytest.fixture
def processor(tmp_path):
    return EmbeddingProcessor(HashingEncoder(8), tmp_path / "store")


@pytest.fixture
def records(tmp_path):
    return write(
        tmp_path / "in.parquet",
        [
            row("ada", "Pho"),
            row("ada", " Pho "),
            row("ada", "Ramen", at="2025-03-02"),
            row("bob", "Pho"),
            row("bob", ""),
            row("bob", at="never"),
        ],
    )


def test_a_file_of_records_becomes_a_file_of_account_embeddings(processor, records, tmp_path):
    out = tmp_path / "deep" / "out.parquet"
    report = processor.process(records, out)
    table = pq.read_table(out)
    assert table.column_names[:11] == [
        "account_id", "text_for_embedding", *(f"embedding_{i}" for i in range(8)), "day",
    ]  # fmt: skip
    assert table.select(["account_id", "text_for_embedding", "records"]).to_pylist() == [
        {
            "account_id": "ada",
            "text_for_embedding": "Items: Pho; Ramen. Vendors: Saigon. Cuisines: Thai.",
            "records": 2,
        },
        {
            "account_id": "bob",
            "text_for_embedding": "Items: Pho. Vendors: Saigon. Cuisines: Thai.",
            "records": 1,
        },
    ]
    assert (report.output, report.records, report.duplicates) == (out, 6, 1)
    assert (report.accounts, report.quarantined) == (2, 2)
    assert (report.computed, report.reused, report.truncated_tokens) == (2, 0, 0)
    assert (report.tokens, report.windowed) == (13, 0)
    assert report.fingerprint == processor.encoder.fingerprint


def test_rows_that_cannot_be_used_stand_beside_the_output_with_the_reason(
    processor, records, tmp_path
):
    report = processor.process(records, tmp_path / "out.parquet")
    assert report.quarantine == tmp_path / "out.quarantined.parquet"
    bad = pq.read_table(report.quarantine)
    assert list(zip(bad["source_row"].to_pylist(), bad["reason"].to_pylist(), strict=True)) == [
        (4, "item_description is empty"),
        (5, "feature_timestamp is empty or not ISO-8601"),
    ]


def test_rows_quarantined_by_an_earlier_run_are_not_left_beside_a_clean_output(
    processor, records, tmp_path
):
    processor.process(records, tmp_path / "out.parquet")
    write(records, [row()])
    report = processor.process(records, tmp_path / "out.parquet")
    assert (report.quarantined, report.quarantine) == (0, None)
    assert not (tmp_path / "out.quarantined.parquet").exists()


def test_a_second_run_computes_nothing_and_gives_the_same_file(processor, records, tmp_path):
    processor.process(records, tmp_path / "one.parquet")
    again = EmbeddingProcessor(HashingEncoder(8), tmp_path / "store")
    report = again.process(records, tmp_path / "two.parquet")
    assert (report.computed, report.reused) == (0, 2)
    assert pq.read_table(tmp_path / "two.parquet") == pq.read_table(tmp_path / "one.parquet")


def test_progress_tells_the_accounts_and_then_each_finished_batch(processor, records, tmp_path):
    seen = []
    processor.process(
        records,
        tmp_path / "out.parquet",
        on_start=lambda n: seen.append(("of", n)),
        on_progress=lambda n: seen.append(("done", n)),
    )
    assert seen == [("of", 2), ("done", 2)]


def test_a_history_window_leaves_older_orders_out(records, tmp_path):
    processor = EmbeddingProcessor(HashingEncoder(8), tmp_path / "store", history_days=1)
    processor.process(records, tmp_path / "out.parquet")
    assert (
        pq.read_table(tmp_path / "out.parquet")["text_for_embedding"][0]
        .as_py()
        .startswith("Items: Ramen.")
    )


def without_vendors(path):
    pq.write_table(pq.read_table(write(path, [row()])).drop("vendor_name"), path)


def only_bad_rows(path):
    write(path, [row(item=""), row(item=None), row(at="?")])


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda path: None, InputNotFoundError, "in.parquet does not exist"),
        (lambda path: path.mkdir(), UnreadableInputError, "is a folder"),
        (lambda path: path.write_bytes(b"a,b\n"), UnreadableInputError, "cannot be read as"),
        (lambda path: write(path, []), EmptyInputError, "holds no records"),
        (without_vendors, SchemaError, "lacks the column vendor_name"),
        (only_bad_rows, EmptyInputError, r"None of the 3 records.*item_description is empty \(2\)"),
    ],
    ids=["absent", "folder", "csv", "empty", "column", "all bad"],
)  # fmt: skip
def test_input_that_cannot_be_used_is_refused_and_leaves_no_output(
    processor, tmp_path, make, error, words
):
    make(tmp_path / "in.parquet")
    with pytest.raises(error, match=words):
        processor.process(tmp_path / "in.parquet", tmp_path / "out.parquet")
    left = {path.name for path in tmp_path.iterdir()} - {"in.parquet"}
    assert left <= {"out.quarantined.parquet"}


def test_damage_found_amid_the_rows_leaves_the_old_output(processor, tmp_path):
    source = write(tmp_path / "in.parquet", [row(item=str(n)) for n in range(9_999)])
    (tmp_path / "out.parquet").write_text("old")
    content = bytearray(source.read_bytes())
    content[10:2_000] = b"\xff" * 1_990
    source.write_bytes(bytes(content))
    with pytest.raises(UnreadableInputError, match="in.parquet"):
        processor.process(source, tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "old"


def test_an_encoder_that_fails_leaves_the_old_output(processor, records, tmp_path, monkeypatch):
    (tmp_path / "out.parquet").write_text("old")
    monkeypatch.setattr(processor.encoder, "encode", lambda texts: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        processor.process(records, tmp_path / "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "old"
    assert not list(tmp_path.glob(".*.tmp"))


def test_an_output_that_would_overwrite_its_input_is_refused(processor, records):
    before = records.read_bytes()
    with pytest.raises(NotWritableError, match="would overwrite the input"):
        processor.process(records, records.parent / "." / "in.parquet")
    assert records.read_bytes() == before


def test_a_target_that_cannot_be_written_is_refused_before_any_work(processor, records, tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "file" / "out.parquet", tmp_path / "folder"):
        with pytest.raises(NotWritableError):
            processor.process(records, target, on_start=lambda n: pytest.fail("work was done"))


def test_a_folder_without_permission_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(NotWritableError, match="not a writable folder"):
        check_writable(tmp_path / "new" / "out.parquet")


def test_a_disk_that_fills_up_is_named_and_leaves_no_output(
    processor, records, tmp_path, monkeypatch
):
    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    out = tmp_path / "out.parquet"
    replace = os.replace
    monkeypatch.setattr(
        files.os, "replace", lambda s, t: (full if str(t) == str(out) else replace)(s, t)
    )
    with pytest.raises(DiskFullError, match="out.parquet"):
        processor.process(records, out)
    assert not out.exists()


def test_the_processor_is_the_packages_public_name():
    assert embedding_assets.EmbeddingProcessor is EmbeddingProcessor
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = embedding_assets.Nothing
