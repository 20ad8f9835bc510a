import asyncio
import threading

import pytest

from embedding_assets.api.health import Part, Parts
from embedding_assets.errors import NotFoundError, StoreDamagedError


def fails(error):
    def look():
        raise error

    return look


@pytest.fixture
def parts():
    parts = Parts()
    yield parts
    parts.close()


def reports(parts):
    return asyncio.run(parts.reports())


def test_a_part_that_works_tells_its_details(parts):
    parts.add(Part("index", lambda: {"rows": 7}))
    report = reports(parts)["index"]
    assert (report.state, report.details, report.reason) == ("ok", {"rows": 7}, None)


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (NotFoundError("No index in /srv/data/x.", "Build it."), "absent", "No index in x."),
        (StoreDamagedError("Torn.", "Restore it."), "failed", "Torn."),
        (ValueError("secret"), "failed", "It broke unexpectedly."),
    ],
)
def test_a_part_that_does_not_work_says_why(parts, error, state, reason):
    parts.add(Part("index", fails(error)))
    report = reports(parts)["index"]
    assert (report.state, report.reason) == (state, reason)


def test_a_part_that_hangs_holds_up_no_other(parts, monkeypatch):
    monkeypatch.setattr("embedding_assets.api.health._LOOK_SECONDS", 0.05)
    end = threading.Event()
    parts.add(Part("database", lambda: end.wait(30)))
    parts.add(Part("index", lambda: {}))
    found = reports(parts)
    end.set()
    assert {name: report.state for name, report in found.items()} == {
        "database": "failed",
        "index": "ok",
    }


def test_parts_are_starting_until_they_are_warm_and_ready_then(parts):
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def warm():
        begun.set()
        go_on.wait(30)

    parts.add(Part("model", lambda: {}, warm, is_needed=True))
    parts.warm_up(then=done.set)
    begun.wait(30)
    found = reports(parts)
    assert found["model"].state == "starting"
    assert not parts.is_ready(found)
    go_on.set()
    done.wait(30)
    found = reports(parts)
    assert found["model"].state == "ok"
    assert parts.is_ready(found)


def test_what_is_not_needed_may_be_absent(parts):
    parts.add(Part("index", fails(NotFoundError("No index.", "Build it."))))
    assert parts.is_ready(reports(parts))


def test_what_is_needed_may_not_fail(parts):
    parts.add(Part("model", fails(StoreDamagedError("Torn.", "Restore it.")), is_needed=True))
    assert not parts.is_ready(reports(parts))


def test_a_service_without_data_is_ready_and_says_what_is_missing(client):
    answer = client.get("/health/ready")
    while answer.status_code == 503:
        answer = client.get("/health/ready")
    missing = " ".join(answer.json()["missing"])
    assert "No index stands" in missing
    assert "embedding-assets documents sync" in missing
    parts = client.get("/health").json()["parts"]
    assert parts["model"]["details"]["dimension"] == 64
    assert parts["database"]["state"] == "ok"
    assert parts["documents"]["state"] == "absent"


def test_live_asks_no_other_part(open_client):
    def never():
        raise AssertionError("the model was loaded")

    assert open_client(encoder=never).get("/health/live").json() == {"status": "live"}


def test_a_service_without_its_database_answers_what_needs_none(open_client, tmp_path):
    client = open_client(database_url=f"sqlite:///{tmp_path}")
    assert client.post("/embed", json={"texts": ["a"]}).status_code == 503
    never = open_client(database_url=f"sqlite:///{tmp_path}", keys="never")
    assert never.post("/embed", json={"texts": ["a"]}).status_code == 200
    health = never.get("/health").json()
    while health["status"] == "starting":
        health = never.get("/health").json()
    assert health["status"] == "degraded"
    assert str(tmp_path) not in str(health)
