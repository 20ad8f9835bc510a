"""The public doors as real processes, quick to start: forked from one that has imported them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

EMBEDDING_ASSETS = "embedding-assets"
DAGSTER = "dagster"
_PATIENCE = 300

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    [
        "dagster._cli",
        "dagster._cli.asset",
        "duckdb",
        "embedding_assets.cli",
        "embedding_assets.definitions",
        "embedding_assets.records.processor",
        "embedding_assets.embedding.transformer",
        "matplotlib.figure",
        "mlflow",
        "mlflow.sentence_transformers",
        "mlflow.store.model_registry.sqlalchemy_store",
        "mlflow.store.tracking.sqlalchemy_store",
        "pandera.pandas",
        "pyarrow.dataset",
        "sentence_transformers",
        "torch",
        "transformers",
        __name__,
    ]
)


@dataclass(frozen=True)
class Finished:
    """What a command left behind: exit code (negative: the signal that ended it) and its words."""

    code: int
    out: str
    err: str


class Command:
    """A command in a process and process group of its own."""

    def __init__(
        self,
        name: str,
        arguments: list[object],
        environment: Mapping[str, str],
        folder: Path,
        prepare: Callable[[], None] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        stamp = f"{time.monotonic_ns()}"
        self._out, self._err = folder / f"{stamp}.out", folder / f"{stamp}.err"
        words = [name, *map(str, arguments)]
        where = (str(self._out), str(self._err))
        self._process = _processes.Process(
            target=_become, args=(words, {**os.environ, **environment}, where, prepare)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.is_alive()

    def said(self) -> str:
        return self._err.read_text() if self._err.exists() else ""

    def kill(self) -> None:
        """SIGKILL to the whole process group."""
        os.killpg(self.pid, signal.SIGKILL)

    def wait(self) -> Finished:
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            self.kill()
            raise TimeoutError(f"still running after {_PATIENCE} s: {self.said()[-2000:]}")
        return Finished(self._process.exitcode, self._out.read_text(), self._err.read_text())


def _become(
    words: list[str],
    environment: dict[str, str],
    streams: tuple[str, str],
    prepare: Callable[[], None] | None,
) -> None:
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, path in zip((1, 2), streams, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), number)
    sys.stdout = os.fdopen(1, "w", buffering=1)
    sys.stderr = os.fdopen(2, "w", buffering=1)
    sys.argv = words
    if prepare:
        prepare()
    if words[0] == DAGSTER:
        from dagster._cli import main
    else:
        from embedding_assets.cli import main
    main()


def spawn(
    name: str, arguments: list[object], environment: Mapping[str, str], wrapper: list[str]
) -> Finished:
    """A command started from nothing, inside `wrapper`, whose limits hold from the first byte."""
    program = Path(sys.executable).with_name(name)
    done = subprocess.run(
        [*wrapper, str(program), *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=_PATIENCE,
        start_new_session=True,
    )
    return Finished(done.returncode, done.stdout, done.stderr)
