import pytest

from embedding_assets.api.keys import NewKey

BAD = b"[" * 70_000
JSON = {"Content-Type": "application/json"}


def send(client, body=BAD, **headers):
    return client.post("/embed", content=body, headers={**JSON, **headers})


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"keys": "always"}, 401),
        ({"is_loopback": False}, 401),
        ({"keys": "auto"}, 400),
        ({"keys": "never", "is_loopback": False}, 400),
    ],
)
def test_a_large_body_is_read_only_where_no_key_is_needed(open_client, options, status):
    answer = send(open_client(**options))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_one_of_unknown_length_is_large(open_client):
    answer = send(open_client(keys="always"), iter([b"[" * 100]))
    assert (answer.status_code, answer.headers["connection"]) == (401, "close")


def test_small_bodies_and_those_with_a_key_are_looked_at(open_client):
    client = open_client(keys="always")
    assert send(client, b"[" * 100).status_code == 400
    assert send(client, **{"X-API-Key": "x"}).status_code == 400
    assert send(client, Authorization="Bearer x").status_code == 400


def test_once_a_key_was_seen_one_is_needed(open_client):
    client = open_client()
    client.app.state.service._key_store.create(NewKey("a", frozenset({"search"})))
    assert send(client).status_code == 400
    assert send(client, b'{"texts": ["a"]}').status_code == 401
    assert send(client).status_code == 401
