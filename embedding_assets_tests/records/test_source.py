import time
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError
from embedding_assets.records.source import (
    RAW_SCHEMA,
    list_record_files,
    raw_records_sql,
    read_raw,
    read_schema,
)
from embedding_assets.storage.duck import query_engine
from embedding_assets_tests.records.shop import SCHEMA, raw, row, write

INSTANT = datetime(2025, 3, 1, 10, 0, 0)
CUISINES = ["Thai", "Asian"]


def typed(path, column, kind, value, **options):
    """A file of one record with one column of another type."""
    table = pa.Table.from_pylist([row(cuisines="Thai, Asian")], SCHEMA)
    position = table.schema.get_field_index(column)
    table = table.set_column(position, column, pa.array([value], kind))
    pq.write_table(table, path, **options)
    return path


def names(source):
    return [file.name for file in list_record_files(str(source))]


def test_rows_are_read_as_they_stand_with_instant_day_and_place(tmp_path):
    path = write(tmp_path / "f.parquet", [row(at=" 2025-03-01T23:00-02:00"), row(at="never")])
    assert raw(path).to_pylist() == [
        {
            **row(at=" 2025-03-01T23:00-02:00"),
            "recorded_at": datetime(2025, 3, 2, 1, tzinfo=UTC),
            "day": date(2025, 3, 2),
            "source_file": "f.parquet",
            "source_row": 0,
        },
        {
            **row(at="never"),
            "recorded_at": None,
            "day": None,
            "source_file": "f.parquet",
            "source_row": 1,
        },
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_timestamps_of_any_type_are_the_instants_they_mean(tmp_path, unit, zone):
    value = INSTANT.replace(tzinfo=UTC) if zone else INSTANT
    path = typed(tmp_path / "f.parquet", "feature_timestamp", pa.timestamp(unit, zone), value)
    [found] = raw(path).to_pylist()
    assert found["recorded_at"] == INSTANT.replace(tzinfo=UTC)
    assert found["feature_timestamp"] == "2025-03-01T10:00:00.000000+00:00"
    assert found["day"] == date(2025, 3, 1)


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64()])
def test_a_date_is_its_first_instant(tmp_path, kind):
    path = typed(tmp_path / "f.parquet", "feature_timestamp", kind, INSTANT.date())
    assert raw(path)["recorded_at"].to_pylist() == [datetime(2025, 3, 1, tzinfo=UTC)]


def test_timestamps_in_the_old_format_of_hive_and_spark_are_read(tmp_path):
    path = tmp_path / "f.parquet"
    kind = pa.timestamp("ns")
    typed(path, "feature_timestamp", kind, INSTANT, use_deprecated_int96_timestamps=True)
    assert raw(path)["recorded_at"].to_pylist() == [INSTANT.replace(tzinfo=UTC)]


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string())])
def test_a_list_of_cuisines_equals_the_joined_string(tmp_path, kind):
    path = typed(tmp_path / "f.parquet", "vendor_cuisines", kind, CUISINES)
    assert raw(path)["vendor_cuisines"].to_pylist() == ["Thai, Asian"]


@pytest.mark.parametrize(
    "kind",
    [pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())],
    ids=str,
)
def test_strings_of_any_layout_are_equal(tmp_path, kind):
    path = typed(tmp_path / "f.parquet", "account_id", kind, "ada")
    assert raw(path)["account_id"].to_pylist() == ["ada"]


def test_a_column_of_nulls_is_read_as_missing_values(tmp_path):
    path = typed(tmp_path / "f.parquet", "vendor_name", pa.null(), None)
    assert raw(path)["vendor_name"].to_pylist() == [None]


def test_further_columns_are_no_obstacle(tmp_path):
    path = tmp_path / "f.parquet"
    extended = pa.Table.from_pylist([{**row(), "day": "x", "instant": "y", "price": 1.5}])
    pq.write_table(extended, path)
    assert raw(path).schema == RAW_SCHEMA


@pytest.mark.parametrize(
    ("column", "kind", "value"),
    [
        ("account_id", pa.int64(), 5),
        ("item_description", pa.binary(), b"x"),
        ("feature_timestamp", pa.int64(), 5),
        ("vendor_cuisines", pa.float64(), 0.5),
    ],
)
def test_a_column_of_another_type_is_refused_by_name_and_type(tmp_path, column, kind, value):
    with pytest.raises(SchemaError, match=f"column {column} has the type {kind}"):
        read_schema(typed(tmp_path / "f.parquet", column, kind, value))


def test_missing_columns_are_refused_by_name(tmp_path):
    path = tmp_path / "f.parquet"
    pq.write_table(pa.table({"account_id": ["a"], "price": [1]}), path)
    with pytest.raises(SchemaError, match="lacks the column item_description, vendor_name"):
        read_schema(path)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"account_id,item\n1,2\n" * 50])
