import pytest

from embedding_assets.api.problems import OverloadedError, RequestError
from embedding_assets.api.strangers import _MOST, Strangers
from embedding_assets.database import DatabaseUnavailableError
from embedding_assets_tests.api.test_callers import embed, new_key  # noqa: F401

WRONG = RequestError("This API key is not known.", "Send a valid one.", 401)


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def strangers(clock):
    return Strangers(3, clock)


def send(strangers, address, error=WRONG):
    """The status of a request from that address, whose key turns out to be what `error` says."""
    try:
        with strangers.looking_up(address):
            if error:
                raise error
    except RequestError as raised:
        return raised.status
    return 200


def test_an_address_may_send_so_many_wrong_keys_a_minute(strangers, clock):
    assert [send(strangers, "192.0.2.1") for _ in range(5)] == [401] * 3 + [429] * 2
    assert send(strangers, "192.0.2.2") == 401
    clock.now += 60
    assert send(strangers, "192.0.2.1") == 401


def test_it_is_told_when_to_come_again(strangers, clock):
    clock.now = 60 * 1_000 + 13
    for _ in range(3):
        send(strangers, "192.0.2.1")
    with pytest.raises(RequestError) as refused, strangers.looking_up("192.0.2.1"):
        raise AssertionError("it is not looked up")
    assert refused.value.headers["Retry-After"] == "47"


def test_valid_keys_are_not_counted(strangers):
    assert {send(strangers, "192.0.2.1", None) for _ in range(20)} == {200}
    assert send(strangers, "192.0.2.1") == 401


def test_many_at_once_do_not_all_pass(strangers):
    from contextlib import ExitStack

    with ExitStack() as under_way, pytest.raises(RequestError):
        for _ in range(4):
            under_way.enter_context(strangers.looking_up("192.0.2.1"))


@pytest.mark.parametrize(
    "error",
    [DatabaseUnavailableError("gone", "wait"), OverloadedError("Too many wait.")],
    ids=["database gone", "overload"],
)
def test_while_keys_cannot_be_looked_up_nobody_is_counted(strangers, error):
    for _ in range(9):
        with pytest.raises(type(error)), strangers.looking_up("192.0.2.1"):
            raise error
    assert send(strangers, "192.0.2.1") == 401


def test_a_network_of_ipv6_is_one_address(strangers):
    addresses = [f"2001:db8::{number:x}" for number in range(1, 6)]
    assert [send(strangers, each) for each in addresses] == [401] * 3 + [429] * 2
    assert send(strangers, "2001:db8:0:1::1") == 401
    assert send(strangers, "::ffff:192.0.2.1") == send(strangers, "192.0.2.1") == 401


def test_what_is_remembered_does_not_grow_without_end(strangers):
    for number in range(_MOST + 500):
        send(strangers, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert len(strangers._counts) == _MOST


@pytest.mark.parametrize("wrong", ["ea_" + "x" * 43, "no key at all"])
def test_wrong_keys_are_refused_without_a_look_at_the_database(open_client, wrong, monkeypatch):
    client = open_client(keys="always", wrong_keys_per_minute=4)
    asked = []
    store = client.app.state.service._key_store
    by_hash = store.by_hash
    monkeypatch.setattr(store, "by_hash", lambda digest: asked.append(digest) or by_hash(digest))
    keys = [wrong[:-1] + chr(97 + number) for number in range(20)]
    statuses = [embed(client, key).status_code for key in keys]
    # A minute may end in between.
    assert statuses[:2] == [401, 401] and set(statuses) == {401, 429}
    assert statuses.count(401) <= 8 and len(asked) <= statuses.count(401)
    answer = next(a for a in (embed(client, key) for key in keys) if a.status_code == 429)
    assert answer.json()["title"] == "Too Many Requests" and answer.headers["retry-after"]


def test_who_was_known_is_not_kept_out_by_others_of_the_same_address(
    open_client,
    new_key,  # noqa: F811
):
    secret, _ = new_key("embed")
    client = open_client(wrong_keys_per_minute=1)
    assert embed(client, secret).status_code == 200
    for _ in range(5):
        embed(client, "ea_" + "x" * 43)
    assert embed(client, secret).status_code == 200
