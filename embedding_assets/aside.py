"""Work that needs Sentence Transformers once, in a process of its own: the hundreds of megabytes
that it loads go away with it."""

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any, TypeVar

from embedding_assets.errors import EmbeddingAssetsError, NotEnoughMemoryError
from embedding_assets.parent import end_with

_HEAVY = "sentence_transformers"
_TAIL = 2_000
Result = TypeVar("Result")


class AsideError(EmbeddingAssetsError):
    """The process that did the work ended without an answer."""


def aside(work: Callable[..., Result], *arguments: Any) -> Result:
    """What `work(*arguments)` returns, computed in a fresh Python process; in this one when
    Sentence Transformers is loaded here already, so that nothing would be saved. That process ends
    with this one.

    work: a function at the top of a module; it, the arguments and the result can be pickled.
    Raises the named errors that `work` raises, NotEnoughMemoryError when the system ended the
    process, AsideError with its last words when it ended otherwise.
    """
    if _HEAVY in sys.modules:
        return work(*arguments)
    # -P: what lies in the current folder must not be taken for a library.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as words:
        done = subprocess.run(
            [sys.executable, "-P", "-m", __name__, str(os.getpid())],
            input=pickle.dumps((work, arguments)),
            stdout=subprocess.PIPE,
            stderr=words,
            check=False,
            env=environment,
            process_group=0,
        )
        words.seek(0)
        said = words.read().decode("utf-8", "replace")
    if done.returncode == -9:
        raise NotEnoughMemoryError(
            f"The system ended the process of {work.__name__}.", "Give the machine more memory."
        )
    if done.returncode:
        raise AsideError(
            f"{work.__name__} failed in its own process ({done.returncode}):\n{said[-_TAIL:]}",
            "The last line names the cause; when it is none of yours, please report it.",
        )
    answer = pickle.loads(done.stdout)
    if isinstance(answer, EmbeddingAssetsError):
        raise answer
    result: Result = answer
    return result


def _serve() -> None:
    """Read the work from standard input, and write its result or named error to standard output;
    what libraries print goes to standard error. The parent's id is the only argument."""
    end_with(int(sys.argv[1]))
    answers, sys.stdout = sys.stdout, sys.stderr
    work, arguments = pickle.load(sys.stdin.buffer)
    try:
        answer = work(*arguments)
    except EmbeddingAssetsError as error:
        answer = error
    answers.buffer.write(pickle.dumps(answer))
    answers.flush()


if __name__ == "__main__":
    _serve()
