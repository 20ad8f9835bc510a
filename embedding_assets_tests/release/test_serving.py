"""The service while models take turns: real requests over real indexes of two models."""

import gc
import threading
import time
import weakref

import pytest
from starlette.testclient import TestClient

from embedding_assets.api.app import create_app
from embedding_assets.experiments.plan import plan_of
from embedding_assets.release.promote import roll_back
from embedding_assets.release.stage import stage, take_seat
from embedding_assets_tests.api.conftest import BASE_URL

QUERY = "bread with butter"


@pytest.fixture
def staged(place):
    opened = place.open()
    tried = take_seat(opened, str(place.second))
    stage(opened, tried)
    return opened, tried


@pytest.fixture
def client(place, staged):
    app = create_app(place.settings())
    with TestClient(app, base_url=BASE_URL) as client:
        _until(lambda: client.get("/health/ready").status_code == 200)
        yield client


def ask(client, **more):
    answer = client.post("/search", json={"query": QUERY, "mode": "semantic", **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def neighbours(client):
    answer = client.get("/accounts/similar", params={"account_id": "account-0"})
    assert answer.status_code == 200, answer.text
    return [(found["account_id"], round(found["score"], 3)) for found in answer.json()["results"]]


def switch(opened):
    """What `promote` does once the gates let it."""
    with opened.seats_file.locked():
        opened.seats_file.write(opened.seats.promoted())


def test_requests_go_on_while_models_take_turns_and_each_answer_is_of_one(place, staged, client):
    first, second = staged
    by_index = {each.library.served_version(): each for each in staged}
    expected = {
        name: [hit.score for hit in each.library.search.search(QUERY, "semantic", k=3)]
        for name, each in by_index.items()
    }
    seen, wrong, done = [], [], threading.Event()

    def go_on():
        while not done.is_set():
            answer = ask(client, k=3)
            scores = [result["score"] for result in answer["results"]]
            seen.append(answer["index_version"])
            if scores != pytest.approx(expected[answer["index_version"]], abs=1e-5):
                wrong.append(answer)

    asking = threading.Thread(target=go_on)
    asking.start()
    try:
        switch(first)
        _until(lambda: seen and seen[-1] == second.library.served_version())
        roll_back(place.open())
        _until(lambda: seen[-1] == first.library.served_version())
    finally:
        done.set()
        asking.join()
    assert not wrong and {*seen} == {*by_index}


def test_everything_that_is_served_follows_the_model(staged, client):
    first, second = staged
    texts = {"texts": [QUERY]}
    before = client.post("/embed", json=texts).json()
    similar = neighbours(client)
    switch(first)
    _until(lambda: client.post("/embed", json=texts).json()["dimension"] == 64)
    after = client.post("/embed", json=texts).json()
    assert (before["dimension"], before["fingerprint"]) == (32, first.fingerprint)
    assert (after["fingerprint"], after["model"]) == (second.fingerprint, second.seat.model)
    _until(lambda: neighbours(client) != similar)
    _until(lambda: second.seat.model.rpartition("/")[2] in client.get("/health").text)


def test_an_experiment_lets_each_user_search_by_one_of_two_models(staged, client):
    plan = {
        "id": "models-1",
        "endpoint": "search",
        "variants": [
            {"name": "now", "weight": 1, "setting": "champion"},
            {"name": "new", "weight": 1, "setting": "challenger"},
        ],
        "metrics": [{"name": "click", "kind": "rate"}],
    }
    controller = client.app.state.service.experiments.controller()
    controller.create(plan_of(plan))
    controller.start("models-1")
    client.app.state.service.experiments.refresh()
    first, second = (each.library.served_version() for each in staged)
    found = {}
    for user in range(40):
        answer = client.post("/search", json={"query": QUERY, "unit": f"user-{user}"}).json()
        assert answer["experiment"]["id"] == "models-1"
        found.setdefault(answer["experiment"]["variant"], set()).add(answer["index_version"])
    assert found == {"now": {first}, "new": {second}}


def test_the_challenger_is_ready_before_the_first_request_of_an_experiment(staged, client):
    """There are no apps here, which holds nothing up."""
    service, second = client.app.state.service, staged[1]
    _until(lambda: service.encoder_of(second.fingerprint)._is_warm)
    assert service.challenger()._index._served is not None


def test_nobody_but_the_encoders_of_the_service_keeps_a_model_in_memory(staged, client):
    opened = weakref.ref(client.app.state.service._open_encoder(staged[1].fingerprint))
    gc.collect()
    assert opened() is None


def test_a_challenger_that_is_gone_is_charged_and_the_champion_answers(staged, client):
    opened = staged[0]
    service = client.app.state.service
    with opened.seats_file.locked():
        opened.seats_file.write(opened.seats.with_challenger(None))
    from embedding_assets.api.routes.search import _Chosen, _searched
    from embedding_assets.api.steering import Steering

    steering = Steering()
    searched = _searched(service, _Chosen(challenger=True), steering)
    assert steering.is_error
    assert searched.served.version.manifest.version == opened.library.served_version()


def _until(holds):
    while not holds():
        time.sleep(0.02)
