"""The process in which files are read or drawn: one after the other, each within its limits."""

import copyreg
import os
import pickle
import resource
import struct
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias

from embedding_assets.documents.document import Document, Kind
from embedding_assets.documents.failure import Failure, FailureKind, failure_of, too_large
from embedding_assets.documents.limits import Limits, data_bytes, limited
from embedding_assets.documents.reader import MEGABYTE, Options, read_document
from embedding_assets.parent import end_with

if TYPE_CHECKING:
    from embedding_assets.documents.draw import PageOrder

HEADER = struct.Struct("<Q?")
"""Of each message, in both directions: the length of what follows, in bytes; and whether the
worker holds so much more than at its start that it should be replaced."""

for _enumeration in (Kind, FailureKind):
    # Python before 3.11.4 pickles members as attributes, which who takes an answer refuses.
    copyreg.pickle(_enumeration, lambda member: (type(member), (member.value,)))

Job: TypeAlias = "Path | PageOrder"
"""A file to read, or a page to draw."""


@dataclass(frozen=True)
class Answer:
    """What a worker says of one file. result: what it holds, or the picture of its page as a PNG
    file. seconds: spent on it."""

    result: Document | bytes | Failure
    seconds: float


@dataclass(frozen=True)
class Order:
    """What a worker is told first. modules: to import before it says that it is ready."""

    limits: Limits
    options: Options
    modules: tuple[str, ...] = ()


def serve() -> None:
    """Answer each job that comes on standard input, until it ends or the parent is gone."""
    orders, answers = _own_channels()
    messages = _messages(orders)
    order: Order = pickle.loads(next(messages))
    end_with(os.getppid())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # Linux: when the machine runs out of memory, a worker is to go
        Path("/proc/self/oom_score_adj").write_text("1000")
    for name in order.modules:
        import_module(name)
    start = data_bytes()
    send(answers, b"")
    for job in map(pickle.loads, messages):
        message = _answer(job, order)
        grown = data_bytes() - len(message) - start
        send(answers, message, is_worn=grown > order.limits.memory_mb * MEGABYTE // 2)


def send(channel: IO[bytes], message: bytes, *, is_worn: bool = False) -> None:
    """Write a message behind its header. is_worn: this process should answer no further file."""
    channel.write(HEADER.pack(len(message), is_worn))
    channel.write(message)
    channel.flush()


def _own_channels() -> tuple[IO[bytes], IO[bytes]]:
    """Standard input and output for this protocol alone: what libraries print or read goes to
    and comes from nowhere, and programs that they start inherit nothing of it."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    return orders, answers


def _messages(orders: IO[bytes]) -> Iterator[bytes]:
    while header := orders.read(HEADER.size):
        length, _ = HEADER.unpack(header)
        yield orders.read(length)


def _answer(job: Job, order: Order) -> bytes:
    """The pickled Answer for one file, worked on and pickled within the limits.

    The one place where nothing may pass: whatever a parser raises is its file's failure.
    """
    began, limits = time.perf_counter(), order.limits
    try:
        with limited(limits):
            result = _done(job, order)
            message = pickle.dumps(Answer(result, time.perf_counter() - began), protocol=5)
        if len(message) <= limits.document_mb * MEGABYTE:
            return message
        failure = too_large(len(message), limits)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        failure = failure_of(error, limits)
    return pickle.dumps(Answer(failure, time.perf_counter() - began), protocol=5)


def _done(job: Job, order: Order) -> Document | bytes:
    if isinstance(job, Path):
        return read_document(job, order.options, order.limits.file_mb)
    from embedding_assets.documents.draw import draw_page

    return draw_page(job, order.options)
