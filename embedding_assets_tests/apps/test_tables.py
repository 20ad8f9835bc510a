import json
import os
import pickle
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.pickles import PickleLimits, RefusedPickleError
from embedding_assets.apps.tables import (
    CATALOGUE_SCHEMA,
    PERFORMANCE_SCHEMA,
    REJECT_SCHEMA,
    VECTOR,
    UnmatchedMatrixError,
    read_app_vectors,
    read_catalogue,
    read_performance,
)
from embedding_assets.errors import (
    EmptyInputError,
    InputNotFoundError,
    SchemaError,
    UnreadableInputError,
)

HEADER = "app_id,app_name,super_category,app_platform\n"
COUNTS = "app_id,clicks,impressions\n"


@pytest.fixture
def file(tmp_path):
    def write(content, name="apps.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture
def vectors(file):
    """Reads what is pickled, beside the apps APP_1, APP_2, ..."""

    def read(value, apps=2):
        catalogue = CATALOGUE_SCHEMA.empty_table()
        ids = [f"APP_{number}" for number in range(1, apps + 1)]
        rows = [{"app_id": app_id} for app_id in ids]
        catalogue = pa.concat_tables([catalogue, pa.Table.from_pylist(rows, CATALOGUE_SCHEMA)])
        return read_app_vectors(file(pickle.dumps(value), "vectors.pkl"), catalogue)

    return read


def rows(table):
    return [tuple(row.values()) for row in table.to_pylist()]


def refused(read):
    """Line, id and reason of each row that was left out."""
    assert read.rejects.schema == REJECT_SCHEMA
    return [(row["line"], row["app_id"], row["reason"]) for row in read.rejects.to_pylist()]


def test_catalogue_has_one_row_for_each_app_in_first_seen_order(file):
    read = read_catalogue(file(HEADER + "APP_2,Two,Games,ios\nAPP_1,One,Music,web\n"))
    assert read.table.schema == CATALOGUE_SCHEMA
    assert rows(read.table) == [("APP_2", "Two", "Games", "ios"), ("APP_1", "One", "Music", "web")]
    assert (read.rejects.num_rows, read.notes["rows"], read.notes["apps"]) == (0, 2, 2)


def test_first_value_that_is_not_missing_wins_and_conflicts_are_counted(file):
    read = read_catalogue(
        file(
            HEADER
            + "APP_1,,Games,ios\nAPP_2,Two,nan,N/A\nAPP_1,One,Music,ios\n"
            + "APP_1,Uno,None,<NA>\nAPP_2,two,Music,\n"
        )
    )
    assert rows(read.table) == [("APP_1", "One", "Games", "ios"), ("APP_2", "Two", "Music", None)]
    assert read.notes == {
        "rows": 5,
        "apps": 2,
        "repeated_rows": 3,
        "missing_app_name": 0,
        "conflicting_app_name": 2,
        "missing_super_category": 0,
        "conflicting_super_category": 1,
        "missing_app_platform": 1,
        "conflicting_app_platform": 0,
    }


def test_rows_without_id_or_with_other_fields_are_left_out_with_line_and_reason(file):
    read = read_catalogue(
        file(HEADER + 'APP_1,"A\nB",Games,ios\n,Two,Games,ios\n\nAPP_3,Three\nAPP_4,F,G,ios,x\n')
    )
    assert rows(read.table) == [("APP_1", "A B", "Games", "ios")]
    assert rows(read.rejects) == [
        ("apps.csv", 4, None, "app_id is missing", None),
        ("apps.csv", 6, None, "the row has 2 fields, the header 4", "APP_3,Three\n"),
        ("apps.csv", 7, None, "the row has 5 fields, the header 4", "APP_4,F,G,ios,x\n"),
    ]


def test_an_open_quotation_mark_costs_one_row_only(file):
    read = read_catalogue(file(HEADER + 'APP_1,"One,Games,ios\nAPP_2,Two,Games,ios\n'))
    assert rows(read.table) == [("APP_2", "Two", "Games", "ios")]
    ((line, _, reason),) = refused(read)
    assert (line, reason) == (2, "the row is malformed (unexpected end of data)")


def test_many_malformed_rows_take_no_longer_than_good_ones(file):
    read = read_catalogue(file(HEADER + 'A,"B"C,D,E\n' * 50_000 + "APP_2,Two,Games,ios\n"))
    assert (read.table.num_rows, read.rejects.num_rows) == (1, 50_000)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_delimiters_encodings_and_line_ends_are_told_apart(file, delimiter, encoding, end):
    text = HEADER + "APP_1,Café  5,Games,ios\n"
    content = text.replace(",", delimiter).replace("\n", end).encode(encoding)
    assert rows(read_catalogue(file(content)).table) == [("APP_1", "Café 5", "Games", "ios")]


def test_columns_are_found_by_name_and_others_ignored(file):
    text = " App_Platform ,extra,APP_ID,super_category,app_name\nios,x,APP_1,Games,One\n"
    assert rows(read_catalogue(file(text)).table) == [("APP_1", "One", "Games", "ios")]


def test_quoted_delimiters_quotes_and_composed_characters_are_read(file):
    text = HEADER + '" APP_1 ","A, ""B""",Cafe\u0301,ios\n'
    assert rows(read_catalogue(file(text)).table) == [("APP_1", 'A, "B"', "Café", "ios")]


@pytest.mark.parametrize(
    ("content", "error", "problem"),
    [
        (b"", EmptyInputError, "apps.csv is empty"),
        (HEADER, EmptyInputError, "no row below its header"),
        (HEADER + ",A,B,C\n", EmptyInputError, "none of its 1 rows can be used; line 2: app_id"),
        ("app_id,name\nA,B\n", SchemaError, "has the columns app_id, name; app_name, super_cat"),
        ("app_id," + HEADER + "A,A,B,C,D\n", SchemaError, "app_id more than once"),
        (HEADER.encode() + b"A,\xe9,B,C\n", UnreadableInputError, "apps.csv, line 2: it is not"),
    ],
)
def test_unusable_files_are_named(file, content, error, problem):
    with pytest.raises(error) as raised:
        read_catalogue(file(content))
    assert problem in raised.value.problem


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(InputNotFoundError, match="apps.csv does not exist"):
        read_catalogue(tmp_path / "apps.csv")
    with pytest.raises(UnreadableInputError, match="cannot be read: Is a directory"):
        read_performance(tmp_path)


def test_performance_is_summed_for_each_app(file):
    read = read_performance(file(COUNTS + "APP_2,1,10\nAPP_1,2,30.0\nAPP_2,3,1e2\n"))
    assert read.table.schema == PERFORMANCE_SCHEMA
    assert rows(read.table) == [("APP_2", 4, 110, None, None), ("APP_1", 2, 30, None, None)]
    assert read.rejects.num_rows == 0


def test_optional_columns_are_summed_where_they_are_known(file):
    text = "app_id,clicks,impressions,mmp_offer_default_revenue,event_count\n"
    read = read_performance(file(text + "A,1,9,0.5,2\nA,1,9,,3\nB,1,9,,\nB,1,9,-0.25,\n"))
    assert rows(read.table) == [("A", 2, 18, 5, 0.5), ("B", 2, 18, None, -0.25)]


def test_rows_without_impressions_are_kept_and_counted(file):
    read = read_performance(file(COUNTS + "A,0,0\nB,0,0\nB,1,2\n"))
    assert rows(read.table) == [("A", 0, 0, None, None), ("B", 1, 2, None, None)]
    assert read.notes["rows_without_impressions"] == 2
    assert read.notes["apps_without_impressions"] == 1


@pytest.mark.parametrize(
    ("row", "reason", "value"),
    [
        (",1,2,,", "app_id is missing", None),
        ("A,-1,2,,", "clicks is negative", "-1"),
        ("A,1.5,2,,", "clicks is no whole number", "1.5"),
        ("A,,2,,", "clicks is missing", None),
        ("A,1,nan,,", "impressions is missing", None),
        ("A,1,inf,,", "impressions is no number", "inf"),
        ("A,one,2,,", "clicks is no number", "one"),
        ("A,0x10,2,,", "clicks is no number", "0x10"),
        ('A,"1,000",2000,,', "clicks is no number", "1,000"),
        ("A,1,1e99,,", "impressions is larger than 10^11", "1e99"),
        ("A,3,2,,", "there are more clicks than impressions", "3 > 2"),
        ("A,1,0,,", "there are more clicks than impressions", "1 > 0"),
        ("A,1,2,-3,", "event_count is negative", "-3"),
        ("A,1,2,,free", "mmp_offer_default_revenue is no number", "free"),
        ("A,1,2,,1e999", "mmp_offer_default_revenue is no number", "1e999"),
    ],
)
def test_impossible_rows_are_left_out_with_reason_and_value(file, row, reason, value):
    header = "app_id,clicks,impressions,event_count,mmp_offer_default_revenue\n"
    read = read_performance(file(header + "B,1,2,,\n" + row + "\nB,1,3,,\n"))
    assert rows(read.table) == [("B", 2, 5, None, None)]
    app_id = row.split(",")[0] or None
    assert rows(read.rejects) == [("apps.csv", 3, app_id, reason, value)]


def test_rejects_stand_in_the_order_of_their_lines(file):
    read = read_performance(file(COUNTS + "A,2,1\nB\nC,1,2\nD,-1,1\n"))
    assert [line for line, _, _ in refused(read)] == [2, 3, 5]


def test_vectors_of_all_shapes_become_one_row_each(vectors):
    read = vectors(
        {
            "APP_1": np.array([1, 2], np.float64),
            "APP_2": np.array([[1, 2], [3, 6]], np.float32),
            "list": [1, 2.5],
            "scalars": (np.float32(1), np.int64(2)),
            "rows": [[1, 2], [3, 4]],
            "arrays": [np.array([0, 1]), np.array([1, 0])],
            "dict": {"vec": [5, 6], "meta": {"b": 1, "a": [np.float32(0.5)]}},
            "matrix in a dict": {"vec": np.ones((3, 2))},
            " 7 ": np.array([1, 0], np.int8),
            8: np.array([1, 0], np.float16),
        }
    )
    assert read.table.schema == VECTOR
    assert rows(read.table) == [
        ("APP_1", [1, 2], None),
        ("APP_2", [2, 4], None),
        ("list", [1, 2.5], None),
        ("scalars", [1, 2], None),
        ("rows", [2, 3], None),
        ("arrays", [0.5, 0.5], None),
        ("dict", [5, 6], '{"a": [0.5], "b": 1}'),
        ("matrix in a dict", [1, 1], None),
        ("7", [1, 0], None),
        ("8", [1, 0], None),
    ]
    assert read.notes == {
        "apps": 10,
        "dimension": 2,
        "averaged_matrices": 4,
        "averaged_repeats": 0,
        "not_in_catalogue": 8,
        "without_vector": 0,
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.array([1, np.nan]), "the vector has NaN, infinity or numbers beyond float32"),
        ([1, float("inf")], "the vector has NaN, infinity or numbers beyond float32"),
        ([1, 1e300], "the vector has NaN, infinity or numbers beyond float32"),
        (np.array([[1, 2], [np.nan, 1]]), "the vector has NaN, infinity or numbers beyond"),
        (np.zeros(2), "the vector is zero"),
        (np.array([[1, -1], [-1, 1]]), "the vector is zero"),
        ([1, 2, 3], "the vector has 3 dimensions, 2 others have 2"),
        (None, "it is None, not a vector"),
        ("1,2", "it is a str, not a vector"),
        (3.5, "it is a float, not a vector"),
        ([], "it has no number"),
        (np.empty((0, 2)), "it has no number"),
        (np.array(3.5), "it has 0 dimensions"),
        (np.ones((1, 1, 2)), "it has 3 dimensions"),
        (np.array(["a", "b"]), "it holds str32, not numbers"),
        (np.array([True, False]), "it holds bool, not numbers"),
        (np.array([1j, 2]), "it holds complex128, not numbers"),
        ([1, None], "it holds None among its numbers"),
        ([1, "2"], "it holds a str among its numbers"),
        ([True, 2], "it holds bool, not numbers"),
        ([1, 10**400], "its numbers no size"),
        ([[1, 2], [3]], "its rows have different lengths"),
        ([[1, 2], 3], "it holds a list among its numbers"),
        ({"vector": [1, 2]}, "it is a dict without vec"),
        ({"vec": {"vec": [1, 2]}}, "vec is a dict"),
        ({"vec": None, "meta": {}}, "it is None"),
        ({1, 2}, "it is a set"),
    ],
    ids=repr,
)
def test_unusable_vectors_are_left_out_with_their_app_and_reason(vectors, value, reason):
    read = vectors({"APP_1": [1, 2], "bad": value, "APP_2": [3, 4]})
    assert [row[:2] for row in rows(read.table)] == [("APP_1", [1, 2]), ("APP_2", [3, 4])]
    ((line, app_id, said),) = refused(read)
    assert (line, app_id) == (None, "bad")
    assert reason in said
    assert read.rejects["file"].to_pylist() == ["vectors.pkl"]


