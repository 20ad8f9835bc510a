import asyncio
import json

import pytest
from starlette.responses import PlainTextResponse

from embedding_assets.api.metrics import Metrics
from embedding_assets.api.middleware.body import Body
from embedding_assets.api.middleware.boundary import Boundary
from embedding_assets.api.middleware.deadline import Deadline
from embedding_assets.api.middleware.origin import Origin, host_name

JSON = [(b"content-type", b"application/json")]


async def echo(scope, receive, send):
    message = await receive()
    await PlainTextResponse(message["body"])(scope, receive, send)


def scope_of(method="POST", headers=()):
    state = {"request_id": "0123456789", "headers": {}, "began": asyncio.get_running_loop().time()}
    return {"type": "http", "method": method, "headers": list(headers), "state": state}


async def ask(app, messages, **scope):
    """The status and body of the answer to a request that arrives in those messages."""
    arriving, sent = list(messages), []

    async def receive():
        if arriving:
            return arriving.pop(0)
        await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    await app(scope_of(**scope), receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return (sent[0]["status"], body) if sent else None


def part(body, *, more=False):
    return {"type": "http.request", "body": body, "more_body": more}


def test_a_body_in_parts_arrives_whole():
    parts = [part(b'{"a"', more=True), part(b": 1}")]
    assert asyncio.run(ask(Body(echo, 100, 1), parts, headers=JSON)) == (200, b'{"a": 1}')


@pytest.mark.parametrize(
    ("headers", "parts", "status"),
    [
        ([*JSON, (b"content-length", b"101")], [], 413),
        ([*JSON, (b"content-length", b"9" * 5_000)], [], 413),
        (JSON, [part(b"1" * 60, more=True), part(b"1" * 60, more=True)], 413),
        ([], [part(b"{}")], 415),
        ([(b"content-type", b"text/json")], [part(b"{}")], 415),
        ([*JSON, (b"content-encoding", b"gzip")], [part(b"{}")], 415),
        (JSON, [part(b"[" * 50)], 400),
        (JSON, [part(b"NaN")], 400),
        ([(b"content-type", b"application/merge-patch+json; charset=utf-8")], [part(b"{}")], 200),
        ([], [part(b"")], 200),
    ],
)
def test_only_small_plain_json_passes(headers, parts, status):
    answer, _ = asyncio.run(ask(Body(echo, 100, 1), parts, headers=headers))
    assert answer == status


def test_a_body_that_never_ends_is_given_up():
    status, body = asyncio.run(ask(Body(echo, 100, 0), [part(b"{", more=True)], headers=JSON))
    assert (status, json.loads(body)["detail"]) == (
        408,
        "The body did not arrive within 0 seconds.",
    )


def test_a_client_that_leaves_while_it_sends_gets_no_answer():
    gone = [part(b"{", more=True), {"type": "http.disconnect"}]
    assert asyncio.run(ask(Body(echo, 100, 1), gone, headers=JSON)) is None


def test_what_takes_too_long_is_ended():
    async def slow(scope, receive, send):
        await asyncio.Event().wait()

    status, body = asyncio.run(ask(Deadline(slow, 0), [part(b"")]))
    assert (status, json.loads(body)["title"]) == (503, "Service Unavailable")


def test_what_nobody_waits_for_is_ended():
    ended = []

    async def slow(scope, receive, send):
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append(True)
            raise

    gone = [part(b""), {"type": "http.disconnect"}]
    assert asyncio.run(ask(Deadline(slow, 60), gone)) is None
    assert ended == [True]


def test_a_request_that_breaks_says_nothing_of_why(capsys):
    async def broken(scope, receive, send):
        raise ValueError("the secret of ann@example.com")

    status, body = asyncio.run(ask(Boundary(broken, Metrics()), []))
    assert status == 500
    assert b"secret" not in body
    printed = capsys.readouterr()
    assert "secret" not in printed.err + printed.out


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("localhost:8000", "localhost"),
        ("LocalHost", "localhost"),
        ("[::1]:8000", "[::1]"),
        ("127.0.0.1", "127.0.0.1"),
        ("", ""),
    ],
)
def test_a_host_has_a_name_without_its_port(header, name):
    assert host_name(header) == name


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:1"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example"}, 421),
        ({}, 421),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, 200),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, 403),
        ({"host": "localhost:1", "origin": "null"}, 403),
        ({"host": "localhost:1", "origin": "http://[bad"}, 403),
        ({"host": "localhost:1", "origin": "https://friend.example"}, 200),
        ({"host": "localhost:1", "sec-fetch-site": "cross-site"}, 403),
        ({"host": "localhost:1", "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_a_change_is_taken_only_under_an_own_name_and_from_an_own_page(headers, status):
    layer = Origin(echo, ("localhost",), ("https://friend.example",))
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    answer, _ = asyncio.run(ask(layer, [part(b"")], headers=sent))
    assert answer == status


def test_a_foreign_page_may_link_here():
    layer = Origin(echo, ("localhost",), ())
    headers = [(b"host", b"localhost"), (b"sec-fetch-site", b"cross-site")]
    assert asyncio.run(ask(layer, [part(b"")], method="GET", headers=headers))[0] == 200
