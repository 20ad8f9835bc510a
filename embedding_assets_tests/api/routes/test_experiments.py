import threading
from asyncio import CancelledError
from types import SimpleNamespace

import pytest

from embedding_assets.api import steering
from embedding_assets.api.keys import NewKey
from embedding_assets.api.problems import OverloadedError
from embedding_assets.api.steering import steered
from embedding_assets.errors import InputError
from embedding_assets_tests.api.routes.experiment_plans import PLAN, running

OUTCOME = {"id": "c-1", "unit": "user-1", "metric": "click"}


def send(client, *outcomes):
    return client.post("/experiments/e1/outcomes", json={"outcomes": [*outcomes]})


def expose(client, *units):
    client.app.state.service.experiments.controller().expose("e1", units)


def test_a_plan_is_kept_as_a_draft_and_starts_when_told(client):
    made = client.post("/experiments", json=PLAN)
    assert (made.status_code, made.json()["state"]) == (201, "draft")
    draft = client.get("/experiments/e1").json()
    assert (draft["judgement"], draft["curves"], draft["exposures"]) == (
        None, [], {"words": 0, "both": 0},
    )  # fmt: skip
    assert client.post("/experiments/e1/start").json()["state"] == "running"
    report = client.get("/experiments/e1").json()
    assert report["judgement"]["decision"] == "keep_going"
    assert "0.0 of at least 7 days have passed." in report["judgement"]["reasons"]
    assert [each["plan"]["id"] for each in client.get("/experiments").json()["experiments"]] == [
        "e1"
    ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/experiments/nowhere", 404),
        ("/experiments/nowhere/assignment?unit=u", 404),
        ("/experiments/e1/assignment?unit=", 422),
    ],
)
def test_what_is_not_there_is_a_problem(client, path, status):
    client.post("/experiments", json=PLAN)
    answer = client.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("plan", [{}, {**PLAN, "id": "../x"}, {**PLAN, "variants": []}], ids=str)
def test_a_plan_that_cannot_run_is_refused_by_name(client, plan):
    answer = client.post("/experiments", json=plan)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("The plan of the experiment cannot be run: ")


def test_what_a_state_does_not_allow_is_a_conflict(client):
    running(client, PLAN)
    assert client.post("/experiments", json=PLAN).status_code == 409
    assert client.post("/experiments/e1/start").status_code == 409
    assert client.post("/experiments/e1/decide").status_code == 409
    assert client.post("/experiments/e1/stop").json()["state"] == "stopped"
    assert client.post("/experiments/e1/stop").status_code == 409


def test_a_person_may_decide_and_say_why(client):
    running(client, PLAN)
    lacking = client.post("/experiments/e1/decide", json={"variant": "both"})
    assert lacking.status_code == 422
    body = {"variant": "both", "reason": "The contract ends.", "by": "Ada"}
    decision = client.post("/experiments/e1/decide", json=body).json()["decision"]
    assert (decision["outcome"], decision["chosen"], decision["by"]) == ("by_hand", "both", "Ada")
    assert decision["reasons"][0] == "The contract ends."


def test_an_outcome_counts_once_and_only_of_a_unit_that_was_exposed(client):
    running(client, PLAN)
    expose(client, "user-1")
    assert send(client, OUTCOME, {**OUTCOME, "id": "c-2", "unit": "stranger"}).json() == {
        "accepted": 1, "known": 0, "unknown_units": ["stranger"],
    }  # fmt: skip
    assert send(client, OUTCOME).json() == {"accepted": 0, "known": 1, "unknown_units": []}


@pytest.mark.parametrize(
    "change",
    [{"metric": "money"}, {"id": ""}, {"unit": "u" * 501}, {"value": 1e300}, {"value": "NaN"}],
    ids=str,
)
def test_outcomes_that_cannot_be_used_are_refused_as_a_whole(client, change):
    running(client, PLAN)
    expose(client, "user-1")
    assert send(client, OUTCOME, {**OUTCOME, "id": "c-2", **change}).status_code == 422
    assert send(client, OUTCOME).json()["accepted"] == 1


def test_the_variant_of_a_unit_can_be_asked_without_exposing_it(client):
    running(client, PLAN)
    found = [client.get(f"/experiments/e1/assignment?unit=u{n}").json() for n in range(20)]
    assert {each["variant"]: each["setting"] for each in found} == {
        "words": "keyword", "both": "hybrid",
    }  # fmt: skip
    assert client.get("/experiments/e1").json()["exposures"] == {"words": 0, "both": 0}


