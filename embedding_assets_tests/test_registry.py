import os
import shutil
import socket
import threading

import mlflow
import pytest
from mlflow.artifacts import download_artifacts
from mlflow.environment_variables import (
    MLFLOW_HTTP_REQUEST_TIMEOUT,
    MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT,
)

from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model
from embedding_assets.errors import RegistryError
from embedding_assets.registry import (
    FINGERPRINT,
    ModelEntry,
    ModelVersion,
    Registry,
    TrainedModel,
    registered_name,
)
from embedding_assets.storage.lock import locked
from embedding_assets_tests.storage import processes


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    return Registry(f"sqlite:///{folder / 'mlflow.db'}", "tests", folder)


@pytest.fixture
def uploads(registry, monkeypatch):
    """Registers versions without a model's files; the entries that were uploaded."""
    done = []

    def register(entry, experiment):
        name = registered_name(entry.name)
        if not registry.client.search_registered_models(f"name = '{name}'"):
            registry.client.create_registered_model(name)
        tags = {**entry.details, FINGERPRINT: entry.fingerprint}
        made = registry.client.create_model_version(name, "file:///nowhere", tags=tags)
        done.append(entry)
        return ModelVersion(name, str(made.version), entry.fingerprint)

    monkeypatch.setattr(registry, "_register", register)
    return done


def entry(tmp_path, name="mini", fingerprint="f1"):
    return ModelEntry(name, tmp_path, fingerprint, {"precision": "float32"})


def run_of(registry, run_id):
    return registry.client.get_run(run_id)


def test_a_model_is_registered_once_and_another_fingerprint_is_a_new_version(
    registry, uploads, tmp_path
):
    first = registry.ensure_registered(entry(tmp_path))
    assert registry.ensure_registered(entry(tmp_path)) == first
    second = registry.ensure_registered(entry(tmp_path, fingerprint="f2"))
    assert (first.version, second.version) == ("1", "2")
    assert (str(first), second.fingerprint) == ("mini v1", "f2")
    assert len(uploads) == 2
    assert registry.version_of("mini", "f2") == second
    assert registry.version_of("mini", "f3") is None
    assert registry.version_of("other", "f1") is None


