"""Something in memory that follows what it was made from."""

import threading
import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

from embedding_assets.errors import EmbeddingAssetsError

T = TypeVar("T")
AGAIN_SECONDS = 30.0
_log = structlog.get_logger()


class Refreshed(Generic[T]):
    """A value that is made anew, in the background, whenever the state of its source changes.

    Nobody waits but for the first one: until the next is made, the last one is given. What cannot
    be made is tried again when the state changes once more, or after `AGAIN_SECONDS`; `trouble`
    says why it was not.
    """

    def __init__(self, state: Callable[[], Hashable], make: Callable[[], T]) -> None:
        """state: cheap, asked for with every use."""
        self._state = state
        self._make = make
        self._made: tuple[Hashable, T] | None = None
        self._tried: tuple[Hashable, float] = (None, 0.0)
        self._lock = threading.Lock()
        self.trouble: EmbeddingAssetsError | None = None

    def now(self) -> T:
        """The last value that was made. Raises what making the first one raises."""
        made, state = self._made, self._state()
        if made is None:
            with self._lock:
                if self._made is None:  # the state is from before: never newer than what is made
                    self._made = state, self._make()
                return self._made[1]
        if made[0] != state and self._may_try(state) and self._lock.acquire(blocking=False):
            self._tried = state, time.monotonic()
            threading.Thread(target=self._make_again, args=(state,), daemon=True).start()
        return made[1]

    def _may_try(self, state: Hashable) -> bool:
        tried, at = self._tried
        return tried != state or time.monotonic() - at >= AGAIN_SECONDS

    def _make_again(self, state: Hashable) -> None:
        try:
            self._made, self.trouble = (state, self._make()), None
        except EmbeddingAssetsError as error:
            self.trouble = error
        except Exception as error:  # noqa: BLE001  a thread that ends silently tells nobody
            _log.warning("not_refreshed", error=repr(error))
            self.trouble = EmbeddingAssetsError(
                f"What has changed cannot be read: {error}.", "It is tried again by itself."
            )
        finally:
            self._lock.release()
