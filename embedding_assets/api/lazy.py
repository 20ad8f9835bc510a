"""Things that are opened when they are first used, once per process."""

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Lazy(Generic[T]):
    """Something that several threads share and the first one opens.

    What fails to open is tried again by the next one who asks for it.
    """

    def __init__(self, open_it: Callable[[], T]) -> None:
        self._open = open_it
        self._opened: list[T] = []
        self._opening = threading.Lock()

    def __call__(self) -> T:
        """The thing itself; blocks while it is being opened, and raises what opening it raised."""
        if not self._opened:
            with self._opening:
                if not self._opened:
                    self._opened.append(self._open())
        return self._opened[0]

    @property
    def is_open(self) -> bool:
        """Whether it can be used without waiting."""
        return bool(self._opened)


class Followed(Generic[T]):
    """Something that belongs to a state, and is made anew by the first one who asks for it after
    that changed."""

    def __init__(self, state: Callable[[], Hashable], make: Callable[[], T]) -> None:
        """state: cheap, asked for with every use."""
        self._state = state
        self._make = make
        self._made: tuple[Hashable, T] | None = None
        self._making = threading.Lock()

    def __call__(self) -> T:
        """The thing itself; raises what making it raised."""
        state, made = self._state(), self._made
        if made is None or made[0] != state:
            with self._making:
                made = self._made
                if made is None or made[0] != state:
                    made = self._made = state, self._make()
        return made[1]
