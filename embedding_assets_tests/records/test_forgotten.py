import hashlib

import pyarrow as pa
import pytest

from embedding_assets.records.forgotten import (
    account_key,
    forgotten_digest,
    remembered_sql,
    without_accounts,
)
from embedding_assets.storage.duck import query_engine

ADA = frozenset({hashlib.sha256(b"ada").hexdigest()})


@pytest.mark.parametrize("written", ["ada", " ada", "ada\u2003", "\tada\n"])
def test_an_account_is_told_by_its_id_as_clean_records_have_it(written):
    assert account_key(written) in ADA
    rows = pa.table({"account_id": [written, "Ada", None, "bob"], "n": [1, 2, 3, 4]})
    assert without_accounts(rows, ADA)["n"].to_pylist() == [2, 3, 4]


def test_a_composed_and_a_decomposed_letter_are_the_same():
    assert account_key("e\u0301") == account_key("\u00e9")


@pytest.mark.parametrize("written", ["", " \t"])
def test_an_id_of_blanks_alone_is_none(written):
    assert account_key(written) is None


def test_rows_that_name_a_forgotten_account_as_similar_go_too():
    rows = pa.record_batch({"account_id": ["bob", "eve"], "similar_account_id": ["ada", "bob"]})
    assert without_accounts(rows, ADA)["account_id"].to_pylist() == ["eve"]


def test_rows_without_an_account_stay():
    rows = pa.table({"item_description": ["ada"]})
    assert without_accounts(rows, ADA) is rows


def test_clean_records_of_forgotten_accounts_are_left_out_of_a_query():
    with query_engine() as connection:
        connection.register("stored", pa.table({"account_id": ["ada", "bob", "ada"]}))
        for forgotten, left in ((ADA, ["bob"]), (frozenset(), ["ada", "ada", "bob"])):
            rows = connection.execute(remembered_sql("stored", forgotten)).fetchall()
            assert sorted(row[0] for row in rows) == left


def test_the_digest_of_nobody_is_empty_and_others_differ():
    assert forgotten_digest(frozenset()) == ""
    assert forgotten_digest(ADA) != forgotten_digest(ADA | {"x"})
