"""Files parsed in worker processes with limits, so that no file harms another or the caller."""

import selectors
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.documents.document import Document
from embedding_assets.documents.failure import Failure
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.process import WorkerProcess
from embedding_assets.documents.reader import Options
from embedding_assets.documents.worker import Answer, Order

DEFAULT_LIMITS = Limits()


@dataclass(frozen=True)
class Source:
    """A file to parse, and the document that it becomes; a pair by either of its halves."""

    doc_id: str
    path: Path


@dataclass(frozen=True)
class Parsed:
    """What became of a file. seconds: spent on it by its process, or until that was ended."""

    source: Source
    result: Document | Failure
    seconds: float


def parse_many(
    files: Iterable[Source],
    limits: Limits = DEFAULT_LIMITS,
    workers: int = 1,
    passwords: Sequence[str] = (),
    *,
    ocr: bool = False,
) -> Iterator[Parsed]:
    """Each file's document or failure, as they are completed, from `workers` processes at most.

    Files are drawn only when a process is free for them, so that of any number only a few are in
    memory. A process is kept for the next file until it crashes, meets a limit or is worn out;
    the iterator's end, its closing and the death of the caller end them all. passwords, ocr: see
    Options.

    Raises WorkerStartError; nothing because of a file.
    """
    ahead = iter(files)
    done: list[Parsed] = []
    with _Pool(Order(limits, Options(tuple(passwords), ocr)), max(1, workers)) as pool:
        while True:
            # The next files are under way while the caller is busy with those that are done.
            while pool.is_free and (source := next(ahead, None)):
                pool.give(source)
            yield from done
            if not pool.is_busy:
                return
            done = pool.finished()


class _Pool:
    """Worker processes, each started when it is first needed and replaced when it ends."""

    def __init__(self, order: Order, size: int) -> None:
        self._order = order
        self._size = size
        self._idle: list[WorkerProcess] = []
        self._busy: dict[WorkerProcess, Source] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> "_Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self._idle, *self._busy]:
            process.end()
        self._selector.close()

    @property
    def is_busy(self) -> bool:
        """Whether any file is under way."""
        return bool(self._busy)

    @property
    def is_free(self) -> bool:
        """Whether another file can be given."""
        return len(self._busy) < self._size

    def give(self, source: Source) -> None:
        """Begin to parse a file; only when `is_free`."""
        process = self._idle.pop() if self._idle else WorkerProcess(self._order)
        self._busy[process] = source
        self._selector.register(process, selectors.EVENT_READ, process)
        process.give(source.path)

    def finished(self) -> list[Parsed]:
        """Wait until at least one file is done with, by its process or by a limit."""
        done: list[Parsed] = []
        while not done:
            first = min(process.deadline for process in self._busy)
            for key, _ in self._selector.select(max(0.0, first - time.monotonic())):
                if heard := key.data.hear():
                    done.append(self._done(key.data, heard))
            now = time.monotonic()
            for process in [late for late in self._busy if late.deadline <= now]:
                done.append(self._done(process, process.late()))
        return done

    def _done(self, process: WorkerProcess, heard: Answer | Failure) -> Parsed:
        self._selector.unregister(process)
        source = self._busy.pop(process)
        seconds = heard.seconds if isinstance(heard, Answer) else process.seconds
        result = heard.result if isinstance(heard, Answer) else heard
        assert not isinstance(result, bytes)  # no page was ordered
        if process.is_fit:
            self._idle.append(process)
        else:
            process.end()
        return Parsed(source, result, seconds)
