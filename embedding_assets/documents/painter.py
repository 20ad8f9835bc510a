"""Pages of PDFs drawn in worker processes with limits: PDFium knows one thread only, and a file
may crash it."""

import selectors
import threading
import time

from embedding_assets.documents.document import DocumentError
from embedding_assets.documents.draw import MODULES, PageOrder
from embedding_assets.documents.failure import Failure
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.process import WorkerProcess
from embedding_assets.documents.reader import Options
from embedding_assets.documents.worker import Answer, Order
from embedding_assets.errors import EmbeddingAssetsError

DRAWING_LIMITS = Limits(seconds=8.0, cpu_seconds=5.0, memory_mb=1024, document_mb=64)


class PictureError(DocumentError):
    """A page cannot be drawn, and could not another time."""


class PictureDelayedError(EmbeddingAssetsError):
    """A page cannot be drawn just now."""


class Painter:
    """Draws pages in a few processes, kept for the next page; may be shared between threads.

    A process that crashes, meets a limit or is worn out is replaced at once, so that nobody waits
    for its start. The death of the caller ends them all, and so does `close`.
    """

    def __init__(
        self, passwords: tuple[str, ...] = (), limits: Limits = DRAWING_LIMITS, processes: int = 1
    ) -> None:
        """passwords: tried in turn on an encrypted file."""
        self._order = Order(limits, Options(passwords), MODULES)
        self._idle: list[WorkerProcess] = []
        self._lock = threading.Lock()
        self._free = threading.Semaphore(processes)
        self._is_closed = False

    def warm(self) -> None:
        """Start a process, so that the first page need not wait for it; returns at once."""
        with self._lock:
            if not self._idle and not self._is_closed:
                self._idle.append(WorkerProcess(self._order))

    def draw(self, order: PageOrder) -> bytes:
        """The page as a PNG file; waits while all processes are busy.

        Raises PictureError with the reason, PictureDelayedError when another try may help,
        WorkerStartError.
        """
        with self._free:
            process = self._taken()
            try:
                heard = _answer(process, order)
            except BaseException:
                process.end()
                raise
            self._return(process)
        if isinstance(heard, Answer) and isinstance(heard.result, bytes):
            return heard.result
        failure = heard.result if isinstance(heard, Answer) else heard
        assert isinstance(failure, Failure)
        kind = PictureDelayedError if failure.is_transient else PictureError
        raise kind(f"Page {order.page} cannot be drawn: {failure.reason}", failure.mend)

    def close(self) -> None:
        """End the processes; those that draw just now end with their page."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
        for process in idle:
            process.end()

    def _taken(self) -> WorkerProcess:
        while True:
            with self._lock:
                process = self._idle.pop() if self._idle else None
            if process is None:
                return WorkerProcess(self._order)
            if process.is_fit:
                return process
            process.end()

    def _return(self, process: WorkerProcess) -> None:
        if not process.is_fit:
            process.end()
            self.warm()
            return
        with self._lock:
            if not self._is_closed:
                self._idle.append(process)
                return
        process.end()


def _answer(process: WorkerProcess, order: PageOrder) -> Answer | Failure:
    process.give(order)
    with selectors.DefaultSelector() as selector:
        selector.register(process, selectors.EVENT_READ)
        while True:
            left = process.deadline - time.monotonic()
            if selector.select(max(0.0, left)):
                if heard := process.hear():
                    return heard
            elif process.deadline <= time.monotonic():
                return process.late()
