from datetime import UTC, datetime, timedelta

import pytest

from embedding_assets.api.callers import scope
from embedding_assets.api.keys import KeyStore, NewKey
from embedding_assets.api.service import open_service_engine

TEXTS = {"texts": ["a"]}


@pytest.fixture
def new_key(settings_of):
    """Makes keys: the secret and what is kept."""
    engine = open_service_engine(settings_of())
    store = KeyStore(lambda: engine)

    def make(*scopes, **options):
        return store.create(NewKey("test", frozenset(scopes), **options))

    make.store = store
    make.close = engine.dispose
    yield make
    engine.dispose()


def embed(client, secret=None, **headers):
    if secret:
        headers["X-API-Key"] = secret
    return client.post("/embed", json=TEXTS, headers=headers)


def test_without_any_key_a_loopback_service_needs_none(client):
    assert embed(client).status_code == 200


def test_once_a_key_exists_it_is_needed(open_client, new_key):
    new_key("search")
    client = open_client()
    answer = embed(client)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="api"'
    assert "embedding-assets keys create" in answer.json()["mend"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"is_loopback": False}, 401),
        ({"keys": "always"}, 401),
        ({"keys": "never", "is_loopback": False}, 200),
        ({"keys": "auto"}, 200),
    ],
)
def test_the_settings_say_when_a_key_is_needed(open_client, options, status):
    assert embed(open_client(**options)).status_code == status


def test_a_caller_from_elsewhere_needs_a_key_even_of_a_loopback_service(settings_of):
    from starlette.testclient import TestClient

    from embedding_assets.api.app import create_app
    from embedding_assets.embedding.encoder import HashingEncoder

    for address, status in (("192.0.2.7", 401), ("127.0.0.1", 200)):
        app = create_app(settings_of(), encoder=HashingEncoder)
        with TestClient(app, base_url="http://localhost", client=(address, 1)) as client:
            assert embed(client).status_code == status


def test_what_operates_the_service_needs_no_key(open_client):
    client = open_client(keys="always")
    for path in ("/health/live", "/openapi.json", "/docs", "/"):
        assert client.get(path).status_code == 200
    assert client.get("/health/ready").status_code in (200, 503)
    for path in ("/health", "/metrics"):
        assert client.get(path).status_code == 401


def test_both_headers_carry_a_key(open_client, new_key):
    secret, _ = new_key("embed")
    client = open_client()
    assert embed(client, secret).status_code == 200
    assert embed(client, Authorization=f"Bearer {secret}").status_code == 200
    assert embed(client, Authorization=f"bearer  {secret} ").status_code == 200


def test_a_key_does_what_its_scopes_say(open_client, new_key):
    client = open_client()
    narrow, admin = new_key("search")[0], new_key("admin")[0]
    refused = embed(client, narrow)
    assert refused.status_code == 403
    assert "embed" in refused.json()["detail"]
    assert embed(client, admin).status_code == 200


def test_revoked_and_expired_keys_are_refused_with_the_reason(open_client, new_key, monkeypatch):
    secret, key = new_key("embed")
    new_key.store.revoke(key.id)
    client = open_client()
    answer = embed(client, secret)
    assert answer.status_code == 401
    assert "revoked" in answer.json()["detail"]
    soon = datetime.now(UTC) + timedelta(microseconds=200_000)
    short, _ = new_key("embed", expires=soon)
    while datetime.now(UTC) < soon:
        pass
    assert "expired" in embed(client, short).json()["detail"]


def test_a_key_in_the_url_is_refused_even_when_it_is_valid(open_client, new_key):
    secret, _ = new_key("embed")
    client = open_client()
    for query in (f"api_key={secret}", f"q={secret}", "access_token=1"):
        answer = client.post(f"/embed?{query}", json=TEXTS, headers={"X-API-Key": secret})
        assert answer.status_code == 401
        assert "URL" in answer.json()["detail"]
        assert secret not in answer.text


def test_limits_are_those_of_the_key_and_are_told(open_client, new_key):
    secret, _ = new_key("embed", per_minute=2, per_day=100)
    other, _ = new_key("embed")
    client = open_client()
    answers = [embed(client, secret) for _ in range(3)]
    # A minute may end in between: then the third is the first of the next one.
    assert [answer.status_code for answer in answers[:2]] == [200, 200]
    assert '"minute";q=2;w=60' in answers[0].headers["ratelimit-policy"]
    if answers[2].status_code == 429:
        assert 1 <= int(answers[2].headers["retry-after"]) <= 60
        assert answers[2].json()["title"] == "Too Many Requests"
    else:
        assert '"minute";r=1' in answers[2].headers["ratelimit"]
    assert embed(client, other).status_code == 200


def test_callers_without_key_are_limited_together(open_client):
    client = open_client(requests_per_minute=3)
    statuses = [embed(client).status_code for _ in range(8)]
    assert statuses.count(200) in range(3, 7)
    assert 429 in statuses


def test_the_key_is_named_by_its_id_in_the_metrics_log_only(open_client, new_key, capsys):
    secret, key = new_key("embed")
    client = open_client()
    embed(client, secret)
    printed = "".join(capsys.readouterr())
    assert key.id in printed
    assert secret not in printed


def test_a_service_started_while_its_database_is_away_stays_shut_and_comes_back(
    open_client, new_key, tmp_path, monkeypatch
):
    monkeypatch.setattr("embedding_assets.api.recent._RETRY_SECONDS", 0.0)
    secret, _ = new_key("embed")
    new_key.close()
    file, away = tmp_path / "store/service.db", tmp_path / "away.db"
    file.rename(away)
    client = open_client()
    assert embed(client).status_code == 503
    assert not file.exists()
    away.rename(file)
    assert embed(client).status_code == 401
    assert embed(client, secret).status_code == 200


def test_a_route_cannot_ask_for_an_unknown_scope():
    with pytest.raises(ValueError, match="no scope"):
        scope("everything")
