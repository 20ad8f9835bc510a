"""Which model version made which vectors: the only module that talks to MLflow."""

import importlib
import os
import re
import socket
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from embedding_assets.errors import RegistryError, RegistryUnreachableError, is_transient
from embedding_assets.storage.files import is_alive
from embedding_assets.storage.folders import published_folder
from embedding_assets.storage.lock import locked

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion as MlflowVersion
    from mlflow.entities.model_registry import RegisteredModel

FINGERPRINT = "fingerprint"
CONTENT = "content_sha256"
"""The tags of a version: of the vectors that it makes, and of its files."""
_MODULES = "modules.json"
_FETCH_SECONDS = 600.0
_AWAY = {
    "DEADLINE_EXCEEDED", "REQUEST_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED", "TEMPORARILY_UNAVAILABLE",
}  # fmt: skip
"""What a server answers that may answer otherwise a moment later."""
_STORE_VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
_ONE_STORE = threading.RLock()
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_ANSWER_SECONDS, _FILE_SECONDS = "10", "120"
"""How long a server that says nothing is waited for, at each of three attempts; and one that stores
or sends a file, which is silent meanwhile."""


@dataclass(frozen=True)
class ModelVersion:
    """A registered model version, named by the fingerprint of the vectors it makes."""

    name: str
    version: str
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"

    @property
    def source(self) -> str:
        """What it is called where a model is asked for."""
        return f"models:/{self.name}/{self.version}"


@dataclass(frozen=True)
class ModelEntry:
    """What the registry is told of a model: its folder, and all that decides its vectors."""

    name: str
    folder: Path
    fingerprint: str
    details: Mapping[str, str]


@dataclass(frozen=True)
class TrainedModel:
    """What the registry is told of a model that was trained here.

    digest: of all that decides its answers; a version is known by it.
    params, metrics: of its training. files: by path in the run; those below `model/` are the model.
    """

    name: str
    digest: str
    params: Mapping[str, Any]
    metrics: Mapping[str, float]
    files: Mapping[str, Path | bytes]


@dataclass
class VectorRun:
    """The record of one materialization of vectors."""

    run_id: str
    link: str
    metrics: dict[str, float] = field(default_factory=dict)

    def add(self, metrics: Mapping[str, float]) -> None:
        """Sum up what one partition cost."""
        for name, value in metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + float(value)


