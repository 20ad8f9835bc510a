import json

import pytest
import structlog

from embedding_assets.api.app import create_app, route_modules
from embedding_assets.api.routes import embed
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import NotFoundError

TEXTS = {"texts": ["a"]}


@pytest.fixture
def log(monkeypatch):
    """What the service logs from here on."""
    entries = []

    def keep(_, level, event):
        entries.append({"level": level, **event})
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    return entries


def is_problem(response, status):
    body = response.json()
    assert response.status_code == body["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert body["request_id"] == response.headers["x-request-id"]
    assert body["detail"] and body["mend"] and body["title"] and body["type"]
    return body


def test_every_answer_forbids_what_pages_could_do_with_it(client):
    for path in ("/health/live", "/nothing", "/docs"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


def test_a_sane_request_id_is_taken_over(client):
    headers = {"X-Request-ID": "trace-0123.45"}
    assert client.get("/health/live", headers=headers).headers["x-request-id"] == "trace-0123.45"


@pytest.mark.parametrize("odd", ["short", "a" * 129, "with space in it", "né" * 10, "line{}" * 9])
def test_an_odd_request_id_is_replaced(client, odd):
    headers = {"X-Request-ID": odd.encode()}
    given = client.get("/health/live", headers=headers).headers["x-request-id"]
    assert given != odd
    assert len(given) == 20


@pytest.mark.parametrize(
    ("method", "path", "sent", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/embed", {}, 405),
        ("POST", "/embed", {"content": "{"}, 400),
        ("POST", "/embed", {"content": b"\xff\xfe{}"}, 400),
        ("POST", "/embed", {"content": "1" * 5_000}, 400),
        ("POST", "/embed", {"content": '{"texts": [NaN]}'}, 400),
        ("POST", "/embed", {"content": "[" * 1_000}, 400),
        ("POST", "/embed", {"content": b""}, 422),
        ("POST", "/embed", {"json": {}}, 422),
        ("POST", "/embed", {"json": {"texts": []}}, 422),
        ("POST", "/embed", {"json": {"texts": [""]}}, 422),
        ("POST", "/embed", {"json": {"texts": ["a"], "more": 1}}, 422),
        ("POST", "/embed", {"content": '{"texts": ["\\ud800"]}'}, 422),
        ("POST", "/embed", {"content": "a=b", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", "/embed", {"content": b" " * 20_000_000}, 413),
        ("POST", "/embed", {"json": TEXTS, "headers": {"Origin": "https://evil.example"}}, 403),
        ("GET", "/health", {"headers": {"Host": "evil.example"}}, 421),
        ("GET", "/health?api_key=ea_1", {}, 401),
        ("GET", "/health", {"headers": {"X-API-Key": "wrong"}}, 401),
        ("GET", "/health", {"headers": {"Authorization": "Basic YTpi"}}, 401),
        ("GET", "/health", {"headers": {"Authorization": "Bearer "}}, 401),
        ("GET", "/health", {"headers": {"Authorization": "Bearer a", "X-API-Key": "b"}}, 401),
    ],
)
def test_whatever_is_refused_is_a_problem_in_words(client, method, path, sent, status):
    sent.setdefault("headers", {})
    if "content" in sent:
        sent["headers"].setdefault("Content-Type", "application/json")
    is_problem(client.request(method, path, **sent), status)


def test_a_body_in_chunks_is_limited_too(client):
    chunks = (b" " * 100_000 for _ in range(200))
    is_problem(client.post("/embed", content=chunks), 413)


def test_a_refused_value_is_named_but_not_repeated(client):
    body = is_problem(client.post("/embed", json={"texts": [{"name": "ann@example.com"}]}), 422)
    assert body["errors"] == [{"where": "body.texts.0", "what": "Input should be a valid string"}]
    assert "ann" not in json.dumps(body)


def test_what_breaks_is_a_500_that_says_nothing_of_why(settings_of, log):
    from starlette.testclient import TestClient

    app = create_app(settings_of(), encoder=HashingEncoder)

    @app.get("/broken")
    async def broken():
        raise ValueError("/srv/secret of ann@example.com")

    @app.get("/missing")
    async def missing():
        raise NotFoundError("No file in /srv/data/secret/index.", "Build it.")

    with TestClient(app, base_url="http://localhost") as client:
        body = is_problem(client.get("/broken"), 500)
        assert "secret" not in json.dumps(body)
        assert is_problem(client.get("/missing"), 404)["detail"] == "No file in index."
    assert "secret" not in json.dumps(log)
    assert [entry["error"] for entry in log if entry["event"] == "request_broke"] == ["ValueError"]


def test_the_log_tells_what_was_asked_but_not_by_whom_or_for_what(client, log):
    client.post("/embed", json={"texts": ["ann@example.com"]}, headers={"X-Request-ID": "12345678"})
    client.get("/ann@example.com?name=ann")
    lines = [entry for entry in log if entry["event"] == "request"]
    assert "ann" not in json.dumps(lines)
    assert "testclient" not in json.dumps(lines)
    first, second = lines
    assert first.pop("ms") >= 0
    assert first == {
        "event": "request",
        "level": "info",
        "request_id": "12345678",
        "method": "POST",
        "route": "/embed",
        "status": 200,
        "key": "anonymous",
    }
    assert (second["route"], second["status"]) == ("none", 404)


def test_pages_of_others_may_not_read_answers(client):
    answer = client.get("/health/live", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_pages_that_are_named_in_the_settings_may(open_client):
    client = open_client(cors_origins=("https://friend.example",))
    headers = {"Origin": "https://friend.example"}
    answer = client.post("/embed", json=TEXTS, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://friend.example"
    other = client.get("/health/live", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers


def test_the_docs_show_every_described_path_and_load_nothing_from_elsewhere(client):
    page = client.get("/docs").text
    for path in client.get("/openapi.json").json()["paths"]:
        assert path in page
    assert "http://" not in page.replace("http://localhost", "")
    assert "https://" not in page
    assert "<script" not in page


def test_modules_of_routes_are_those_that_exist():
    assert embed in route_modules()
