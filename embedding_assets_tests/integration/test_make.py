"""What `make demo` and `make ui` run."""

import json
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
    """Of what the demo trains only the second embedding model, and that one briefly."""
    brief = {
        "EMBEDDING_ASSETS_CLASSIFICATION__LABELS": "",
        "EMBEDDING_ASSETS_ENTITIES__TRAINING": "",
        "EMBEDDING_ASSETS_TRAINING__STEPS": "1",
    }
    return {**os.environ, **place.environment, **brief, "PYTHONUNBUFFERED": "1"}


def demo(place):
    command = [sys.executable, "-m", "embedding_assets.demo"]
    done = subprocess.run(command, env=environment_of(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def vectors(summary):
    """(computed, reused) as the summary tells them."""
    numbers = re.search(r"vectors +([\d,]+) computed, ([\d,]+) reused", summary)
    return tuple(int(number.replace(",", "")) for number in numbers.groups())


def stamps(place):
    """When each input file was written."""
    files = [*place.source.iterdir(), *place.documents.iterdir(), *place.apps.iterdir()]
    return {file.name: file.stat().st_mtime_ns for file in files}


def experiments(place):
    """How each experiment stands, by its id."""
    listed = json.loads(place.run("embedding-assets", "experiment", "list", "--json").out)
    return {each["plan"]["id"]: (each["state"], each["started"]) for each in listed}


def told_between(summary, line):
    """A summary from the line that begins so to what is measured anew each time."""
    return told_from(summary, line).split("A second embedding model")[0]


def told_from(summary, line):
    """The end of a summary, from the line that begins so."""
    return summary[summary.index(line) :]


@pytest.fixture(scope="module")
def first_demo(registered, tmp_path_factory):
    """A workplace after a demo, and how that ended."""
    place = registered.copy(tmp_path_factory.mktemp("demo") / "place")
    return place, demo(place)


@pytest.fixture
def place(first_demo, tmp_path):
    return first_demo[0].copy(tmp_path / "place")


def test_a_second_demo_keeps_the_input_and_makes_nothing_anew(first_demo, place):
    first = first_demo[1]
    written, started = stamps(place), experiments(place)
    computed, reused = vectors(first)
    assert computed > 0
    assert [state for state, _ in started.values()] == ["running", "running"]
    second = demo(place)
    assert vectors(second) == (0, computed + reused)
    assert stamps(place) == written
    assert experiments(place) == started
    apps = "$ embedding-assets apps similar"
    assert told_between(second, apps) == told_between(first, apps)
    for told in ("cleaned_records", "1,000", "tiny v1", "warehouse.duckdb", "make ui"):
        assert told in second


def test_a_demo_compares_apps_and_leaves_two_experiments_running(first_demo, place):
    told = first_demo[1]
    assert re.search(r"app_vectors +1,000", told)
    assert "same category" in told_from(told, "$ embedding-assets apps similar")
    assert re.search(r"Expected click rate [\d.]+%, 90% interval", told)
    assert "apps-v1-v2: v2 wins\n    click:" in told, told_from(told, "Experiments")
    assert "search-keyword-hybrid: " in told
    assert "embedding-assets serve" in told
    status = json.loads(place.run("embedding-assets", "status", "--json").out)
    assert status["app_files"] == "as stored"
    assert status["app_index"] in told
    with (place.apps / "sample_apps.csv").open("a") as file:
        file.write("APP_NEW,New,Games,ios\n")
    status = json.loads(place.run("embedding-assets", "status", "--json").out)
    assert status["app_files"] == "changed since the last run"


def test_a_demo_over_some_of_the_app_files_names_the_others(graph):
    graph.apps.mkdir()
    (graph.apps / "sample_apps.csv").write_text("app_id,app_name\nAPP_1,Chess\n")
    command = [sys.executable, "-m", "embedding_assets.demo"]
    done = subprocess.run(command, env=environment_of(graph), capture_output=True, text=True)
    assert done.returncode == 1
    assert "Files of apps are missing: " in done.stderr
    assert "mock_embeddings_v2.pkl" in done.stderr
    assert [path.name for path in graph.apps.iterdir()] == ["sample_apps.csv"]


def test_a_demo_over_the_input_of_an_earlier_day_runs_too(graph):
    generate(graph.source / "records.parquet", "--records", 60, "--days", 3, "--end", "2026-03-04")
    assert "2026-03-02 to 2026-03-04" in demo(graph)


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