@pytest.mark.parametrize("key", [None, "", "nan", 1.5, ("APP_1",), True, b"APP_1"])
def test_vectors_without_an_id_are_left_out(vectors, key):
    read = vectors({"APP_1": [1, 2], key: [1, 2]})
    assert (read.table.num_rows, read.rejects["app_id"].to_pylist()) == (1, [None])
    assert "is no app_id" in read.rejects["reason"][0].as_py()


def test_dimension_that_most_vectors_have_wins(vectors):
    read = vectors({"a": [1, 2, 3], "b": [1, 2], "c": [[1, 2], [3, 4]], "d": [4]})
    assert read.table["app_id"].to_pylist() == ["b", "c"]
    assert Counter(reason for _, _, reason in refused(read)) == {
        "the vector has 3 dimensions, 2 others have 2": 1,
        "the vector has 1 dimensions, 2 others have 2": 1,
    }


def test_vectors_of_one_app_are_averaged(vectors):
    read = vectors(
        {"1": {"vec": [1, 2]}, 1: {"vec": [3, 6], "meta": "x"}, " 1": [5, 1], "2": [1, 1]}
    )
    assert rows(read.table) == [("1", [3, 3], '"x"'), ("2", [1, 1], None)]
    assert read.notes["averaged_repeats"] == 2


