import pytest

from embedding_assets.records.forgotten import account_key
from embedding_assets_tests.api.routes.test_search import refused
from embedding_assets_tests.search.test_accounts import TEXTS


def ask(client, account_id="ann", **params):
    return client.get("/accounts/similar", params={"account_id": account_id, **params})


def test_the_nearest_accounts_come_first_with_their_texts(kept):
    body = ask(kept, k=2).json()
    assert body["account_id"] == "ann"
    assert [each["account_id"] for each in body["results"]] == ["bob", "dan"]
    first, second = body["results"]
    assert 1 >= first["score"] >= second["score"] and first["text"] == TEXTS["bob"]


@pytest.mark.parametrize("k", [0, -1, 101, 10**9, "x", 1.5])
def test_impossible_counts_are_refused(kept, k):
    refused(ask(kept, k=k), 422)


@pytest.mark.parametrize("account", ["eve", "../ann", "' OR 1=1 --", "ann\0"])
def test_unknown_accounts_are_named(kept, account):
    refused(ask(kept, account), 404, "no embedding")


def test_no_account_is_refused(kept):
    refused(ask(kept, ""), 422)
    refused(kept.get("/accounts/similar"), 422)


def test_before_any_account_was_embedded_that_is_said(client):
    refused(ask(client), 404, "latest_account_embeddings")


def test_forgotten_accounts_are_gone_from_the_next_request_on(stocked, stock):
    ask(stocked)
    stock.workspace.accounts.tombstones.add([account_key("bob")])
    assert [each["account_id"] for each in ask(stocked).json()["results"]] == ["dan", "cleo"]
    refused(ask(stocked, "bob"), 404, "'bob' has no embedding")
