import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from embedding_assets.api.keys import Key, KeyRequestError, KeyRing, KeyStore, NewKey
from embedding_assets.api.problems import RequestError
from embedding_assets.database import DatabaseUnavailableError, open_engine, reading
from embedding_assets.errors import NotFoundError
from embedding_assets_tests.databases import postgres, url

__all__ = ["postgres", "url"]

SEARCH = frozenset({"search"})


@pytest.fixture
def engine(url):
    engine = open_engine(url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine):
    return KeyStore(lambda: engine)


async def at_once(function):
    return function()


def find(store, secret):
    return asyncio.run(KeyRing(store, at_once).find(secret))


def test_a_new_key_opens_and_carries_what_it_was_given(store):
    secret, made = store.create(NewKey("page", SEARCH, per_minute=5, per_day=7))
    found = find(store, secret)
    assert found == made
    assert (found.name, found.scopes, found.per_minute, found.per_day) == ("page", SEARCH, 5, 7)
    assert found.state == "valid"


def test_two_keys_are_never_alike(store):
    secrets = {store.create(NewKey("a", SEARCH))[0] for _ in range(20)}
    assert len(secrets) == 20
    assert {len(secret) for secret in secrets} == {46}


def test_the_secret_is_nowhere_in_the_database(store, engine):
    secret, _ = store.create(NewKey("page", SEARCH))
    with reading(engine) as connection:
        stored = str(connection.exec_driver_sql("SELECT * FROM api_keys").all())
    assert "page" in stored
    assert secret.removeprefix("ea_") not in stored


@pytest.mark.parametrize(
    "wanted",
    [
        NewKey("", SEARCH),
        NewKey(" ", SEARCH),
        NewKey("a\nb", SEARCH),
        NewKey("a" * 101, SEARCH),
        NewKey("a", frozenset()),
        NewKey("a", frozenset({"everything"})),
        NewKey("a", SEARCH, datetime.now(UTC) - timedelta(days=1)),
        NewKey("a", SEARCH, per_minute=0),
        NewKey("a", SEARCH, per_day=10**12),
    ],
)
def test_odd_keys_are_not_made(store, wanted):
    with pytest.raises(KeyRequestError):
        store.create(wanted)
    assert store.all() == []


@pytest.mark.parametrize(
    "secret", ["", "ea_", "x" * 46, "ea_" + "a" * 43, "ea_" + "ä" * 43, "ea_" + "a" * 4_000]
)
def test_what_was_never_made_does_not_open(store, secret):
    store.create(NewKey("a", SEARCH))
    with pytest.raises(RequestError) as caught:
        find(store, secret)
    assert caught.value.status == 401
    assert "WWW-Authenticate" in caught.value.headers


def test_a_revoked_key_does_not_open_and_stays_listed(store):
    secret, key = store.create(NewKey("a", SEARCH))
    assert [each.id for each in store.revoke(key.id)] == [key.id]
    with pytest.raises(RequestError, match="revoked"):
        find(store, secret)
    assert [each.state for each in store.all()] == ["revoked"]


def test_revoking_by_name_ends_all_keys_of_that_name(store):
    for name in ("a", "a", "b"):
        store.create(NewKey(name, SEARCH))
    assert len(store.revoke("a")) == 2
    assert [key.state for key in store.all()] == ["revoked", "revoked", "valid"]
    with pytest.raises(NotFoundError):
        store.revoke("a")


def test_an_expired_key_does_not_open(store, monkeypatch):
    secret, _ = store.create(NewKey("a", SEARCH, datetime.now(UTC) + timedelta(hours=1)))
    later = datetime.now(UTC) + timedelta(hours=2)

    class Later(datetime):
        @classmethod
        def now(cls, zone=None):
            return later

    monkeypatch.setattr("embedding_assets.api.keys.datetime", Later)
    with pytest.raises(RequestError, match="expired"):
        find(store, secret)


def test_a_key_that_was_seen_lately_goes_on_while_the_database_is_gone(store, monkeypatch):
    secret, _ = store.create(NewKey("a", SEARCH))
    clock = [1_000.0]
    monkeypatch.setattr("embedding_assets.api.recent.time.monotonic", lambda: clock[0])
    ring = KeyRing(store, at_once)

    def gone(_):
        raise DatabaseUnavailableError("gone", "wait")

    async def scenario():
        before = await ring.find(secret)
        monkeypatch.setattr(store, "by_hash", gone)
        clock[0] += 60
        after = await ring.find(secret)
        with pytest.raises(DatabaseUnavailableError):
            await ring.find("ea_" + "a" * 43)
        return before, after

    before, after = asyncio.run(scenario())
    assert isinstance(before, Key)
    assert after == before


def test_a_revocation_holds_within_seconds(store, monkeypatch):
    secret, key = store.create(NewKey("a", SEARCH))
    clock = [1_000.0]
    monkeypatch.setattr("embedding_assets.api.recent.time.monotonic", lambda: clock[0])
    ring = KeyRing(store, at_once)

    async def scenario():
        await ring.find(secret)
        store.revoke(key.id)
        clock[0] += 5
        await ring.find(secret)

    with pytest.raises(RequestError, match="revoked"):
        asyncio.run(scenario())


def test_the_database_is_asked_once_for_many_requests(store, monkeypatch):
    secret, _ = store.create(NewKey("a", SEARCH))
    asked = []
    by_hash = store.by_hash
    monkeypatch.setattr(store, "by_hash", lambda digest: asked.append(1) or by_hash(digest))
    ring = KeyRing(store, at_once)

    async def scenario():
        await asyncio.gather(*(ring.find(secret) for _ in range(50)))

    asyncio.run(scenario())
    assert len(asked) == 1


def test_keys_are_there_for_another_process(store, url):
    store.create(NewKey("a", SEARCH))
    other = open_engine(url)
    with reading(other) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM api_keys").scalar() == 1
    other.dispose()
