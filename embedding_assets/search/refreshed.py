"""Something in memory that follows what it was made from."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from embedding_assets.errors import EmbeddingAssetsError

T = TypeVar("T")


class Refreshed(Generic[T]):
    """A value that is made anew, in the background, whenever the state of its source changes.

    Nobody waits but for the first one: until the next is made, the last one is given. What cannot
    be made is tried again when the state changes once more; `trouble` says why it was not.
    """

    def __init__(self, state: Callable[[], Hashable], make: Callable[[], T]) -> None:
        """state: cheap, asked for with every use."""
        self._state = state
        self._make = make
        self._made: tuple[Hashable, T] | None = None
        self._tried: Hashable = None
        self._lock = threading.Lock()
        self.trouble: EmbeddingAssetsError | None = None

    def now(self) -> T:
        """The last value that was made. Raises what making the first one raises."""
        made, state = self._made, self._state()
        if made is None:
            with self._lock:
                if self._made is None:
                    self._tried = state  # from before: never newer than what is made
                    self._made = state, self._make()
                return self._made[1]
        if made[0] != state and self._tried != state and self._lock.acquire(blocking=False):
            self._tried = state
            threading.Thread(target=self._make_again, args=(state,), daemon=True).start()
        return made[1]

    def _make_again(self, state: Hashable) -> None:
        try:
            self._made, self.trouble = (state, self._make()), None
        except EmbeddingAssetsError as error:
            self.trouble = error
        finally:
            self._lock.release()
