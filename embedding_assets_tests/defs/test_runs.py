import os

import dagster as dg
import pytest

from embedding_assets.defs import resources
from embedding_assets.defs.resources import configured_workspace, run_lock
from embedding_assets.defs.runs import end_killed_runs
from embedding_assets.storage.lock import holder
from embedding_assets_tests.storage import processes


@dg.op
def works():
    return None


@dg.job
def one():
    works()


def started(instance, pid):
    """A run that is called started, as the process of that id said."""
    run = instance.create_run_for_job(one, status=dg.DagsterRunStatus.STARTED)
    event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "one", pid=pid)
    instance.report_dagster_event(event, run.run_id)
    return run.run_id


def opening(run_id):
    """What the process of a run does first."""
    return (
        f"from embedding_assets.defs.resources import configured_workspace as opened\n"
        f"opened({run_id!r})"
    )


@pytest.fixture
def killed(inside, instance):
    """A run whose process took its lock and was killed."""
    code = "import os, sys; print(os.getpid(), flush=True); run_id = sys.stdin.readline().strip()\n"
    child = processes.start(code + opening("?").replace("'?'", "run_id") + "\nprint(1, flush=True)"
                            "\ninput()")  # fmt: skip
    run_id = started(instance, int(child.stdout.readline()))
    child.stdin.write(f"{run_id}\n")
    child.stdin.flush()
    assert child.stdout.readline() == "1\n"
    assert end_killed_runs(instance, inside.data_dir) == []  # it lives
    child.kill()
    child.communicate()
    return run_id


def ended(instance, inside):
    return [run.run_id for run in end_killed_runs(instance, inside.data_dir)]


def test_a_run_whose_process_was_killed_is_marked_as_failed_once(killed, inside, instance):
    assert ended(instance, inside) == [killed]
    assert instance.get_run_by_id(killed).status is dg.DagsterRunStatus.FAILURE
    assert ended(instance, inside) == []
    assert not run_lock(inside.data_dir, killed).exists()


def test_a_run_that_is_over_is_left_as_it_ended(killed, inside, instance):
    instance.report_run_canceled(instance.get_run_by_id(killed))
    assert ended(instance, inside) == []
    assert instance.get_run_by_id(killed).status is dg.DagsterRunStatus.CANCELED


def test_runs_without_a_lock_here_are_left_alone(inside, instance):
    """Those of other code, other data folders and other machines, whose process ids say nothing."""
    gone = int(processes.run("import os; print(os.getpid())"))
    run_id = started(instance, gone)
    assert ended(instance, inside) == []
    assert instance.get_run_by_id(run_id).status is dg.DagsterRunStatus.STARTED


def test_a_step_in_a_process_of_its_own_does_not_stand_for_its_run(inside, instance):
    run_id = started(instance, os.getpid())
    processes.run(opening(run_id))
    assert run_lock(inside.data_dir, run_id).exists()
    assert ended(instance, inside) == []


def test_a_process_of_many_runs_holds_the_locks_of_the_last_ones(inside, monkeypatch):
    monkeypatch.setattr(resources, "_of_runs", {})
    for number in range(10):
        configured_workspace(f"run {number}")
    held = [holder(run_lock(inside.data_dir, f"run {number}")) for number in range(10)]
    assert held[:2] == [None, None] and all(held[2:])
    for _, lock in resources._of_runs.values():
        os.close(lock)