@pytest.mark.parametrize(
    "matrix",
    [
        np.array([[1, 2], [3, 4]], np.float32),
        [[1, 2], [3, 4]],
        (np.array([1, 2]), np.array([3, 4])),
        [{"vec": [1, 2]}, [[2, 3], [4, 5]]],
        np.array([[[1, 2]], [[3, 4]]]),
    ],
)
def test_rows_of_a_bare_matrix_are_those_of_the_apps(vectors, matrix):
    assert [row[:2] for row in rows(vectors(matrix).table)] == [
        ("APP_1", [1, 2]),
        ("APP_2", [3, 4]),
    ]


def test_a_bare_matrix_of_another_size_names_both_numbers(vectors):
    with pytest.raises(UnmatchedMatrixError, match=r"matrix of 3 rows, and there are 1,200 apps"):
        vectors(np.ones((3, 2)), apps=1200)


@pytest.mark.parametrize("value", ["text", None, 5, [1, 2], np.ones(3), {1, 2}, b"bytes"])
def test_what_holds_no_vectors_is_named(vectors, value):
    with pytest.raises(SchemaError, match="not vectors"):
        vectors(value)


@pytest.mark.parametrize("value", [{}, {"APP_1": None}])
def test_no_usable_vector_is_an_error(vectors, value):
    with pytest.raises(EmptyInputError, match="holds no vector that can be used"):
        vectors(value)


def test_meta_that_json_lacks_is_written_as_what_comes_nearest(vectors):
    meta = {(1, 2): b"\xff", "n": float("nan"), "s": {2, 1}, "a": np.arange(2), "c": 1j, 3: None}
    read = vectors({"APP_1": {"vec": [1, 2], "meta": meta}})
    assert json.loads(read.table["meta"][0].as_py()) == {
        "[1, 2]": "ff",
        "n": None,
        "s": [1, 2],
        "a": [0, 1],
        "c": [0.0, 1.0],
        "3": None,
    }


class Attack:
    def __reduce__(self):
        return os.system, ("echo ran > marker",)


def test_nothing_of_a_vector_file_is_run(vectors, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedPickleError, match=r"vectors.pkl, byte \d+: it asks for \w+.system"):
        vectors({"APP_1": [1, 2], "APP_2": Attack()})
    assert not (tmp_path / "marker").exists()


def test_limits_reach_the_reader_of_pickles(file):
    path = file(pickle.dumps({"APP_1": [[[1]]]}), "vectors.pkl")
    with pytest.raises(Exception, match="more than 2 deep"):
        read_app_vectors(path, CATALOGUE_SCHEMA.empty_table(), PickleLimits(depth=2))
