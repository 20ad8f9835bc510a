from dataclasses import replace
from datetime import UTC, datetime

import pytest

from embedding_assets.alerts.seen import read_checks
from embedding_assets.defs import alerting
from embedding_assets.defs.resources import configured_workspace
from embedding_assets.quality.gates import Gate
from embedding_assets.release.gate_table import GATES, GATES_TABLE, Judgement
from embedding_assets.release.seats import Challenger, Seat, Seats
from embedding_assets_tests.defs.test_alerting import Watch, clock, hook  # noqa: F401

FINE = "Every check passes."
SHUT = "Wrong: model_gates:model_gates_norms"
TRIED = Seat("other", fingerprint="second", folder="models/second")


@pytest.fixture
def serving(inside):
    """A model that serves, and another one that is tried."""
    workspace = configured_workspace()
    champion = replace(workspace.seat, fingerprint="first")
    sit(workspace, Seats(champion, champion.model, challenger=Challenger(TRIED)))
    return workspace


@pytest.fixture
def watch(instance):
    return Watch(alerting.checks_failed, instance)


def sit(workspace, seats):
    with workspace.seats_file.locked():
        workspace.seats_file.write(seats)


def judge(workspace, *shut, pair=("second", "first"), lacking=()):
    """What `model evaluate` leaves behind."""
    gates = [
        Gate(name, "failed" if name in shut else "passed", f"{name} was looked at")
        for name in GATES
        if name not in lacking
    ]
    found = Judgement(tuple(gates), *pair, datetime.now(UTC), {})
    workspace.table(GATES_TABLE).replace(found.to_slice())


def test_a_gate_that_the_command_line_found_closed_is_told(hook, serving, watch):  # noqa: F811
    assert watch.look() == FINE
    judge(serving, "norms")
    assert watch.look() == SHUT
    [alert] = hook.received
    assert (alert["kind"], alert["severity"]) == ("check_failed", "error")
    assert "model_gates_norms (blocking; failed: norms was looked at)" in alert["text"]


def test_a_gate_that_was_not_judged_is_closed(serving, watch):
    judge(serving, lacking=["norms"])
    assert watch.look() == SHUT


def test_a_later_judgement_that_opens_the_gate_ends_it(serving, watch):
    judge(serving, "norms")
    assert watch.look() == SHUT
    judge(serving)
    assert watch.look() == FINE
    _, seen = read_checks(serving.data_dir)
    assert {each.name for each in seen if each.state == "passed"} == {
        f"model_gates:model_gates_{name}" for name in GATES
    }


def test_gates_of_a_model_that_is_tried_no_more_are_not_told(
    hook, serving, watch, clock  # noqa: F811
):  # fmt: skip
    judge(serving, "norms")
    assert watch.look() == SHUT
    sit(serving, serving.seats.with_challenger(None))
    for _ in range(3):
        clock.hours(25)
        assert watch.look() == FINE
    assert len(hook.received) == 1
    assert read_checks(serving.data_dir)[1] == ()


@pytest.mark.parametrize("pair", [("third", "first"), ("second", "zeroth")])
def test_gates_of_another_pair_of_models_say_nothing(serving, watch, pair):
    judge(serving, "norms", pair=pair)
    assert watch.look() == FINE


def test_what_the_gates_said_stands_while_the_data_folder_cannot_be_read(serving, watch):
    judge(serving, "norms")
    assert watch.look() == SHUT
    serving.seats_file.path.write_text("{")
    assert watch.look() == SHUT
