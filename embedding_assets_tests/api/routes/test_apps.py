import numpy as np
import pytest

from embedding_assets.apps.outcomes import AppOutcomes
from embedding_assets.apps.performance import PerformanceModel
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets_tests.api.routes.experiment_plans import PLAN, running
from embedding_assets_tests.apps.shelf import ENCODER, V1, V2, published, vectors

NEW = {"name": "Chess Puzzle", "category": "Games", "platform": "ios"}


@pytest.fixture
def client(open_client):
    found = open_client(encoder=lambda: HashingEncoder(ENCODER.dimension), max_k=50, max_batch=3)
    published(found.app.state.service.apps()._served._find())
    return found


def ids(answer):
    return [each["app_id"] for each in answer["results"]]


def test_a_known_app_is_answered_by_its_nearest(client):
    answer = client.post("/find-similar", json={"app_id": "chess", "k": 2}).json()
    assert ids(answer) == ["checkers", "sudoku"]
    assert (answer["version"], answer["placed_by"], answer["experiment"]) == ("v1", "known", None)
    best = answer["results"][0]
    assert best["reasons"] == ["same category Games", "name shares 'puzzle'"]
    assert (best["name"], best["platform"], best["impressions"]) == (
        "Checkers Puzzle", "android", 1_000,
    )  # fmt: skip
    assert answer["took_ms"] > 0


def test_another_version_and_filters_are_obeyed(client):
    wanted = {"app_id": "chess", "version": "v2", "filters": {"category": ["tools"]}}
    answer = client.post("/find-similar", json=wanted).json()
    assert (answer["version"], ids(answer)) == ("v2", ["weather"])


def test_a_new_app_is_placed_by_its_metadata(client):
    answer = client.post("/find-similar", json={"app": NEW}).json()
    assert answer["placed_by"] in ("projection", "neighbours")
    assert ids(answer)[0] in ("chess", "checkers", "sudoku")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"app_id": "chess", "k": 0}, 422),
        ({"app_id": "chess", "k": -1}, 422),
        ({"app_id": "chess", "k": 10**9}, 422),
        ({"app_id": "chess", "k": "x"}, 422),
        ({"app_id": "ches"}, 404),
        ({"app_id": "../../etc/passwd"}, 404),
        ({"app_id": "chess", "version": "v9"}, 404),
        ({"app_id": "chess", "filters": {"category": ["' OR 1=1 --"]}}, 422),
        ({"app_id": "chess", "app": NEW}, 422),
        ({"app": {}}, 422),
        ({}, 422),
        ({"app_id": "chess", "color": "red"}, 422),
    ],
    ids=str,
)
def test_what_cannot_be_answered_is_a_problem(client, body, status):
    answer = client.post("/find-similar", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] and answer.json()["request_id"]


def test_close_ids_are_named(client):
    problem = client.post("/find-similar", json={"app_id": "ches"}).json()
    assert "chess" in problem["mend"]


def test_one_wrong_question_of_a_batch_leaves_the_others_answered(client):
    queries = [{"app_id": "chess", "k": 1}, {"app_id": "nowhere"}, {"app": {}}]
    answers = client.post("/find-similar/batch", json={"queries": queries}).json()["answers"]
    assert ids(answers[0]) == ["checkers"]
    assert [each["problem"]["status"] for each in answers[1:]] == [404, 422]


def test_a_batch_has_a_limit(client):
    queries = [{"app_id": "chess"}] * 4
    assert client.post("/find-similar/batch", json={"queries": queries}).status_code == 422


def test_performance_is_predicted_with_its_interval_and_segments(client):
    assert client.post("/predict", json={"app_id": "chess"}).status_code == 404
    service = client.app.state.service
    with_model(service.apps()._served._find())
    found = client.post("/predict", json={"app_id": "chess"}).json()
    assert 0 <= found["low"] <= found["rate"] <= found["high"] <= 1
    assert found["level"] == 0.9
    assert {"category", "platform", "tier", "rate", "low", "high", "apps", "weight"} == set(
        found["segments"][0]
    )


