"""What was read a moment ago: so that not every request reads it, and a dead source stops none."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

from cachetools import LRUCache

from embedding_assets.database import DatabaseUnavailableError

T = TypeVar("T")

FRESH_SECONDS = 3.0
_STALE_SECONDS = 3_600.0
_WAIT_SECONDS = 1.0
_RETRY_SECONDS = 2.0
_MOST = 10_000


class RunInThread(Protocol):
    """How to call something that blocks, beside the event loop."""

    def __call__(self, function: Callable[[], Any]) -> Awaitable[Any]:
        """What it returns."""
        ...


class Recent(Generic[T]):
    """Values of the database by name, each taken as it was up to `FRESH_SECONDS` ago.

    While the database does not answer, what is known of the last hour is used.
    """

    def __init__(self, run: RunInThread) -> None:
        self._run = run
        self._known: LRUCache[str, tuple[float, T]] = LRUCache(_MOST)
        self._asked: dict[str, asyncio.Future[T]] = {}
        self._gone_until = 0.0

    async def get(self, name: str, read: Callable[[], T]) -> T:
        """The value; `read` blocks and is called at most once at a time for a name.

        Raises DatabaseUnavailableError when it is not known and cannot be read.
        """
        known = self._known.get(name)
        age = time.monotonic() - known[0] if known else _STALE_SECONDS
        is_gone = time.monotonic() < self._gone_until
        if known and age < (_STALE_SECONDS if is_gone else FRESH_SECONDS):
            return known[1]
        try:
            return await asyncio.wait_for(asyncio.shield(self._ask(name, read)), _WAIT_SECONDS)
        except (DatabaseUnavailableError, TimeoutError):
            self._gone_until = time.monotonic() + _RETRY_SECONDS
            if known and age < _STALE_SECONDS:
                return known[1]
            raise _gone() from None

    def known(self, name: str) -> T | None:
        """The value as it was when it was last read, however long ago; None before that."""
        known = self._known.get(name)
        return known[1] if known else None

    def _ask(self, name: str, read: Callable[[], T]) -> asyncio.Future[T]:
        asked = self._asked.get(name)
        if asked is None:
            asked = asyncio.ensure_future(self._read(name, read))
            asked.add_done_callback(lambda future: self._forget(name, future))
            self._asked[name] = asked
        return asked

    async def _read(self, name: str, read: Callable[[], T]) -> T:
        value: T = await self._run(read)
        self._known[name] = (time.monotonic(), value)
        return value

    def _forget(self, name: str, asked: asyncio.Future[T]) -> None:
        del self._asked[name]
        if not asked.cancelled():
            asked.exception()  # those who wait have it; it need not be logged as unheard


def _gone() -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        "The database of the service does not answer.", "Try again in a few seconds."
    )
