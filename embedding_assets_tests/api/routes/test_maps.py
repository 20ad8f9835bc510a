import pytest

from embedding_assets.api.keys import NewKey
from embedding_assets.records.forgotten import account_key
from embedding_assets_tests.api.routes.test_search import refused


def test_the_maps_of_what_is_there_are_listed(kept):
    assert kept.get("/maps").json() == {
        "maps": [
            {"name": "documents", "title": "Passages of documents", "points": 6},
            {"name": "accounts", "title": "Accounts by main cuisine", "points": 4},
        ]
    }


def test_before_anything_is_stored_there_is_no_map(client):
    assert client.get("/maps").json() == {"maps": []}
    for name in ("documents", "accounts", "apps"):
        refused(client.get(f"/maps/{name}"), 404)


@pytest.mark.parametrize(
    ("name", "ids", "groups"),
    [
        ("documents", 6, ["Cake.Pdf", "Soup.Pdf", "Laws/Court.Json"]),
        ("accounts", 4, ["italian"]),
    ],
)
def test_a_map_has_a_value_of_each_kind_for_each_point(kept, name, ids, groups):
    found = kept.get(f"/maps/{name}").json()
    assert found["name"] == name and found["groups"] == groups
    for column in ("x", "y", "id", "label", "group"):
        assert len(found[column]) == ids
    assert all(-1 <= value <= 1 for value in found["x"] + found["y"])
    assert found["method"] in ("pca", "tsne")
    assert len(found["explained"]) == (2 if found["method"] == "pca" else 0)


@pytest.mark.parametrize("name", ["x", "%2e%2e%2faccounts", "accounts%00", "Accounts"])
def test_unknown_maps_are_not_found(kept, name):
    refused(kept.get(f"/maps/{name}"), 404)


def test_forgotten_things_are_on_no_map_from_the_next_request_on(stocked, stock):
    for name in ("documents", "accounts"):
        stocked.get(f"/maps/{name}")
    stock.snapshots.tombstones.add(["cake.pdf"])
    stock.workspace.accounts.tombstones.add([account_key("bob")])
    assert len(stocked.get("/maps/documents").json()["id"]) == 3
    assert "bob" not in stocked.get("/maps/accounts").json()["id"]


@pytest.mark.parametrize(
    ("scope", "open_to"),
    [("accounts", {"accounts"}), ("documents", {"documents"}), ("search", {"list"})],
)
def test_a_key_sees_the_maps_of_what_it_may_see(stocked, scope, open_to):
    secret, _ = stocked.app.state.service._key_store.create(NewKey("one", frozenset({scope})))
    headers = {"X-API-Key": secret}
    paths = {"list": "/maps", "accounts": "/maps/accounts", "documents": "/maps/documents"}
    statuses = {
        name: stocked.get(path, headers=headers).status_code for name, path in paths.items()
    }
    assert {name for name, status in statuses.items() if status == 200} == open_to
    assert {status for status in statuses.values()} == {200, 403}


@pytest.mark.parametrize(
    ("scopes", "listed"),
    [
        ({"search"}, []),
        ({"search", "documents"}, ["documents"]),
        ({"search", "accounts"}, ["accounts"]),
        ({"admin"}, ["documents", "accounts"]),
    ],
)
def test_a_key_learns_nothing_of_maps_that_it_may_not_see(stocked, scopes, listed):
    secret, _ = stocked.app.state.service._key_store.create(NewKey("one", frozenset(scopes)))
    found = stocked.get("/maps", headers={"X-API-Key": secret}).json()["maps"]
    assert [each["name"] for each in found] == listed
