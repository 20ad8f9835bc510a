"""What is done again and again in the background, so that no request waits for it."""

import threading
from collections.abc import Callable

import structlog

from embedding_assets.errors import EmbeddingAssetsError

_log = structlog.get_logger()


class Upkeep:
    """Does something again and again, in a thread of its own, until it is closed."""

    def __init__(self, do: Callable[[], object], seconds: float) -> None:
        """do: what it raises is logged when it changes. seconds: between two times."""
        self._do = do
        self._seconds = seconds
        self._is_ending = threading.Event()
        self._thread = threading.Thread(target=self._work, name="upkeep", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """End; waits for what is under way."""
        self._is_ending.set()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self) -> None:
        trouble = None
        while not self._is_ending.wait(self._seconds):
            before, trouble = trouble, None
            try:
                self._do()
            except EmbeddingAssetsError as error:
                trouble = type(error).__name__
                if trouble != before:
                    _log.warning("upkeep_failed", reason=trouble)
            except Exception as error:  # noqa: BLE001  a thread that ends silently tells nobody
                trouble = repr(error)
                if trouble != before:
                    _log.error("upkeep_failed", error=trouble)
