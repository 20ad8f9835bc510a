import gzip

import numpy as np
import pytest

from embedding_assets.errors import (
    EmptyInputError,
    InputNotFoundError,
    SchemaError,
    UnreadableInputError,
)
from embedding_assets.experiments import units
from embedding_assets.experiments.units import Columns, read_units

COLUMNS = Columns("user", "arm", "paid")


@pytest.fixture
def written(tmp_path):
    def write(text, name="x.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_rows_of_a_unit_are_summed_in_the_order_of_their_first(written):
    found = read_units(written("user,arm,paid\nb,x,1\na,y,2\nb,x,0.5\n"), COLUMNS)
    assert found.variants.tolist() == ["x", "y"]
    assert found.values.tolist() == [1.5, 2.0]
    assert (found.rows, found.excluded) == (3, 0)
    assert np.isnan(found.covariates).all()


@pytest.mark.parametrize(
    "times",
    [
        ("3", "2.5", "1"),
        ("2025-01-03", "2025-01-02", "2025-01-01"),
        ("2025-01-01 03:00:00", "2025-01-01 02:00:00", "2025-01-01 01:00:00"),
        ("2025-01-01T03:00:00Z", "2025-01-01T04:00:00+02:00", "2025-01-01T01:00:00Z"),
    ],
)
def test_a_time_orders_the_units(written, times):
    text = "user,arm,paid,at\n" + "".join(f"u{n},x,{n},{at}\n" for n, at in enumerate(times))
    found = read_units(written(text), Columns("user", "arm", "paid", time="at"))
    assert found.values.tolist() == [2.0, 1.0, 0.0]


def test_a_covariate_is_the_mean_of_a_units_rows_that_have_one(written):
    text = "user,arm,paid,x\na,x,1,4\na,x,1,\na,x,1,6\nb,y,1,\nc,y,1,nan\n"
    found = read_units(written(text), Columns("user", "arm", "paid", "x"))
    assert found.covariates.tolist() == pytest.approx([5.0, np.nan, np.nan], nan_ok=True)


def test_a_unit_in_two_variants_is_left_out_and_counted(written):
    found = read_units(written("user,arm,paid\na,x,1\nb,x,2\na,y,3\nc,y,4\n"), COLUMNS)
    assert (found.values.tolist(), found.excluded) == ([2.0, 4.0], 1)


@pytest.mark.parametrize(
    "text",
    [
        "user;arm;paid\na;x;1\n",
        "user\tarm\tpaid\na\tx\t1\n",
        '\ufeffuser,arm,paid\r\n"a","x","1"\r\n',
        'note,paid,arm,user\n"two\nlines, here",1,x,a\n',
        " ".join(["user,arm,paid\n", "a,", "x,", "1\n"]).replace("\n ", "\n"),
    ],
    ids=["semicolon", "tab", "mark and quotes", "other columns", "spaces"],
)
def test_usual_ways_of_writing_csv_are_read(written, text):
    found = read_units(written(text), COLUMNS)
    assert (found.variants.tolist(), found.values.tolist()) == (["x"], [1.0])


def test_a_compressed_file_is_read(written):
    path = written(gzip.compress(b"user,arm,paid\na,x,1\n"), "x.csv.gz")
    assert read_units(path, COLUMNS).values.tolist() == [1.0]


def test_a_large_file_is_read_in_blocks_and_merged_on_the_way(written, monkeypatch):
    monkeypatch.setattr(units, "_BLOCK", 2_000)
    monkeypatch.setattr(units, "_MERGE_ROWS", 300)
    rows = [f"u{n % 700},{'xy'[n % 2]},1" for n in range(2_100)]
    path = written("user,arm,paid\n" + "\n".join(rows) + "\n")
    found = read_units(path, COLUMNS)
    assert (len(found.values), set(found.values), found.rows) == (700, {3.0}, 2_100)
    assert found.variants[:4].tolist() == ["x", "y", "x", "y"]


@pytest.mark.parametrize("value", ["", "  ", "abc", "nan", "inf", "1e51", "1;5"])
def test_a_metric_that_is_no_finite_number_is_named_with_its_row(written, value):
    text = f"user,arm,paid\na,x,1\nb,y,{value}\n"
    with pytest.raises(SchemaError, match="Row 2: the column 'paid' holds '.*', which is no"):
        read_units(written(text), COLUMNS)


def test_the_row_is_counted_over_blocks(written, monkeypatch):
    monkeypatch.setattr(units, "_BLOCK", 1_000)
    rows = ["u,x,1"] * 999 + ["u,x,?"]
    with pytest.raises(SchemaError, match="Row 1,000: the column 'paid' holds '\\?'"):
        read_units(written("user,arm,paid\n" + "\n".join(rows)), COLUMNS)


@pytest.mark.parametrize(
    ("text", "columns", "error", "match"),
    [
        ("", COLUMNS, EmptyInputError, "is empty"),
        ("\n\n", COLUMNS, EmptyInputError, "is empty"),
        ("user,arm,paid\n", COLUMNS, EmptyInputError, "holds no rows"),
        ("user,arm\na,x\n", COLUMNS, SchemaError, "'paid' is not in .*, which has user, arm"),
        ("user,arm,paid,paid\na,x,1,2\n", COLUMNS, SchemaError, "'paid' is twice in"),
        ("user,arm,paid\n,x,1\n", COLUMNS, SchemaError, "Row 1: the column 'user' is empty"),
        ("user,arm,paid\na, ,1\n", COLUMNS, SchemaError, "Row 1: the column 'arm' is empty"),
        ("user,arm,paid\na,x,1\nb,y\n", COLUMNS, UnreadableInputError, "cannot be read as CSV"),
        (b"user,arm,paid\n\xff\xfe,x,1\n", COLUMNS, UnreadableInputError, "cannot be read as CSV"),
        (b"\x1f\x8b broken", COLUMNS, SchemaError, "'user' is not in"),
        ("user,arm,paid\na,x,1\na,y,1\n", COLUMNS, EmptyInputError, "Every unit"),
        (
            "user,arm,paid,at\na,x,1,soon\n",
            Columns("user", "arm", "paid", time="at"),
            SchemaError,
            "times that cannot be read, such as 'soon'",
        ),
        (
            "user,arm,paid,c\na,x,1,low\n",
            Columns("user", "arm", "paid", "c"),
            SchemaError,
            "Row 1: the column 'c' holds 'low'",
        ),
    ],
)
def test_what_cannot_be_used_is_named(written, text, columns, error, match):
    with pytest.raises(error, match=match):
        read_units(written(text), columns)


def test_absent_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="does not exist"):
        read_units(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(UnreadableInputError, match="cannot be read as CSV"):
        read_units(tmp_path, COLUMNS)


def test_a_damaged_compressed_file_is_named(written):
    path = written(gzip.compress(b"user,arm,paid\na,x,1\n" * 10_000)[:60], "x.csv.gz")
    with pytest.raises(UnreadableInputError, match="cannot be read as CSV"):
        read_units(path, COLUMNS)