def test_scopes_are_kept_apart(open_client):
    client = open_client()
    keys = client.app.state.service._key_store
    secret, _ = keys.create(NewKey("reader", frozenset({"experiments:read"})))
    reader = {"Authorization": f"Bearer {secret}"}
    assert client.get("/experiments", headers=reader).status_code == 200
    assert client.post("/experiments", json=PLAN, headers=reader).status_code == 403
    assert send_with(client, reader).status_code == 403
    assert client.get("/experiments").status_code == 401


def send_with(client, headers):
    return client.post("/experiments/e1/outcomes", json={"outcomes": [OUTCOME]}, headers=headers)


def test_an_outcome_right_after_the_answer_counts(client):
    running(client, PLAN)
    service = client.app.state.service
    with steered(service, "search", "user-1"):
        pass
    assert send(client, OUTCOME).json()["accepted"] == 1


def test_guards_are_observed_at_the_first_request_of_a_unit(client):
    guarded = {"name": "latency", "kind": "mean", "direction": "down", "guard": True}
    running(client, {**PLAN, "metrics": [*PLAN["metrics"], guarded]})
    service = client.app.state.service
    for unit in ("user-1", "user-2", "user-1", "user-1"):
        with steered(service, "search", unit):
            pass
    service.experiments.flush()
    compared = client.get("/experiments/e1").json()["judgement"]["comparisons"]
    [latency] = [each for each in compared if each["metric"] == "latency"]
    assert latency["n"] + latency["n_control"] == 2


def test_who_sends_something_wrong_takes_no_part(client):
    running(client, PLAN)
    with pytest.raises(InputError), steered(client.app.state.service, "search", "user-1"):
        raise InputError("The query is empty.", "Write one.")
    assert send(client, OUTCOME).json()["unknown_units"] == ["user-1"]


@pytest.mark.parametrize("seconds", [0.0, 1.0], ids=["who leaves", "whose time is over"])
def test_who_is_given_up_counts_as_a_failure_and_who_leaves_does_not(open_client, seconds):
    client = open_client(timeout_seconds=1.0)
    running(client, PLAN)
    clock = iter([0.0, seconds, seconds])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steering, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
        with pytest.raises(CancelledError), steered(client.app.state.service, "search", "user-1"):
            raise CancelledError
    assert send(client, OUTCOME).json()["accepted"] == int(seconds)


def test_too_much_at_once_counts_against_the_variant(client):
    running(client, PLAN)
    with pytest.raises(OverloadedError), steered(client.app.state.service, "search", "user-1"):
        raise OverloadedError("Too many requests wait.")
    assert send(client, OUTCOME).json()["accepted"] == 1


def test_a_failure_of_ours_counts_against_its_variant(client):
    guarded = {"name": "errors", "kind": "rate", "direction": "down", "guard": True}
    running(client, {**PLAN, "metrics": [*PLAN["metrics"], guarded]})
    with pytest.raises(ZeroDivisionError), steered(client.app.state.service, "search", "user-1"):
        raise ZeroDivisionError
    assert send(client, OUTCOME).json()["accepted"] == 1
    compared = client.get("/experiments/e1").json()["judgement"]["comparisons"]
    [errors] = [each for each in compared if each["metric"] == "errors"]
    assert errors["mean"] + errors["control_mean"] == 1


def test_units_can_be_exposed_by_whoever_serves_them(client):
    running(client, {**PLAN, "endpoint": "none"})
    sent = client.post("/experiments/e1/exposures", json={"units": ["user-1", "user-2"]})
    assert set(sent.json()["variants"]) == {"user-1", "user-2"}
    assert sum(client.get("/experiments/e1").json()["exposures"].values()) == 2
    assert send(client, OUTCOME).json()["accepted"] == 1


def test_reports_take_no_thread_from_the_keys(client, monkeypatch):
    running(client, PLAN)
    service = client.app.state.service
    names = []
    controller = service.experiments.controller()
    for method in ("analyse", "decide"):
        real = getattr(controller, method)

        def noted(*arguments, real=real):
            names.append(threading.current_thread().name)
            return real(*arguments)

        monkeypatch.setattr(controller, method, noted)
    assert client.get("/experiments/e1").json()["decision"] is None
    assert client.get("/experiments/e1").status_code == 200
    decided = client.post("/experiments/e1/decide", json={"variant": "both", "reason": "enough"})
    assert decided.status_code == 200
    assert client.get("/experiments/e1").json()["decision"]["chosen"] == "both"
    # read once for two answers, decided by a reading of its own, read anew
    assert {name.rpartition("_")[0] for name in names} == {"service-reports"}
    assert len(names) in (3, 4)
