import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.errors import NotFoundError
from embedding_assets.records.embed import wide_schema
from embedding_assets.search.exact import nearest
from embedding_assets.search.similar import (
    Neighbour,
    matrix_of,
    neighbours,
    rows_and_matrix,
    similar_slice,
)
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import table_slice

VECTORS = np.array([[1, 0], [0.8, 0.6], [0, 1], [-0.96, -0.28]], dtype=np.float32)
NAMES = ["a", "b/2", "ç", "d"]


def listed(names, vectors):
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), 2)
    return pa.table({"item": names, "embedding": column})


def wide(names, vectors):
    columns = {f"embedding_{i}": vectors[:, i] for i in range(vectors.shape[1])}
    return pa.table({"item": names, **columns})


@pytest.fixture(params=[listed, wide])
def make(request, tmp_path):
    def stored(names, vectors, digest="d1"):
        table = ParquetTable.at(tmp_path / "items")
        table.write(table_slice(request.param(pa.array(names, pa.string()), vectors), digest))
        return table

    return stored


def rows(part):
    return pa.Table.from_batches(part.batches(), part.schema).to_pylist()


def test_each_row_lists_its_most_similar_others_with_ranks_from_one(make):
    part = similar_slice(make(NAMES, VECTORS), "item", 2)
    found = [(r["item"], r["rank"], r["similar_item"], round(r["score"], 3)) for r in rows(part)]
    assert found == [
        ("a", 1, "b/2", 0.8), ("a", 2, "ç", 0.0),
        ("b/2", 1, "a", 0.8), ("b/2", 2, "ç", 0.6),
        ("ç", 1, "b/2", 0.6), ("ç", 2, "a", 0.0),
        ("d", 1, "ç", -0.28), ("d", 2, "b/2", -0.936),
    ]  # fmt: skip
    assert (part.key, part.stats) == (None, {"top": 2})


def test_fewer_others_than_asked_for_are_all_of_them(make):
    found = rows(similar_slice(make(NAMES[:3], VECTORS[:3]), "item", 10))
    assert [(r["item"], r["rank"]) for r in found] == [
        (name, rank) for name in NAMES[:3] for rank in (1, 2)
    ]


@pytest.mark.parametrize("n", [0, 1])
def test_without_others_there_are_no_neighbours(make, n):
    part = similar_slice(make(NAMES[:n], VECTORS[:n]), "item", 10)
    assert rows(part) == []
    assert part.schema.names == ["item", "rank", "similar_item", "score"]


def test_the_digest_follows_the_source_and_the_number_of_neighbours(make):
    one = similar_slice(make(NAMES, VECTORS), "item", 2).digest
    assert similar_slice(make(NAMES, VECTORS), "item", 3).digest != one
    assert similar_slice(make(NAMES, VECTORS, "d2"), "item", 2).digest != one


def test_a_table_that_was_never_written_is_not_found_by_name(tmp_path):
    part = similar_slice(ParquetTable.at(tmp_path / "items"), "item", 2)
    with pytest.raises(NotFoundError, match="items"):
        rows(part)


def test_the_matrix_holds_every_row_in_the_order_of_the_ids(make):
    many = np.random.default_rng(0).normal(size=(9_000, 2)).astype(np.float32)
    names = [f"n{i}" for i in range(9_000)]
    with matrix_of(make(names, many), "item") as (ids, vectors):
        assert ids.to_pylist() == names
        np.testing.assert_array_equal(vectors, many)


def test_the_wide_columns_are_taken_in_their_order_beyond_ten():
    assert wide_schema(12).names[2:14] == [f"embedding_{i}" for i in range(12)]


def test_neighbours_in_words_leave_the_query_out():
    found = nearest(VECTORS[:1], VECTORS, 4)
    ids, texts = pa.array(NAMES), pa.chunked_array([["ta", "tb", "tc", "td"]])
    assert neighbours(found, ids, texts, top=2, without=0) == [
        Neighbour(1, "b/2", "tb", pytest.approx(0.8)), Neighbour(2, "ç", "tc", 0.0),
    ]  # fmt: skip
    assert [n.id for n in neighbours(found, ids, texts, top=9, without=-1)] == NAMES


def test_a_table_that_is_replaced_while_it_is_read_gives_the_rows_of_one_file(make, monkeypatch):
    table = make(NAMES, VECTORS)
    original = np.memmap

    def replacing(*args, **options):
        make([*NAMES[::-1], "e"], np.vstack([VECTORS[::-1], VECTORS[:1]]), "d2")
        return original(*args, **options)

    monkeypatch.setattr(np, "memmap", replacing)
    with rows_and_matrix(table, ["item"]) as (found, vectors):
        assert found["item"].to_pylist() == NAMES
        np.testing.assert_array_equal(vectors, VECTORS)
