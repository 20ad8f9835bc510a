import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from embedding_assets.storage.lock import locked
from embedding_assets_tests.integration.workplace import record, write_records

_PATIENCE = 240
_CONFIG = Path(__file__).parents[2] / "data" / "dagster" / "dagster.yaml"


@pytest.fixture
def home(graph, monkeypatch):
    """A DAGSTER_HOME with the project's own configuration."""
    folder = graph.folder / "dagster"
    (folder / "dagster.yaml").write_text(_CONFIG.read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    return folder


@pytest.fixture
def daemon(graph, home):
    environment = {
        **os.environ,
        **graph.environment,
        "EMBEDDING_ASSETS_AUTOMATION__SENSOR_SECONDS": "1",
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "1",
    }
    command = [
        sys.executable, "-m", "dagster._daemon", "run", "-m", "embedding_assets.definitions",
    ]  # fmt: skip
    with (graph.folder / "daemon.log").open("w") as log:
        started = subprocess.Popen(
            command, env=environment, cwd=graph.folder, stdout=log, stderr=log,
            start_new_session=True,
        )  # fmt: skip
        try:
            yield started
        finally:
            os.killpg(started.pid, signal.SIGTERM)
            try:
                started.wait(timeout=60)
            except subprocess.TimeoutExpired:  # a busy machine: how it ends is not what is tested
                os.killpg(started.pid, signal.SIGKILL)
                started.wait()


def test_a_running_daemon_embeds_a_new_file_though_the_run_is_killed_and_finds_it_fresh(
    graph, home, daemon
):
    """The sensor of a real `dagster-daemon` sees the file, its queue runs the days; the run is
    killed half-way and begins again; then the freshness policies are judged."""

    def wait_for(condition):
        deadline = time.monotonic() + _PATIENCE
        while not (found := condition()):
            log = (graph.folder / "daemon.log").read_text()
            assert daemon.poll() is None and time.monotonic() < deadline, log[-3000:]
            time.sleep(0.2)
        return found

    with dg.DagsterInstance.get() as instance:

        def started():
            """The process of the run, once it works."""
            for run in instance.get_runs(dg.RunsFilter(job_name="records")):
                events = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
                if events:
                    return run.run_id, events[0].dagster_event.pid
            return None

        def finished():
            runs = instance.get_runs(
                dg.RunsFilter(job_name="records", statuses=[dg.DagsterRunStatus.SUCCESS])
            )
            return runs[0] if runs else None

        with locked(graph.data_dir / "locks" / "tables.lock", 60):  # what the run will wait for
            write_records(graph.source / "new.parquet", [record("ada", at="2026-03-05T10:00:00Z")])
            killed, pid = wait_for(started)
            os.kill(pid, signal.SIGKILL)
        again = wait_for(finished)
        assert again.parent_run_id == again.root_run_id == killed
        assert instance.get_run_by_id(killed).status == dg.DagsterRunStatus.FAILURE

        def judged():
            key = dg.AssetKey("latest_account_embeddings")
            found = instance.get_freshness_state_records([key]).get(key)
            return found and found.freshness_state.value == "PASS"

        wait_for(judged)
    [row] = graph.table("latest_account_embeddings").to_pylist()
    assert (row["account_id"], str(row["day"])) == ("ada", "2026-03-05")


def test_only_runs_that_were_killed_begin_again(graph, home):
    @dg.op
    def breaks():
        raise ValueError("a bug")

    @dg.job
    def doomed():
        breaks()

    def will_retry(run_id):
        return instance.get_run_by_id(run_id).tags.get("dagster/will_retry")

    with dg.DagsterInstance.get() as instance:
        failed = doomed.execute_in_process(instance=instance, raise_on_error=False)
        assert will_retry(failed.run_id) == "false"
        killed = instance.create_run_for_job(doomed, status=dg.DagsterRunStatus.STARTED)
        instance.report_run_failed(killed, "Its process was killed.")
        assert will_retry(killed.run_id) == "true"
