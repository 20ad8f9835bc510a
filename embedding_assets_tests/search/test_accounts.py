import threading

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import NotFoundError
from embedding_assets.search.accounts import AccountSearch
from embedding_assets.search.snapshots import Tombstones
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of

ENCODER = HashingEncoder(16)
TEXTS = {
    "ann": "pizza pasta wine",
    "bob": "pizza pasta beer",
    "cleo": "sushi ramen tea",
    "dan": "pizza",
}


def store(table, texts):
    vectors = ENCODER.encode([*texts.values()]).vectors
    columns = {"account_id": [*texts], "text_for_embedding": [*texts.values()]}
    columns |= {f"embedding_{n}": vectors[:, n] for n in range(16)}
    columns["main_cuisine"] = ["italian"] * len(texts)
    rows = pa.table(columns)
    part = Slice(None, digest_of([*texts.items()]), rows.schema, rows.to_batches)
    table.write(part)


@pytest.fixture
def table(tmp_path):
    made = ParquetTable.at(tmp_path / "latest_account_embeddings")
    store(made, TEXTS)
    return made


@pytest.fixture
def tombstones(tmp_path):
    return Tombstones(tmp_path / "forgotten" / "accounts.json")


@pytest.fixture
def search(table, tombstones):
    def forgotten(ids):
        return pa.array([each for each in ids.to_pylist() if each in tombstones.ids()], pa.string())

    return AccountSearch(table, tombstones, forgotten)


def test_the_others_are_ranked_by_their_cosine(search):
    found = search.similar("ann", 10)
    vectors = ENCODER.encode([*TEXTS.values()]).vectors
    cosines = dict(zip(TEXTS, vectors @ vectors[0], strict=True))
    assert [each.id for each in found] == sorted(
        ["bob", "cleo", "dan"], key=lambda name: -cosines[name]
    )
    assert [each.score for each in found] == pytest.approx([cosines[each.id] for each in found])
    assert (found[0].rank, found[0].text) == (1, TEXTS[found[0].id])


@pytest.mark.parametrize(("k", "count"), [(1, 1), (2, 2), (3, 3), (10**9, 3)])
def test_there_are_at_most_as_many_as_asked_for(search, k, count):
    assert len(search.similar("ann", k)) == count


@pytest.mark.parametrize("account", ["eve", "", "../ann", "' OR 1=1 --", "ann\0"])
def test_accounts_without_an_embedding_are_named(search, account):
    with pytest.raises(NotFoundError, match="no embedding"):
        search.similar(account, 3)


def test_forgotten_accounts_are_neither_found_nor_known_from_the_next_question_on(
    search, tombstones
):
    search.similar("ann", 3)
    before = search.state
    tombstones.add(["bob"])
    assert {each.id for each in search.similar("ann", 3)} == {"cleo", "dan"}
    with pytest.raises(NotFoundError, match="The account 'bob' has no embedding"):
        search.similar("bob", 3)
    assert search.state != before
    assert np.array_equal(search.allowed(search.accounts()), [True, False, True, True])


def test_a_table_that_is_stored_meanwhile_is_loaded(search, table):
    search.similar("ann", 3)
    store(table, {**TEXTS, "eve": "pizza pasta wine"})
    before = set(threading.enumerate())
    search.similar("ann", 1)  # sees the change; who reads it anew is a thread
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
    assert search.similar("ann", 1)[0].id == "eve"


def test_nothing_stored_is_named(tmp_path, tombstones):
    empty = ParquetTable.at(tmp_path / "nothing")
    with pytest.raises(NotFoundError):
        AccountSearch(empty, tombstones, lambda ids: ids[:0]).similar("ann", 1)
