import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.forget.similar import Patch
from embedding_assets.search.similar import similar_slice
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import table_slice

NAMES = [f"a{n:02}" for n in range(40)]


def table_of(folder, names, vectors):
    rows = pa.table({"account_id": names, "embedding": pa.array(list(vectors), VECTOR)})
    table = ParquetTable.at(folder / "accounts")
    table.write(table_slice(rows, "d"))
    return table


def neighbours(table, top):
    return pa.Table.from_batches(similar_slice(table, "account_id", top).batches())


def triples(rows):
    ids = zip(rows["account_id"].to_pylist(), rows["rank"].to_pylist(),
              rows["similar_account_id"].to_pylist(), strict=True)  # fmt: skip
    return sorted(zip(ids, np.round(rows["score"].to_numpy(), 5).tolist(), strict=True))


VECTOR = pa.list_(pa.float32(), 6)


@pytest.fixture
def vectors():
    found = np.random.default_rng(3).normal(size=(40, 6)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@pytest.mark.parametrize("top", [3, 38, 60])
@pytest.mark.parametrize("gone", [["a07"], ["a00", "a01", "a39"], []])
def test_the_patched_rows_are_those_of_a_table_without_the_gone_ones(tmp_path, vectors, gone, top):
    table = table_of(tmp_path / "all", NAMES, vectors)
    kept = [n for n, name in enumerate(NAMES) if name not in gone]
    left = table_of(tmp_path / "left", [NAMES[n] for n in kept], vectors[kept])
    patch = Patch(table, "account_id", pa.array(gone, pa.string()), top)
    assert triples(patch.apply(neighbours(table, top), anew=True)) == triples(neighbours(left, top))


def test_without_computing_the_gone_rows_are_missing(tmp_path, vectors):
    table = table_of(tmp_path, NAMES, vectors)
    rows = neighbours(table, 3)
    left = Patch(table, "account_id", pa.array(["a07"]), 3).apply(rows, anew=False)
    expected = [t for t in triples(rows) if "a07" not in t[0]]
    assert triples(left) == expected
    assert 0 < len(left) < len(rows) - 3


def test_the_vectors_may_have_lost_the_gone_rows_already(tmp_path, vectors):
    rows = neighbours(table_of(tmp_path / "all", NAMES, vectors), 3)
    left = table_of(tmp_path / "left", NAMES[1:], vectors[1:])
    patch = Patch(left, "account_id", pa.array(["a00"]), 3)
    assert triples(patch.apply(rows, anew=True)) == triples(neighbours(left, 3))