def test_what_is_no_parquet_is_refused_by_name(tmp_path, content):
    path = tmp_path / "f.parquet"
    path.write_bytes(content)
    with pytest.raises(UnreadableInputError, match="f.parquet cannot be read as Parquet"):
        raw_records_sql(path)


def test_a_truncated_file_is_refused_by_name(tmp_path):
    path = write(tmp_path / "f.parquet", [row()] * 100)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(UnreadableInputError, match="f.parquet"):
        read_schema(path)


def test_damaged_rows_are_refused_by_name(tmp_path):
    path = write(tmp_path / "f.parquet", [row(item=str(n)) for n in range(9_999)])
    content = bytearray(path.read_bytes())
    content[10:2_000] = b"\xff" * 1_990
    path.write_bytes(bytes(content))
    [file] = list_record_files(str(path))
    with query_engine() as connection, pytest.raises(UnreadableInputError, match="f.parquet"):
        list(read_raw(connection, file, date(2025, 3, 1)))


def test_an_absent_file_and_a_folder_are_refused_by_name(tmp_path):
    with pytest.raises(InputNotFoundError, match="absent.parquet does not exist"):
        read_schema(tmp_path / "absent.parquet")
    with pytest.raises(UnreadableInputError, match="is a folder"):
        read_schema(tmp_path)


def test_the_rows_of_one_day_are_read_in_file_order(tmp_path):
    rows = [row(item=str(n), at=f"2025-03-0{1 + n % 2}") for n in range(6)]
    [file] = list_record_files(str(write(tmp_path / "f.parquet", rows)))
    with query_engine() as connection:
        batches = list(read_raw(connection, file, date(2025, 3, 2), batch_rows=2))
    assert pa.Table.from_batches(batches)["source_row"].to_pylist() == [1, 3, 5]


def test_a_folder_is_searched_in_depth_and_sorted_by_name(tmp_path):
    for name in ("b.parquet", "a/c.parquet", "a.parquet", "a/d/e.parquet"):
        write(tmp_path / name, [row()])
    (tmp_path / "notes.txt").write_text("")
    assert names(tmp_path) == ["a.parquet", "a/c.parquet", "a/d/e.parquet", "b.parquet"]


def test_a_glob_names_its_files_below_its_fixed_part(tmp_path):
    for name in ("x/a.parquet", "y/b.parquet", "y/c.pq"):
        write(tmp_path / name, [row()])
    assert names(tmp_path / "*" / "*.parquet") == ["x/a.parquet", "y/b.parquet"]
    assert names(tmp_path / "**" / "*.p*q*") == ["x/a.parquet", "y/b.parquet", "y/c.pq"]


def test_a_relative_glob_is_below_the_working_folder(tmp_path, monkeypatch):
    write(tmp_path / "a.parquet", [row()])
    monkeypatch.chdir(tmp_path)
    assert names("*.parquet") == ["a.parquet"]
    assert names("a.parquet") == ["a.parquet"]


def test_a_single_file_is_its_own_source(tmp_path):
    path = write(tmp_path / "a.parquet", [row()])
    [file] = list_record_files(str(path))
    assert (file.name, file.path, file.size) == ("a.parquet", path, path.stat().st_size)


def test_a_change_of_permissions_is_seen(tmp_path):
    path = write(tmp_path / "a.parquet", [row()])
    before = list_record_files(str(path))
    time.sleep(0.02)
    path.chmod(0o600)
    assert list_record_files(str(path)) != before


@pytest.mark.parametrize(
    "name", [".a.parquet", "_a.parquet", "_temporary/0/a.parquet", ".b/a.parquet"]
)
def test_what_other_programs_hide_or_stage_is_skipped(tmp_path, name):
    write(tmp_path / name, [row()])
    write(tmp_path / "seen.parquet", [row()])
    assert names(tmp_path) == ["seen.parquet"]


def test_a_source_below_a_hidden_folder_is_read(tmp_path):
    write(tmp_path / ".data" / "a.parquet", [row()])
    assert names(tmp_path / ".data") == ["a.parquet"]


@pytest.mark.parametrize("source", ["absent", "absent/*.parquet", "absent/**/x.parquet"])
def test_an_absent_source_is_refused_by_name(tmp_path, source):
    with pytest.raises(InputNotFoundError, match="absent"):
        list_record_files(str(tmp_path / source))


def test_a_folder_is_a_folder_even_when_its_name_looks_like_a_glob(tmp_path):
    write(tmp_path / "orders[1]" / "a*.parquet", [row()])
    assert names(tmp_path / "orders[1]") == ["a*.parquet"]


def test_a_file_whose_name_looks_like_a_glob_gives_its_own_rows_only(tmp_path):
    write(tmp_path / "a1.parquet", [row("other")])
    assert raw(write(tmp_path / "a*.parquet", [row("mine")]))["account_id"].to_pylist() == ["mine"]
    assert raw(write(tmp_path / "a[1].parquet", [row("me")]))["account_id"].to_pylist() == ["me"]
