"""A worker process as its caller sees it: started, given files, heard, ended."""

import io
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedding_assets.documents import document, failure, worker
from embedding_assets.documents.failure import Failure, FailureKind
from embedding_assets.documents.worker import HEADER, Answer, Job, Order, send
from embedding_assets.errors import EmbeddingAssetsError

_START = f"import sys; sys.path[:] = sys.argv[1:]; from {worker.__name__} import serve; serve()"
"""Nothing of the caller's main program is imported again, whatever that is: a command line, a
notebook, standard input."""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""As many processes as there are cores to use are at work already."""
_START_SECONDS = 120.0
_PIECE = 2**20
_TAKEN = {module.__name__ for module in (document, failure, worker)}


class WorkerStartError(EmbeddingAssetsError):
    """A parsing process cannot be started."""


class WorkerProcess:
    """One process that reads or draws one file at a time.

    deadline: when it is to be ended unless it is heard before, by the monotonic clock.
    """

    def __init__(self, order: Order) -> None:
        self.deadline = time.monotonic() + _START_SECONDS
        self._limits = order.limits
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            # A group of its own, so that programs which a parser starts end with it.
            process_group=0,
            env={**os.environ, **_ONE_THREAD},
        )
        assert self._process.stdin and self._process.stdout
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._heard = bytearray()
        self._began = time.monotonic()
        self._files = 0
        self._is_ready = self._is_worn = False
        self._tell(pickle.dumps(order))

    def fileno(self) -> int:
        """What to wait for before `hear`."""
        return self._answers.fileno()

    @property
    def is_fit(self) -> bool:
        """Whether it can be given another file: it lives and is not worn out."""
        is_worn = self._is_worn or self._files >= self._limits.files_per_worker
        return not is_worn and self._process.poll() is None

    @property
    def seconds(self) -> float:
        """Since the file was begun."""
        return time.monotonic() - self._began

    def give(self, job: Job) -> None:
        """Let it work on a file, once it is ready; only when it has no other."""
        self._files += 1
        self._tell(pickle.dumps(job.absolute() if isinstance(job, Path) else job))
        if self._is_ready:
            self._begin()

    def hear(self) -> Answer | Failure | None:
        """What it says now: an answer, nothing whole yet, or that it ended over the file.

        Raises WorkerStartError when it ended before it was ready.
        """
        piece = os.read(self.fileno(), _PIECE)
        if not piece:
            return self._death()
        self._heard += piece
        if not self._is_ready and self._message() is not None:
            self._is_ready = True
            self._begin()
        if self._is_ready and self._heard:
            # It is done with the file; only the way to here may take longer.
            self.deadline = time.monotonic() + _START_SECONDS
        message = self._message() if self._is_ready else None
        return None if message is None else _answer(message)

    def late(self) -> Failure:
        """What to say of its file when it was not heard before the deadline.

        Raises WorkerStartError when it was not even ready.
        """
        if not self._is_ready:
            raise self._start_error(f"was not ready after {_START_SECONDS:.0f} s")
        self._is_worn = True
        return Failure(
            FailureKind.TIME_LIMIT,
            f"It was not done within {self._limits.seconds:g} s.",
            "Try again when the machine is less busy, or raise the time limit.",
        )

    def end(self) -> None:
        """End the process and all that it started, whatever they are at."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._answers.close()
        self._log.close()
        with suppress(BrokenPipeError):
            self._orders.close()

    def _tell(self, message: bytes) -> None:
        # When it has died, `hear` says so, and with what.
        with suppress(BrokenPipeError):
            send(self._orders, message)

    def _begin(self) -> None:
        self._began = time.monotonic()
        self.deadline = self._began + self._limits.seconds

    def _message(self) -> bytes | None:
        """The next whole message, taken off what was heard."""
        if len(self._heard) < HEADER.size:
            return None
        length, self._is_worn = HEADER.unpack_from(self._heard)
        end = HEADER.size + length
        if len(self._heard) < end:
            return None
        message = bytes(memoryview(self._heard)[HEADER.size : end])
        del self._heard[:end]
        return message

    def _death(self) -> Failure:
        self._is_worn = True
        try:
            code = self._process.wait(_START_SECONDS if not self._is_ready else 1.0)
        except subprocess.TimeoutExpired:  # a parser closed files that are not its own
            code = 0
        if not self._is_ready:
            raise self._start_error(f"ended with code {code}")
        if code == -signal.SIGXCPU:
            return Failure(
                FailureKind.CPU_LIMIT,
                f"Reading it needs more than {self._limits.cpu_seconds:g} s of work.",
                "Split the file or raise the limit of CPU seconds.",
            )
        if code == -signal.SIGKILL:
            return Failure(
                FailureKind.KILLED,
                "The process that read it was killed by the system or a person.",
                "Try again; when it comes again, lower the memory limit or the number of workers.",
            )
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return Failure(
            FailureKind.CRASH,
            f"The parser crashed over it ({how}).",
            "Write the file again with another program; it may be damaged, or need more memory "
            f"than the {self._limits.memory_mb} MB that are allowed.",
        )

    def _start_error(self, what: str) -> WorkerStartError:
        self._log.seek(0)
        said = self._log.read().decode(errors="replace").strip().splitlines()
        return WorkerStartError(
            f"A parsing process {what}{': ' + said[-1] if said else ''}.",
            f"Check memory and installation: {sys.executable} -c 'import {worker.__name__}'.",
        )


class _Answers(pickle.Unpickler):
    """Takes nothing but documents and failures from a process that read strange files."""

    def find_class(self, module: str, name: str) -> Any:
        if module in _TAKEN:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def _answer(message: bytes) -> Answer | Failure:
    try:
        answer = _Answers(io.BytesIO(message)).load()
    except pickle.UnpicklingError as error:
        return Failure(
            FailureKind.FAULT,
            f"The parser gave a document that holds {error}.",
            "A reader returns a Document of texts and numbers; mend or remove its package.",
        )
    assert isinstance(answer, Answer)
    return answer