def test_an_experiment_chooses_the_version_of_a_unit(client):
    plan = {**PLAN, "endpoint": "find-similar"}
    plan["variants"] = [
        {"name": "old", "weight": 1, "setting": "v1"}, {"name": "new", "weight": 1, "setting": "v2"}
    ]  # fmt: skip
    running(client, plan)
    seen = {}
    for number in range(20):
        wanted = {"app_id": "chess", "unit": f"user-{number}"}
        answers = [client.post("/find-similar", json=wanted).json() for _ in range(2)]
        assert answers[0]["experiment"] == answers[1]["experiment"]
        assert answers[0]["experiment"]["id"] == plan["id"]
        seen[answers[0]["experiment"]["variant"]] = answers[0]["version"]
    assert seen == {"old": "v1", "new": "v2"}


def test_who_names_no_unit_or_a_version_takes_no_part(client):
    plan = {**PLAN, "endpoint": "find-similar"}
    plan["variants"] = [
        {"name": "a", "weight": 1, "setting": "v2"}, {"name": "b", "weight": 1, "setting": "v2"}
    ]  # fmt: skip
    running(client, plan)
    for extra in ({}, {"unit": "u", "version": "v1"}):
        answer = client.post("/find-similar", json={"app_id": "chess", **extra}).json()
        assert (answer["version"], answer["experiment"]) == ("v1", None)


@pytest.mark.parametrize(
    ("wanted", "versions"),
    [
        ({"app_id": "chess"}, {"v1": vectors(V1)}),
        ({"app": {"platform": "android"}}, {"v1": vectors(V1), "v2": vectors(V2)}),
    ],
    ids=["no version", "no app of the version shares anything"],
)
def test_a_variant_without_an_answer_is_charged_and_the_user_gets_the_usual_one(
    client, wanted, versions
):
    plan = {**PLAN, "endpoint": "find-similar"}
    plan["variants"] = [
        {"name": "a", "weight": 1, "setting": "v1"}, {"name": "b", "weight": 1, "setting": "v2"}
    ]  # fmt: skip
    guard = {"name": "errors", "kind": "rate", "direction": "down", "guard": True}
    running(client, {**plan, "metrics": [*plan["metrics"], guard]})
    service = client.app.state.service
    published(service.apps()._served._find(), versions=versions)
    for number in range(20):
        answer = client.post("/find-similar", json={**wanted, "unit": f"user-{number}"})
        assert (answer.status_code, answer.json()["version"]) == (200, "v1")
    assert client.post("/find-similar", json={"app_id": "?", "unit": "user-20"}).status_code == 404
    service.experiments.flush()
    compared = client.get(f"/experiments/{plan['id']}").json()["judgement"]["comparisons"]
    [errors] = [each for each in compared if each["metric"] == "errors"]
    assert errors["n"] + errors["n_control"] == 20
    assert (errors["control_mean"], errors["mean"]) == (0.0, 1.0)


def test_an_experiment_over_a_version_that_is_not_there_is_not_started(client):
    plan = {**PLAN, "endpoint": "find-similar"}
    plan["variants"] = [
        {"name": "old", "weight": 1, "setting": "v1"}, {"name": "new", "weight": 1, "setting": "v9"}
    ]  # fmt: skip
    assert client.post("/experiments", json=plan).status_code == 201
    refused = client.post(f"/experiments/{plan['id']}/start")
    assert refused.status_code == 409
    assert "no version v9" in refused.json()["detail"]


def with_model(snapshots):
    """Publish an index whose first version predicts."""
    outcomes = AppOutcomes(
        app_ids=tuple(V1),
        vectors=np.array([*V1.values()], dtype=np.float32),
        categories=("Games", "Games", "Games", "Tools", None),
        platforms=("ios",) * 5,
        clicks=np.array([90, 60, 5, 10, 7]),
        impressions=np.array([1_000, 1_000, 90, 1_000, 80]),
    )
    model = PerformanceModel.fit(outcomes)
    published(snapshots, versions={"v1": vectors(V1, model.save)}, predicts="v1")
