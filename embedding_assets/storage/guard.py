"""Keeps what was forgotten out of stored tables, whoever computed it and whenever that began."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Protocol, TypeAlias

import pyarrow as pa

Rows: TypeAlias = pa.RecordBatch | pa.Table
NOBODY: frozenset[str] = frozenset()


class ForgottenIds(Protocol):
    """A list of forgotten ids that only grows."""

    def state(self) -> object:
        """What changes with every change of the list; cheap."""
        ...

    def ids(self) -> frozenset[str]:
        """The ids."""
        ...

    def unchanged(self) -> AbstractContextManager[None]:
        """Hold the list as it is for the block."""
        ...


class Guard:
    """What writers of a table ask before their rows take effect.

    A writer notes the `state`, draws its rows, and publishes them inside `held` only if the state
    is still the same: so whatever is published after an id was listed was drawn knowing it, and
    all that was published before is found by whoever listed it and then removes it.
    """

    def __init__(
        self,
        forgotten: ForgottenIds | None = None,
        keep: Callable[[Rows, frozenset[str]], Rows] | None = None,
        *,
        by_key: bool = False,
    ) -> None:
        """forgotten: None forgets nothing. keep: the rows without those of forgotten ids.
        by_key: whether the keys of partitions are ids."""
        self._forgotten = forgotten
        self._keep = keep
        self._by_key = by_key
        self._known: tuple[object, frozenset[str]] = (None, NOBODY)

    def state(self) -> object:
        """What changes whenever something is forgotten."""
        return self._forgotten.state() if self._forgotten else None

    def ids(self) -> frozenset[str]:
        """The forgotten ids."""
        if self._forgotten is None:
            return NOBODY
        state = self._forgotten.state()  # before the list: never newer than it
        if state != self._known[0]:
            self._known = (state, self._forgotten.ids())
        return self._known[1]

    def held(self) -> AbstractContextManager[None]:
        """Nothing is forgotten inside the block."""
        return self._forgotten.unchanged() if self._forgotten else nullcontext()

    def admits(self, key: str | None) -> bool:
        """Whether a partition of that key may be written."""
        return not self._by_key or key not in self.ids()

    def kept(self, rows: Rows) -> Rows:
        """The rows that may be written."""
        ids = self.ids()
        return self._keep(rows, ids) if self._keep and ids else rows


OPEN = Guard()
"""Forgets nothing."""


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold the lock on `path` together with others, against whoever holds it alone (`locked`)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)
