"""How often each key may ask: counted by all worker processes together, in the database."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import structlog
from sqlalchemy import BigInteger, Column, Engine, Integer, String, Table

from embedding_assets.api.lazy import Lazy
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.usage import SECONDS, Slot, Use, slot_of, use_of
from embedding_assets.database import create_tables, insert, own_tables, writing
from embedding_assets.errors import EmbeddingAssetsError

_PAUSE_SECONDS = 0.1
"""Between two writes: what other processes counted is known that much later."""
_RETRY_SECONDS = 1.0
_WAIT_SECONDS = 2.0
_ROWS_AT_ONCE = 500
_SWEEP_SECONDS = 3_600
_TABLES = own_tables("limits", version=1)
_uses = Table(
    "api_uses",
    _TABLES,
    Column("key_id", String(16), primary_key=True),
    Column("span", String(8), primary_key=True),
    Column("start", BigInteger, primary_key=True),
    Column("count", Integer, nullable=False),
)
_log = structlog.get_logger()


@dataclass
class _Count:
    """stored: of all processes, when the database was last written. sending: on the way there.
    unsent: counted here since."""

    stored: int = 0
    sending: int = 0
    unsent: int = 0
    is_known: bool = False

    @property
    def used(self) -> int:
        return self.stored + self.sending + self.unsent

    def is_ahead_of(self, limit: int) -> bool:
        """Whether the next request surely passes, but for what others count just now.

        What others do not know of is a hundredth of the limit at most, so that it cannot be
        exceeded by more than that for each process.
        """
        is_shared = self.sending + self.unsent < limit // 100
        return self.is_known and is_shared and limit - self.used > limit // 10


@dataclass
class _Waiter:
    """A request near a limit: which one it is of those that are sent, and who asks."""

    places: tuple[tuple[Slot, int, int], ...]  # slot, its number among the unsent, limit
    exceeded: Future[Slot | None] = field(default_factory=Future)


class Limiter:
    """Counts requests per key, minute and day.

    Far from a limit a request does not wait for the database: what all processes counted is
    exchanged ten times a second. Near a limit, or many at once, they do: so limits below 100 hold
    exactly, others to a hundredth for each process. While the database is gone each process counts
    for itself.
    """

    def __init__(
        self,
        engine: Callable[[], Engine],
        metrics: Metrics,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._engine = Lazy(lambda: _with_tables(engine()))
        self._metrics = metrics
        self._now = now
        self._counts: dict[Slot, _Count] = {}
        self._waiters: list[_Waiter] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_gone = False
        self._is_ending = False
        self._swept = 0.0

    def open(self) -> None:
        """Create the tables, where they are not there yet; blocks."""
        self._engine()

    async def count(self, key_id: str, per_minute: int, per_day: int | None) -> Use:
        """Count a request, and how it stands to the limits; a refused one is not counted."""
        now = self._now()
        limits: list[tuple[Slot, int]] = [(slot_of(key_id, "minute", now), per_minute)]
        if per_day is not None:
            limits.append((slot_of(key_id, "day", now), per_day))
        with self._changed:
            self._begin()
            exceeded, waiter = self._take(limits)
        if waiter:
            exceeded = await self._wait(waiter)
        if self._is_gone:
            self._metrics.counted_apart()
        used = {slot: self._counts.get(slot, _Count()).used for slot, _ in limits}
        return use_of(dict(limits), used, exceeded, now)

    def stop(self) -> None:
        """Send what is counted, and end."""
        with self._changed:
            self._is_ending = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _begin(self) -> None:
        if self._thread is None and not self._is_ending:
            self._thread = threading.Thread(target=self._work, name="limits", daemon=True)
            self._thread.start()

    def _take(self, limits: Sequence[tuple[Slot, int]]) -> tuple[Slot | None, _Waiter | None]:
        """Count, or say which limit is reached; and what to wait for when it is not certain."""
        counts = [self._counts.setdefault(slot, _Count()) for slot, _ in limits]
        for (slot, limit), count in zip(limits, counts, strict=True):
            if count.used >= limit:
                return slot, None
        is_far = all(
            count.is_ahead_of(limit) for (_, limit), count in zip(limits, counts, strict=True)
        )
        for count in counts:
            count.unsent += 1
        if self._is_gone or self._is_ending or is_far:
            if any(count.unsent == 1 for count in counts):
                self._changed.notify()
            return None, None
        places = tuple((*each, c.unsent) for each, c in zip(limits, counts, strict=True))
        waiter = _Waiter(tuple((slot, number, limit) for slot, limit, number in places))
        self._waiters.append(waiter)
        self._changed.notify()
        return None, waiter

    async def _wait(self, waiter: _Waiter) -> Slot | None:
        """The limit that a request turned out to exceed. Nobody waits long for the database."""
        asked = asyncio.wrap_future(waiter.exceeded)
        done, _ = await asyncio.wait([asked], timeout=_WAIT_SECONDS)
        if done:
            return asked.result()
        asked.cancel()
        self._is_gone = True  # until it answers
        return None

    def _work(self) -> None:
        try:
            while self._exchange_once():
                pass
        finally:
            with self._changed:
                self._is_gone, self._thread = True, None

    def _exchange_once(self) -> bool:
        """Wait for something to exchange with the database, and do it; False for the last time."""
        with self._changed:
            while not (self._has_work or self._is_ending):
                self._changed.wait()
            pause = _RETRY_SECONDS if self._is_gone else _PAUSE_SECONDS
            self._changed.wait_for(lambda: self._waiters or self._is_ending, pause)
            waiters, self._waiters = self._waiters, []
            wanted = {slot for waiter in waiters for slot, _, _ in waiter.places}
            batch = self._send(wanted)
            is_last = self._is_ending
        self._exchange(batch, waiters)
        return not is_last

    @property
    def _has_work(self) -> bool:
        return bool(self._waiters) or any(count.unsent for count in self._counts.values())

    def _send(self, wanted: set[Slot]) -> dict[Slot, int]:
        """What to add to the database, and whose totals to ask for."""
        for slot in [*self._counts]:
            count = self._counts[slot]
            is_over = slot.start + 2 * SECONDS[slot.span] < self._now()
            if is_over and slot not in wanted and (not count.unsent or self._is_gone):
                del self._counts[slot]
        batch = {}
        for slot, count in self._counts.items():
            if count.unsent or slot in wanted:
                batch[slot] = count.sending = count.unsent
                count.unsent = 0
        return batch

    def _exchange(self, batch: dict[Slot, int], waiters: Iterable[_Waiter]) -> None:
        try:
            totals = self._add(batch)
        except EmbeddingAssetsError as error:
            if not self._is_gone:
                _log.warning("limits_apart", reason=type(error).__name__)
            totals = None
        with self._changed:
            self._is_gone = totals is None
            self._settle(batch, totals)
            for waiter in waiters:
                self._decide(waiter, batch, totals)

    def _settle(self, batch: dict[Slot, int], totals: dict[Slot, int] | None) -> None:
        for slot, sent in batch.items():
            count = self._counts[slot]
            count.sending = 0
            if totals is None:
                count.unsent += sent
            else:
                count.stored, count.is_known = totals[slot], True

    def _decide(
        self, waiter: _Waiter, batch: dict[Slot, int], totals: dict[Slot, int] | None
    ) -> None:
        """Let a request pass, or take it back from all its counts."""
        exceeded = None
        if totals is not None:
            places = (
                (slot, totals[slot] - batch[slot] + number, limit)
                for slot, number, limit in waiter.places
            )
            exceeded = next((slot for slot, place, limit in places if place > limit), None)
        if not waiter.exceeded.set_running_or_notify_cancel():
            return
        if exceeded is not None:
            for slot, _, _ in waiter.places:
                self._counts[slot].unsent -= 1
        waiter.exceeded.set_result(exceeded)

    def _add(self, batch: dict[Slot, int]) -> dict[Slot, int]:
        """Add counts to what stands in the database; the totals after that."""
        totals: dict[Slot, int] = {}
        rows = [{**slot._asdict(), "count": count} for slot, count in sorted(batch.items())]
        if not rows:
            return totals
        with writing(self._engine()) as connection:
            for first in range(0, len(rows), _ROWS_AT_ONCE):
                added = insert(connection, _uses).values(rows[first : first + _ROWS_AT_ONCE])
                result = connection.execute(
                    added.on_conflict_do_update(
                        index_elements=[*_uses.primary_key.columns],
                        set_={"count": _uses.c.count + added.excluded.count},
                    ).returning(_uses)
                )
                totals |= {Slot(row[0], row[1], row[2]): row[3] for row in result}
            if self._now() - self._swept > _SWEEP_SECONDS:
                self._swept = self._now()
                old = _uses.c.start < int(self._now()) - 2 * SECONDS["day"]
                connection.execute(_uses.delete().where(old))
        return totals


def _with_tables(engine: Engine) -> Engine:
    create_tables(engine, _TABLES)
    return engine
