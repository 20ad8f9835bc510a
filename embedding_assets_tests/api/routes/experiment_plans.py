"""A plan of an experiment, as it is sent, and how one comes to run."""

PLAN = {
    "id": "e1",
    "endpoint": "search",
    "variants": [
        {"name": "words", "weight": 1, "setting": "keyword"},
        {"name": "both", "weight": 1, "setting": "hybrid"},
    ],
    "metrics": [{"name": "click", "kind": "rate"}],
}


def running(client, plan):
    """Plan an experiment and start it; requests are steered from now on."""
    client.app.state.service.experiments.open()
    assert client.post("/experiments", json=plan).status_code == 201
    assert client.post(f"/experiments/{plan['id']}/start").status_code == 200