class Registry:
    """Model versions and runs in an MLflow server, or in local files without any server."""

    def __init__(self, tracking_uri: str, experiment: str, data_dir: Path) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.data_dir = data_dir

    @cached_property
    def client(self) -> "MlflowClient":
        """The connected client. Raises RegistryError when the store cannot be reached."""
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault(_TIMEOUT, _ANSWER_SECONDS)
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # into --json
        import logging

        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(
                parents=True, exist_ok=True
            )
        with self._lock(), self._named_errors():
            client = MlflowClient(self.tracking_uri)
            client.search_experiments(max_results=1)
        return client

    @cached_property
    def experiment_id(self) -> str:
        """The experiment of all runs, created at first use."""
        client = self.client
        with self._lock(), self._named_errors():
            found = client.get_experiment_by_name(self.experiment)
            if found is not None:
                return found.experiment_id
            files = (self.data_dir.resolve() / "mlflow").as_uri()
            is_local = self.tracking_uri.startswith("sqlite:")
            return client.create_experiment(self.experiment, files if is_local else None)

    def version_of(self, name: str, fingerprint: str) -> ModelVersion | None:
        """The registered version with that fingerprint; None when there is none."""
        with self._named_errors():
            versions = self.client.search_model_versions(f"name = '{registered_name(name)}'")
        same = [each for each in versions if each.tags.get(FINGERPRINT) == fingerprint]
        return _version(min(same, key=lambda each: int(each.version))) if same else None

    def ensure_registered(self, entry: ModelEntry) -> ModelVersion:
        """The version of this model, registered with its files when it is not known yet.

        Raises RegistryError when the store cannot be reached or refuses the model.
        """
        known = self.version_of(entry.name, entry.fingerprint)
        if known is not None:
            return known
        experiment = self.experiment_id
        with self._lock(timeout_seconds=600):
            known = self.version_of(entry.name, entry.fingerprint)
            return known or self._register(entry, experiment)

    def ensure_trained(self, trained: TrainedModel) -> ModelVersion:
        """The version of a model that was trained here, registered with its run, metrics and files
        when it is not known yet.

        Raises RegistryError when the store cannot be reached or refuses the model.
        """
        experiment = self.experiment_id
        with self._lock(timeout_seconds=600):
            known = self.version_of(trained.name, trained.digest)
            return known or self._register_trained(trained, experiment)

    def reach(self) -> None:
        """Raises RegistryError when the store cannot be reached."""
        with self._named_errors():
            self.client.search_registered_models(max_results=1)

    def aliased(self, alias: str) -> list[ModelVersion]:
        """The versions of all Sentence Transformers models that carry an alias; one that was not
        registered by this project has an empty fingerprint."""
        with self._named_errors():
            found = [
                self.client.get_model_version(model.name, model.aliases[alias])
                for model in self._models()
                if alias in model.aliases
            ]
            return [_version(each) for each in found if self._is_embedding_model(each)]

    def give_alias(
        self, alias: str, version: ModelVersion | None, is_left: Callable[[ModelVersion], bool]
    ) -> bool:
        """Let a version carry an alias, or none; whether anything had to be changed.

        is_left: whether another version that carries it loses it.
        """
        changed = False
        with self._named_errors():
            for model in self._models():
                held = model.aliases.get(alias)
                if version and model.name == version.name:
                    if str(held) != version.version:
                        self.client.set_registered_model_alias(model.name, alias, version.version)
                        changed = True
                elif held is not None:
                    other = _version(self.client.get_model_version(model.name, held))
                    if is_left(other):
                        self.client.delete_registered_model_alias(model.name, alias)
                        changed = True
        return changed

    def tags_of(self, name: str, version: str) -> dict[str, str]:
        """What is told of a version. Raises RegistryError when there is no such version."""
        with self._named_errors():
            return dict(self.client.get_model_version(name, version).tags)

    def tag(self, version: ModelVersion, tags: Mapping[str, str]) -> None:
        """Tell more of a version."""
        with self._named_errors():
            for name, value in tags.items():
                self.client.set_model_version_tag(version.name, version.version, name, value)

    def fetch(self, name: str, version: str, target: Path) -> Path:
        """The Sentence Transformers folder of a registered version, copied below `target` unless
        it is there. Whoever else fetches one is waited for.

        Raises RegistryError when there is no such version, or it holds no such folder; `target` is
        then as it was. StoreLockedError, OutputError subclasses.
        """
        found = _model_in(target)
        if found is None:
            with locked(self.data_dir / "locks" / "fetch.lock", _FETCH_SECONDS):
                found = _model_in(target) or self._download(name, version, target)
        return found

    @contextmanager
    def vector_run(
        self, asset: str, model: ModelVersion, settings: Mapping[str, Any], tags: Mapping[str, str]
    ) -> Iterator[VectorRun]:
        """Log the block as one MLflow run: model version, settings, and the summed metrics.

        The run ends FINISHED, or FAILED when the block raises; runs of killed processes are
        closed as KILLED by the next one.
        """
        with self._named_errors():
            self._close_killed_runs()
            run = self.client.create_run(
                self.experiment_id,
                run_name=asset,
                tags={**tags, "asset": asset, "process": _process(os.getpid())},
            )
            params = {"model": model.name, "version": model.version, **settings}
            for name, value in {**params, FINGERPRINT: model.fingerprint}.items():
                self.client.log_param(run.info.run_id, name, value)
        record = VectorRun(run.info.run_id, self.link(run.info.run_id))
        status = "FAILED"
        try:
            yield record
            status = "FINISHED"
        finally:
            with self._named_errors():
                for name, value in record.metrics.items():
                    self.client.log_metric(run.info.run_id, name, value)
                self.client.set_terminated(run.info.run_id, status)

    def add_file(self, run_id: str, name: str, content: bytes) -> None:
        """Keep a file with a run."""
        with self._named_errors():
            self._log_file(run_id, name, content)

    def link_of(self, version: ModelVersion) -> str:
        """Where a person opens the run that made a registered version."""
        with self._named_errors():
            found = self.client.get_model_version(version.name, version.version)
        return self.link(str(found.run_id))

    def link(self, run_id: str) -> str:
        """Where a person opens a run: the server's page, or the path of the local page."""
        base = (
            self.tracking_uri if self.tracking_uri.startswith("http") else "http://127.0.0.1:5000"
        )
        return f"{base.rstrip('/')}/#/experiments/{self.experiment_id}/runs/{run_id}"

    def _download(self, name: str, version: str, target: Path) -> Path:
        import mlflow

        with published_folder(target) as staged:
            with self._named_errors(), _mlflow_on(self.tracking_uri), _patient():
                mlflow.artifacts.download_artifacts(
                    f"models:/{name}/{version}", dst_path=str(staged)
                )
            found = _model_in(staged)
            if found is None:
                raise RegistryError(
                    f"Version {version} of {name} in {self.tracking_uri} holds no Sentence "
                    "Transformers model, or its files are not there.",
                    "Register one with mlflow.sentence_transformers, or stage a folder.",
                )
            os.utime(staged)  # as old as it is here, whatever its files say
        return target / found.relative_to(staged)

    def _register(self, entry: ModelEntry, experiment: str) -> ModelVersion:
        import mlflow
        import mlflow.sentence_transformers
        from sentence_transformers import SentenceTransformer, __version__

        _import_quietly("mlflow.pyfunc")
        tags = {"process": _process(os.getpid())}
        with (
            self._named_errors(),
            _mlflow_on(self.tracking_uri),
            _patient(),
            mlflow.start_run(experiment_id=experiment, run_name="register", tags=tags),
        ):
            mlflow.log_params(dict(entry.details))
            info = mlflow.sentence_transformers.log_model(
                model=SentenceTransformer(str(entry.folder), device="cpu", local_files_only=True),
                name="model",
                pip_requirements=[f"sentence-transformers=={__version__}"],
            )
            # With its tags at once: a version without fingerprint would never be found again.
            made = mlflow.register_model(
                info.model_uri,
                registered_name(entry.name),
                tags={**entry.details, FINGERPRINT: entry.fingerprint},
            )
        return _version(made)

    def _register_trained(self, trained: TrainedModel, experiment: str) -> ModelVersion:
        tags = {"process": _process(os.getpid())}
        with self._named_errors():
            name = registered_name(trained.name)
            run = self.client.create_run(experiment, run_name=name, tags=tags)
            run_id, status = run.info.run_id, "FAILED"
            try:
                for key, value in {**trained.params, FINGERPRINT: trained.digest}.items():
                    self.client.log_param(run_id, key, value)
                for key, number in trained.metrics.items():
                    self.client.log_metric(run_id, key, number)
                for path, content in trained.files.items():
                    self._log_file(run_id, path, content)
                if not self.client.search_registered_models(f"name = '{name}'"):
                    self.client.create_registered_model(name)
                made = self.client.create_model_version(
                    name,
                    f"{run.info.artifact_uri}/model",
                    run_id,
                    tags={FINGERPRINT: trained.digest},
                )
                status = "FINISHED"
            finally:
                self.client.set_terminated(run_id, status)
        return _version(made)

    def _log_file(self, run_id: str, name: str, content: Path | bytes) -> None:
        folder, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="embedding_assets-") as work:
            staged = Path(work) / file
            if isinstance(content, Path):
                staged.symlink_to(content.resolve())
            else:
                staged.write_bytes(content)
            client = self.client
            with _patient():
                client.log_artifact(run_id, str(staged), folder or None)

    def _is_embedding_model(self, version: "MlflowVersion") -> bool:
        """Whether it was registered here as one, or holds what `fetch` looks for."""
        if CONTENT in version.tags:
            return True
        import mlflow

        place = f"models:/{version.name}/{version.version}"
        try:
            with _mlflow_on(self.tracking_uri):
                files = mlflow.artifacts.list_artifacts(place)
                for folder in [file.path for file in files if file.is_dir]:
                    files += mlflow.artifacts.list_artifacts(f"{place}/{folder}")
        except Exception:  # noqa: BLE001  the files of others may be anywhere, and not for us
            return False
        return any(file.path.rpartition("/")[2] == _MODULES for file in files)

    def _models(self) -> "Iterator[RegisteredModel]":
        token: str | None = None
        while True:
            page = self.client.search_registered_models(page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _close_killed_runs(self) -> None:
        here = _process("")
        for run in self.client.search_runs([self.experiment_id], "attributes.status = 'RUNNING'"):
            process = run.data.tags.get("process", "")
            if process.startswith(here) and not is_alive(int(process.removeprefix(here))):
                self.client.set_terminated(run.info.run_id, "KILLED")

    def _lock(self, timeout_seconds: float = 120) -> AbstractContextManager[None]:
        return locked(self.data_dir / "locks" / "registry.lock", timeout_seconds)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (MlflowException, SQLAlchemyError) as error:
            raise (RegistryUnreachableError if _is_away(error) else RegistryError)(
                f"The model registry {self.tracking_uri} failed: {str(error).splitlines()[0]}.",
                "Start that server, or unset MLFLOW_TRACKING_URI and "
                "EMBEDDING_ASSETS_MLFLOW__TRACKING_URI to use local files.",
            ) from error


@contextmanager
def _mlflow_on(uri: str) -> Iterator[None]:
    """Lets those functions of MLflow that know one store per process use `uri`, for the block.

    They also write it into the environment, where another workspace of the same process, and each
    process that it starts, would take it for their own.
    """
    import mlflow

    with _ONE_STORE:
        before = {name: os.environ.get(name) for name in _STORE_VARIABLES}
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        try:
            yield
        finally:
            mlflow.set_tracking_uri(None)  # type: ignore[arg-type]
            mlflow.set_registry_uri(None)  # type: ignore[arg-type]
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextmanager
def _patient() -> Iterator[None]:
    """Lets files take their time, for the block; another time that somebody has set stays."""
    with _ONE_STORE:
        is_own = os.environ.get(_TIMEOUT) == _ANSWER_SECONDS
        if is_own:
            os.environ[_TIMEOUT] = _FILE_SECONDS
        try:
            yield
        finally:
            if is_own:
                os.environ[_TIMEOUT] = _ANSWER_SECONDS


def _model_in(folder: Path) -> Path | None:
    """The outermost Sentence Transformers folder; None where there is none."""
    found = sorted(folder.rglob(_MODULES), key=lambda path: len(path.parts))
    return found[0].parent if found else None


def _is_away(error: Exception) -> bool:
    """Whether the registry could not be asked, or was too busy to answer."""
    code = getattr(error, "error_code", None)
    unreached = re.search("^API request to .* failed with (timeout )?exception", str(error))
    return bool(unreached) or code in _AWAY or is_transient(error)


def register(tracking_uri: str, experiment: str, data_dir: Path, entry: ModelEntry) -> ModelVersion:
    """`Registry.ensure_registered` as a function, so that a process of its own can do it."""
    return Registry(tracking_uri, experiment, data_dir).ensure_registered(entry)


def registered_name(model: str) -> str:
    """The registry's name of a model: its own name without folders, which MLflow refuses."""
    name = model.rstrip("/").removesuffix(".tar.gz").rpartition("/")[2]
    return quote(name, safe=" -_.").replace("%", "_") or "model"


def _import_quietly(module: str) -> None:
    """Import a part of MLflow that warns about its own type hints."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred")
        importlib.import_module(module)


def _process(pid: int | str) -> str:
    return f"{socket.gethostname()}:{pid}"


def _version(found: "MlflowVersion") -> ModelVersion:
    return ModelVersion(found.name, str(found.version), found.tags.get(FINGERPRINT, ""))
