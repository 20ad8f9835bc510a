"""What `make demo` and `make ui` run."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from embedding_assets_tests.integration.workplace import generate


def environment_of(place):
    return {**os.environ, **place.environment, "PYTHONUNBUFFERED": "1"}


def demo(place):
    command = [sys.executable, "-m", "embedding_assets.demo"]
    done = subprocess.run(command, env=environment_of(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def vectors(summary):
    """(computed, reused) as the summary tells them."""
    numbers = re.search(r"vectors +([\d,]+) computed, ([\d,]+) reused", summary)
    return tuple(int(number.replace(",", "")) for number in numbers.groups())


def test_a_second_demo_keeps_the_input_and_computes_no_vector(graph):
    first = demo(graph)
    [file] = graph.source.glob("*.parquet")
    stamp = file.stat().st_mtime_ns
    computed, reused = vectors(first)
    assert computed > 0
    second = demo(graph)
    assert vectors(second) == (0, computed + reused)
    assert file.stat().st_mtime_ns == stamp
    for told in ("cleaned_records", "1,000", "tiny v1", "warehouse.duckdb", "make ui"):
        assert told in second


def test_a_demo_over_the_input_of_an_earlier_day_runs_too(graph):
    generate(graph.source / "records.parquet", "--records", 60, "--days", 3, "--end", "2026-03-04")
    summary = demo(graph)
    assert "2026-03-02 to 2026-03-04" in summary
    assert vectors(demo(graph))[0] == 0


@pytest.fixture
def ports():
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        found = one.getsockname()[1], two.getsockname()[1]
    return found


def test_the_ui_serves_dagster_and_mlflow_until_it_is_interrupted(graph, ports):
    dagster, mlflow = ports
    environment = {
        **environment_of(graph), "DAGSTER_PORT": str(dagster), "MLFLOW_PORT": str(mlflow),
    }  # fmt: skip
    log = (graph.folder / "ui.log").open("w+")
    command = [sys.executable, "-m", "embedding_assets.ui"]
    ui = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True,
        start_new_session=True,
    )  # fmt: skip
    try:
        told = []
        while not told or "Ctrl-C" not in told[-1]:
            line = ui.stdout.readline()
            assert line, (graph.folder / "ui.log").read_text()
            told.append(line)
        for port, page in ((dagster, "/server_info"), (mlflow, "/health")):
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{page}") as answer:
                assert answer.status == 200
        os.kill(ui.pid, signal.SIGINT)
        assert ui.wait(timeout=60) == 0
    finally:
        if ui.poll() is None:
            os.killpg(ui.pid, signal.SIGKILL)
        ui.stdout.close()
        log.close()


def test_a_taken_port_is_named(graph):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "embedding_assets.ui"],
            env={**environment_of(graph), "DAGSTER_PORT": port}, capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"error: The port {port} is in use." in done.stderr
    assert "DAGSTER_PORT=4000 make ui" in done.stderr
