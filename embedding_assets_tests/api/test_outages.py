"""Outcomes over HTTP while the database goes away, and while the service is killed."""

import http.client
import itertools
import sqlite3
import threading
import time
from contextlib import closing

import pytest

from embedding_assets_tests.api.routes.experiment_plans import PLAN
from embedding_assets_tests.api.test_serve import start  # noqa: F401

UNITS = [f"user-{number}" for number in range(20)]
OUTCOMES = "/experiments/e1/outcomes"


class Senders:
    """Clients that send outcomes, one after the other, each again until it is acknowledged."""

    def __init__(self, server, count):
        self.server = server
        self.acknowledged, self.refused = [], []
        self._numbers = itertools.count()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _send(self):
        while not self._ended.is_set():
            outcome = outcome_of(f"o-{next(self._numbers)}")
            while not self._is_kept(outcome):
                if self._ended.wait(0.02):
                    return
            self.acknowledged.append(outcome["id"])

    def _is_kept(self, outcome):
        try:
            status, answer = self.server.ask("POST", OUTCOMES, {"outcomes": [outcome]})
        except (OSError, http.client.HTTPException):
            status, answer = 0, {}
        if status == 200:
            assert answer["accepted"] + answer["known"] == 1
            return True
        self.refused.append((status, answer))
        return False

    def wait_for_more(self, of, count):
        until(lambda: len(of) >= count, f"{count} of {of[-1:]}")

    def end(self):
        self._ended.set()
        for thread in self._threads:
            thread.join()


def outcome_of(id):
    return {"id": id, "unit": UNITS[hash(id) % len(UNITS)], "metric": "click"}


def until(condition, what):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not come about"
        time.sleep(0.02)


def running_experiment(server):
    assert server.ask("POST", "/experiments", PLAN)[0] == 201
    assert server.ask("POST", "/experiments/e1/start")[0] == 200
    assert server.ask("POST", "/experiments/e1/exposures", {"units": UNITS})[0] == 200


def assert_each_counts_once(server, folder, ids):
    """All that was acknowledged is there, and nothing twice."""
    answer = server.ask("POST", OUTCOMES, {"outcomes": [outcome_of(id) for id in ids]})
    assert answer == (200, {"accepted": 0, "known": len(ids), "unknown_units": []})
    with closing(sqlite3.connect(folder / "store" / "service.db")) as database:
        [(kept,)] = database.execute("SELECT count(*) FROM experiment_outcomes").fetchall()
    assert kept >= len(ids)
    return kept


@pytest.fixture
def senders():
    made = []
    yield lambda *arguments: made.append(Senders(*arguments)) or made[-1]
    for each in made:
        each.end()


def test_while_the_database_is_gone_the_rest_goes_on_and_outcomes_come_back(
    start,  # noqa: F811
    senders,
    tmp_path,
):
    server = start(requests_per_minute=1_000_000)
    running_experiment(server)
    sending = senders(server, 2)
    sending.wait_for_more(sending.acknowledged, 20)

    away = tmp_path / "away"
    away.mkdir()
    files = sorted((tmp_path / "store").glob("service.db*"))  # the database before its journals
    moved = [path.rename(away / path.name) for path in files if not path.name.endswith(".made")]

    def state():
        return server.ask("GET", "/health")[1]["parts"]["database"]["state"]

    until(lambda: state() == "failed", "health that says so")
    refused = len(sending.refused)
    assert server.ask("POST", "/embed", {"texts": ["goes on"]})[0] == 200
    assert server.ask("GET", "/health/live")[0] == 200
    sending.wait_for_more(sending.refused, refused + 4)
    status, answer = sending.refused[-1]
    assert status == 503 and answer["mend"]
    assert server.ask("POST", "/embed", {"texts": ["still"]})[0] == 200

    kept = len(sending.acknowledged)
    for path in reversed(moved):
        path.rename(tmp_path / "store" / path.name)
    until(lambda: state() == "ok", "health that says so")
    sending.wait_for_more(sending.acknowledged, kept + 20)
    sending.end()
    assert_each_counts_once(server, tmp_path, sending.acknowledged)


def test_of_outcomes_that_were_acknowledged_before_a_kill_none_is_lost_and_none_counts_twice(
    start,  # noqa: F811
    senders,
    tmp_path,
):
    first = start(requests_per_minute=1_000_000)
    running_experiment(first)
    sending = senders(first, 4)
    for _ in range(2):
        sending.wait_for_more(sending.acknowledged, len(sending.acknowledged) + 25)
        sending.server.process.kill()
        sending.server.process.wait()
        sending.server = start(requests_per_minute=1_000_000)
    sending.wait_for_more(sending.acknowledged, len(sending.acknowledged) + 25)
    sending.end()
    ids = sending.acknowledged
    assert len(ids) == len(set(ids))
    kept = assert_each_counts_once(sending.server, tmp_path, ids)
    # Kept and not acknowledged are at most those that were under way when it was killed or ended.
    assert kept <= len(ids) + 4