def test_two_that_register_the_same_model_at_once_make_one_version(registry, uploads, tmp_path):
    found = []
    again = entry(tmp_path, "twice", "f9")
    threads = [
        threading.Thread(target=lambda: found.append(registry.ensure_registered(again)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[1]
    assert len(uploads) == 1


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("all-MiniLM-L6-v2", "all-MiniLM-L6-v2"),
        ("org/model", "model"),
        ("/models/mini/", "mini"),
        ("downloads/mini.tar.gz", "mini"),
        ('it\'s: a "model"', "it_27s_3A a _22model_22"),
        ("größe", "gr_C3_B6_C3_9Fe"),
        ("/", "model"),
    ],
)
def test_any_model_has_a_name_that_the_registry_takes(registry, uploads, tmp_path, model, name):
    assert registered_name(model) == name
    made = registry.ensure_registered(entry(tmp_path, model, f"of {model}"))
    assert made.name == name
    assert registry.version_of(model, f"of {model}") == made


def test_a_run_logs_the_model_its_settings_and_the_summed_metrics(registry):
    model = ModelVersion("mini", "3", "f1")
    with registry.vector_run("embeddings", model, {"window": 254}, {"dagster_run_id": "r1"}) as run:
        run.add({"tokens": 3, "seconds": 0.5})
        run.add({"tokens": 4})
    logged = run_of(registry, run.run_id)
    assert logged.info.status == "FINISHED"
    assert logged.data.metrics == {"tokens": 7, "seconds": 0.5}
    assert logged.data.params == {
        "model": "mini", "version": "3", "window": "254", "fingerprint": "f1",
    }  # fmt: skip
    assert logged.data.tags["dagster_run_id"] == "r1"
    assert logged.data.tags["asset"] == "embeddings"
    assert run.link.endswith(f"/#/experiments/{registry.experiment_id}/runs/{run.run_id}")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
def test_a_run_that_breaks_off_is_failed_and_keeps_its_metrics(registry, error):
    runs = []
    with pytest.raises(error):
        with registry.vector_run("embeddings", ModelVersion("mini", "1", "f"), {}, {}) as run:
            runs.append(run)
            run.add({"tokens": 3})
            raise error
    logged = run_of(registry, runs[0].run_id)
    assert (logged.info.status, logged.data.metrics) == ("FAILED", {"tokens": 3})


def test_runs_of_killed_processes_are_closed_and_those_of_living_ones_stay(registry):
    def left(process):
        tags = {"process": f"{socket.gethostname()}:{process}"}
        return registry.client.create_run(registry.experiment_id, tags=tags).info.run_id

    gone = processes.start("print(1)")
    gone.communicate()
    dead, alive = left(gone.pid), left(os.getppid())
    elsewhere = registry.client.create_run(
        registry.experiment_id, tags={"process": f"another-host:{gone.pid}"}
    ).info.run_id
    with registry.vector_run("embeddings", ModelVersion("mini", "1", "f"), {}, {}) as run:
        assert run_of(registry, run.run_id).info.status == "RUNNING"
    assert [run_of(registry, each).info.status for each in (dead, alive, elsewhere)] == [
        "KILLED", "RUNNING", "RUNNING",
    ]  # fmt: skip


def test_a_server_that_does_not_answer_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{closed.getsockname()[1]}"
    registry = Registry(uri, "tests", tmp_path)
    with pytest.raises(RegistryError, match=uri):
        registry.version_of("mini", "f1")


def test_a_server_that_says_nothing_is_not_waited_for_long_unless_somebody_wants_it(
    registry, monkeypatch
):
    for own, seconds in ((None, 10), ("300", 300)):
        monkeypatch.delenv("MLFLOW_HTTP_REQUEST_TIMEOUT", raising=False)
        if own:
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", own)
        assert Registry(registry.tracking_uri, "tests", registry.data_dir).client
        assert MLFLOW_HTTP_REQUEST_TIMEOUT.get() == seconds


@pytest.mark.parametrize(("asked", "files"), [("10", 120), ("300", 300)])
def test_files_take_their_time(registry, tmp_path, monkeypatch, asked, files):
    """The variable is read at each request; a process that is started inherits it."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", asked)
    waits = []

    def noted(function):
        def call(*args, **kwargs):
            waits.append(MLFLOW_HTTP_REQUEST_TIMEOUT.get())
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        patch.setattr(registry.client, "log_artifact", noted(registry.client.log_artifact))
        patch.setattr(mlflow.artifacts, "download_artifacts", noted(download_artifacts))
        trained = TrainedModel("slow", f"of {asked}", {}, {}, {"model/modules.json": b"[]"})
        version = registry.ensure_trained(trained)
        registry.fetch("slow", version.version, tmp_path / "slow")
    assert waits == [files, files]
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == asked


def test_a_local_store_that_is_no_database_is_named(tmp_path):
    (tmp_path / "mlflow.db").write_text("no database" * 1_000)
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "tests", tmp_path)
    with pytest.raises(RegistryError, match="mlflow.db"):
        registry.version_of("mini", "f1")


def test_a_server_has_nothing_printed_between_what_is_printed(registry, monkeypatch):
    monkeypatch.delenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", raising=False)
    assert Registry(registry.tracking_uri, "tests", registry.data_dir).client
    assert MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT.get()


def test_a_link_leads_to_the_server_in_use(tmp_path):
    registry = Registry("https://theirs/", "tests", tmp_path)
    registry.__dict__["experiment_id"] = "7"
    assert registry.link("r1") == "https://theirs/#/experiments/7/runs/r1"


def test_the_default_model_is_registered_with_its_files(tmp_path):
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "tests", tmp_path)
    folder = resolve_model(DEFAULT_MODEL, tmp_path).folder
    made = registry.ensure_registered(ModelEntry(DEFAULT_MODEL, folder, "f1", {"window": "254"}))
    assert made == ModelVersion(DEFAULT_MODEL, "1", "f1")
    [stored] = registry.client.search_model_versions(f"name = '{DEFAULT_MODEL}'")
    assert stored.tags == {"window": "254", FINGERPRINT: "f1"}
    assert list((tmp_path / "mlflow").rglob("model.safetensors"))
    assert (
        Registry(registry.tracking_uri, "tests", tmp_path).version_of(DEFAULT_MODEL, "f1") == made
    )


def test_a_trained_model_is_registered_once_with_its_figures_and_files(registry, tmp_path):
    weights = tmp_path / "weights.bin"
    weights.write_bytes(b"0123")
    trained = TrainedModel(
        "judge",
        "d1",
        {"folds": 5},
        {"macro_f1": 0.5},
        {"model/weights.bin": weights, "a.txt": b"a"},
    )
    version = registry.ensure_trained(trained)
    assert registry.ensure_trained(trained) == version
    assert (str(version), version.fingerprint) == ("judge v1", "d1")
    stored = registry.client.get_model_version("judge", "1")
    run = run_of(registry, stored.run_id)
    assert run.info.status == "FINISHED"
    assert (run.data.metrics, run.data.params["folds"]) == ({"macro_f1": 0.5}, "5")
    kept = registry.client.download_artifacts(stored.run_id, "model", str(tmp_path))
    assert (tmp_path / "model" / "weights.bin").read_bytes() == b"0123"
    assert stored.source.endswith("/model") and kept


@pytest.fixture
def called(tmp_path):
    """A registry that others use too: their versions by name, each called challenger."""
    registry = Registry(f"sqlite:///{tmp_path / 'mlflow.db'}", "tests", tmp_path)
    files = {
        "trained": {"model/modules.json": b"[]"},
        "logged": {"model/model.sentence_transformer/modules.json": b"[]"},
        "classifier": {"model/weights.bin": b"0"},
    }
    made = {
        name: registry.ensure_trained(TrainedModel(name, f"of {name}", {}, {}, content))
        for name, content in files.items()
    }
    for version in made.values():
        registry.client.set_registered_model_alias(version.name, "challenger", version.version)
    return registry, made


def test_only_sentence_transformers_models_are_found_by_their_alias(called):
    registry, made = called
    assert registry.aliased("challenger") == [made["logged"], made["trained"]]
    assert registry.aliased("champion") == []


def test_another_version_loses_an_alias_only_where_it_is_left(called):
    registry, made = called
    trained = made["trained"]
    assert registry.give_alias("challenger", trained, lambda other: False) is False
    assert registry.give_alias("challenger", trained, lambda other: other == made["logged"])
    kept = {name: registry.client.get_registered_model(name).aliases for name in made}
    assert {name for name, aliases in kept.items() if aliases} == {"trained", "classifier"}


@pytest.mark.parametrize("outer", [None, "sqlite:///elsewhere.db"])
def test_a_workspace_leaves_the_store_of_its_process_as_it_was(
    registry, tmp_path, monkeypatch, outer
):
    """MLflow writes the store that its functions used last into the environment, from which the
    next workspace of the process would take it."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
        if outer:
            monkeypatch.setenv(name, outer)
    files = {"model/modules.json": b"[]"}
    version = registry.ensure_trained(TrainedModel("fetched", "d1", {}, {}, files))
    found = registry.fetch(version.name, version.version, tmp_path / "fetched")
    assert (found / "modules.json").read_bytes() == b"[]"
    assert os.environ.get("MLFLOW_TRACKING_URI") == outer
    assert os.environ.get("MLFLOW_REGISTRY_URI") == outer
    assert mlflow.is_tracking_uri_set() == bool(outer)
    if outer:
        assert (mlflow.get_tracking_uri(), mlflow.get_registry_uri()) == (outer, outer)


@pytest.fixture
def theirs(registry, tmp_path):
    """A version whose files are on a disk that is away; where they would be."""
    name, place = f"theirs of {tmp_path.name}", tmp_path / "disk" / "model"
    registry.client.create_registered_model(name)
    registry.client.create_model_version(name, place.as_uri())
    return name, place


def put_files(place):
    place.mkdir(parents=True)
    (place / "modules.json").write_text("[]")
    os.utime(place, (0, 0))


def test_files_that_were_away_are_fetched_when_they_are_there(registry, theirs, tmp_path):
    name, place = theirs
    target = tmp_path / "fetched" / "model"
    with pytest.raises(RegistryError, match="its files are not there"):
        registry.fetch(name, "1", target)
    assert list(target.parent.iterdir()) == []
    target.mkdir()  # as earlier releases left it
    put_files(place)
    found = registry.fetch(name, "1", target)
    assert (found / "modules.json").exists() and found.is_relative_to(target)
    assert list(target.parent.iterdir()) == [target]
    assert target.stat().st_mtime > 0
    shutil.rmtree(place)
    assert registry.fetch(name, "1", target) == found


def test_two_that_fetch_the_same_version_at_once_get_one_folder(
    registry, theirs, tmp_path, monkeypatch
):
    name, place = theirs
    put_files(place)
    target, found, second = tmp_path / "fetched" / "model", [], threading.Event()
    locks = []

    def noted(path, timeout_seconds):
        if path.name == "fetch.lock":
            locks.append(path)
            if len(locks) == 2:
                second.set()
        return locked(path, timeout_seconds)

    def download(uri, dst_path):
        second.wait()  # until both want it
        return download_artifacts(uri, dst_path=dst_path)

    monkeypatch.setattr("embedding_assets.registry.locked", noted)
    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", download)
    threads = [
        threading.Thread(target=lambda: found.append(registry.fetch(name, "1", target)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and {*found} == {found[0]}
    assert (found[0] / "modules.json").exists()
