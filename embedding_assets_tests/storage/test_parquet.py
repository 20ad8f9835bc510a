import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.errors import NotFoundError, NotWritableError, StoreDamagedError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice, table_slice

ROWS = pa.table({"day": ["a", "a", "b"], "n": [1, 2, 3]})


@pytest.fixture(params=["local", "memory"])
def table(request, tmp_path):
    if request.param == "local":
        yield ParquetTable.at(tmp_path / "orders")
    else:
        yield ParquetTable.at(f"memory://{tmp_path.name}/orders")


def never():
    pytest.fail("the rows were computed")


def test_a_partition_is_read_as_it_was_written(table):
    written = table.write(table_slice(ROWS, "d1", "2026-01-01", files=2))
    assert written.replaced
    assert written.footer == Footer("2026-01-01", "d1", 3, {"files": 2})
    assert table.footer("2026-01-01") == written.footer
    assert table.read("2026-01-01") == ROWS
    assert (table.name, table.keys()) == ("orders", ["2026-01-01"])


def test_a_table_without_partitions_is_one_file_by_its_name(table):
    table.write(table_slice(ROWS, "d1"))
    assert table.path().name == "orders.parquet"
    assert table.footer() == Footer(None, "d1", 3, {})
    assert table.read() == ROWS
    assert table.keys() == []


def test_an_equal_digest_is_neither_computed_nor_written_again(table):
    table.write(table_slice(ROWS, "d1", "k"))
    written = table.write(Slice("k", "d1", ROWS.schema, never))
    assert not written.replaced
    assert written.footer.rows == 3


def test_another_digest_replaces_the_whole_partition_and_no_other(table):
    table.write(table_slice(ROWS, "d1", "k"))
    table.write(table_slice(ROWS, "d1", "other"))
    assert table.write(table_slice(ROWS.slice(1, 1), "d2", "k")).replaced
    assert table.read("k") == ROWS.slice(1, 1)
    assert table.read("other") == ROWS


def test_an_error_while_rows_are_drawn_leaves_the_old_partition(table):
    table.write(table_slice(ROWS, "d1", "k"))

    def break_off():
        yield ROWS.to_batches()[0]
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        table.write(Slice("k", "d2", ROWS.schema, break_off))
    assert table.footer("k").digest == "d1"
    assert table.read("k") == ROWS
    assert [path.name for path in table.folder.iterdir()] == ["k.parquet"]


def test_stats_filled_while_rows_are_drawn_are_stored_with_them(table):
    stats = {}

    def count():
        for batch in ROWS.to_batches():
            stats["seen"] = stats.get("seen", 0) + len(batch)
            yield batch

    table.write(Slice("k", "d1", ROWS.schema, count, stats))
    assert table.footer("k").stats == {"seen": 3}


def test_a_partition_without_rows_exists_all_the_same(table):
    table.write(Slice("k", "d1", ROWS.schema, lambda: []))
    assert table.footer("k").rows == 0
    assert table.read("k") == ROWS.schema.empty_table()


@pytest.mark.parametrize("key", ["a/b", "..", "'q\"", "%2F", "ключ", "x" * 400, "line\nend"])
def test_awkward_keys_are_kept_as_they_are(table, key):
    table.write(table_slice(ROWS, "d1", key))
    assert table.keys() == [key]
    assert table.read(key) == ROWS
    assert table.path(key).parent == table.folder


def test_a_dataset_covers_the_asked_for_partitions_that_exist(table):
    for key in ("a", "b", "c"):
        table.write(table_slice(pa.table({"k": [key]}), "d", key))
    assert table.dataset(["a", "c", "absent"]).to_table()["k"].to_pylist() == ["a", "c"]
    assert table.dataset().to_table()["k"].to_pylist() == ["a", "b", "c"]
    assert set(table.footers(["a", "absent"])) == {"a"}


def test_a_dataset_of_no_partition_is_not_a_dataset_of_all(table):
    table.write(table_slice(ROWS, "d", "a"))
    with pytest.raises(NotFoundError, match="orders"):
        table.dataset([])


def test_what_was_never_written_is_not_found_by_name(table):
    assert table.footer("a") is None
    assert table.keys() == []
    with pytest.raises(NotFoundError, match="Nothing of orders is stored"):
        table.read("a")
    with pytest.raises(NotFoundError):
        table.dataset()


def test_a_removed_partition_is_gone(table):
    table.write(table_slice(ROWS, "d", "a"))
    table.remove("a")
    table.remove("a")
    assert table.keys() == []


def test_a_file_of_another_program_is_refused_by_name(table):
    table.folder.mkdir(parents=True, exist_ok=True)
    with table.path("k").open("wb") as file:
        pq.write_table(ROWS, file)
    with pytest.raises(StoreDamagedError, match="k.parquet is not a partition of orders"):
        table.footer("k")
    with pytest.raises(StoreDamagedError, match="k.parquet"):
        table.keys()


@given(st.data())
def test_a_damaged_footer_is_refused_by_name_or_unharmed(tmp_path_factory, data):
    table = ParquetTable.at(tmp_path_factory.mktemp("damage") / "orders")
    whole = table.write(table_slice(ROWS, "d1", "k")).footer
    content = bytearray(table.path("k").read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    table.path("k").write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    try:
        table.footer("k")
    except StoreDamagedError as error:
        assert "k.parquet" in str(error)
    else:
        assert table.footer("k").rows == whole.rows


def test_a_folder_in_the_place_of_a_partition_is_refused_by_name(tmp_path):
    table = ParquetTable.at(tmp_path / "orders")
    (tmp_path / "orders" / "k.parquet").mkdir(parents=True)
    with pytest.raises((StoreDamagedError, NotWritableError), match="k.parquet"):
        table.write(table_slice(ROWS, "d1", "k"))


def test_rows_of_another_schema_are_refused_and_nothing_is_stored(tmp_path):
    table = ParquetTable.at(tmp_path / "orders")
    with pytest.raises(ValueError):
        table.write(Slice("k", "d1", pa.schema([("n", pa.string())]), ROWS.to_batches))
    assert table.keys() == []
