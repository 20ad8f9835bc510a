"""What the service asks of experiments for each request: answers from memory, writes later."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Event, Lock, Thread
from time import monotonic, time

import structlog

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.experiments.assignment import Assigner, unit_key
from embedding_assets.experiments.events import (
    ExposureRow,
    Observation,
    add_events,
)
from embedding_assets.experiments.plan import Endpoint, ExperimentError
from embedding_assets.experiments.store import ExperimentStore, Stored

_REFRESH_SECONDS = 1.0
_WRITE_SECONDS = 0.2
_MOST_WAITING = 100_000
_log = structlog.get_logger()

Waiting = dict[tuple[int, int], tuple[ExposureRow, Observation]]
"""By experiment and unit: the first exposure, and how its request was answered."""


@dataclass(frozen=True)
class Routed:
    """The variant of a request; `setting` is what it chooses.

    number, index, unit: the experiment's, the variant's and the unit's keys in the database.
    """

    experiment: str
    variant: str
    setting: str
    number: int
    index: int
    unit: int


@dataclass(frozen=True)
class TrafficStatus:
    """How the link to the database is.

    age: seconds since the running experiments were last read, None before the first time; dropped:
    exposures that were lost because too many waited or their experiment is gone; problem: why the
    last reading or writing failed.
    """

    running: int
    age: float | None
    waiting: int
    written: int
    dropped: int
    problem: str | None


@dataclass(frozen=True)
class _Route:
    stored: Stored
    assigner: Assigner

    def routed(self, unit: str) -> Routed | None:
        index = self.assigner.variant(unit)
        if index is None:
            return None
        plan, variant = self.stored.plan, self.stored.plan.variants[index]
        key = unit_key(self.stored.salt, unit)
        return Routed(plan.id, variant.name, variant.setting, self.stored.number, index, key)


class Traffic:
    """Routes requests to variants, and notes who saw them and how they were served.

    Nothing here waits for the database: running experiments are read, and what was noted is
    written, by a thread of its own. While the database is gone the experiments that were running
    go on, exposures are kept up to `most_waiting`, and `status` tells.
    """

    def __init__(
        self,
        store: ExperimentStore,
        *,
        most_waiting: int = _MOST_WAITING,
        clock: Callable[[], float] = time,
    ) -> None:
        """Call `start` to keep it up to date.

        clock: seconds since 1970.
        """
        self._store = store
        self._most_waiting = most_waiting
        self._clock = clock
        self._routes: Mapping[str, tuple[_Route, ...]] = {}
        self._lock = Lock()  # of all below
        self._waiting: Waiting = {}
        self._seen: set[tuple[int, int]] = set()
        self._written = self._dropped = 0
        self._read_at: float | None = None
        self._problem: str | None = None
        self._writing = Lock()
        self._closing = Event()
        self._thread = Thread(target=self._keep_up, name="experiment traffic", daemon=True)

    def start(self) -> None:
        """Keep up to date from now on, until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and write what waits; what cannot be written is counted as dropped."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()
        with self._lock:
            self._dropped += len(self._waiting)
            self._waiting.clear()

    def route(self, endpoint: Endpoint, unit: str) -> Routed | None:
        """The variant of the experiment that runs on `endpoint` and that the unit takes part in."""
        for route in self._routes.get(endpoint, ()):
            routed = route.routed(unit)
            if routed is not None:
                return routed
        return None

    def answered(
        self, routed: Routed, latency_ms: float, *, is_error: bool = False, is_empty: bool = False
    ) -> None:
        """Note that the unit saw its variant now, and how its request was answered; of a unit's
        later requests nothing is kept."""
        key = (routed.number, routed.unit)
        row = ExposureRow(*key, routed.index, int(self._clock() * 1_000_000))
        new = Observation(1, int(is_error), int(is_empty), latency_ms, latency_ms * latency_ms)
        with self._lock:
            if key in self._seen or key in self._waiting:
                return
            if len(self._waiting) >= self._most_waiting:
                self._dropped += 1
            else:
                self._waiting[key] = (row, new)

    def status(self) -> TrafficStatus:
        """How the link to the database is."""
        with self._lock:
            age = None if self._read_at is None else monotonic() - self._read_at
            running = sum(map(len, self._routes.values()))
            waiting, problem = len(self._waiting), self._problem
            return TrafficStatus(running, age, waiting, self._written, self._dropped, problem)

    def refresh(self) -> None:
        """Read the running experiments now; if that fails the known ones go on."""
        try:
            running = self._store.running()
        except EmbeddingAssetsError as error:
            self._report(error)
            return
        routes: dict[str, tuple[_Route, ...]] = {}
        for stored in running:
            route = _Route(stored, stored.assigner())
            routes[stored.plan.endpoint] = (*routes.get(stored.plan.endpoint, ()), route)
        with self._lock:
            self._routes, self._read_at, self._problem = routes, monotonic(), None

    def flush(self) -> None:
        """Write what waits now; if that fails it goes on waiting."""
        with self._writing:
            with self._lock:
                taken = dict(self._waiting)
            if not taken:
                return
            try:
                known = add_events(self._store.engine, dict(taken.values()))
            except EmbeddingAssetsError as error:
                self._report(error)
                return
            self._mark_written(taken, known)

    def _keep_up(self) -> None:
        due = monotonic()
        while True:
            try:
                if monotonic() >= due:
                    due = monotonic() + _REFRESH_SECONDS
                    self.refresh()
                self.flush()
            except Exception as error:  # noqa: BLE001  nobody would begin this thread again
                _log.exception("experiments_broke", error=type(error).__name__)
                self._report(
                    ExperimentError(
                        "Experiments broke unexpectedly.", "Look into the log of the service."
                    )
                )
            if self._closing.wait(_WRITE_SECONDS):
                return

    def _mark_written(self, taken: Waiting, known: set[int]) -> None:
        written = {key for key in taken if key[0] in known}
        with self._lock:
            for key in taken:
                del self._waiting[key]
            if len(self._seen) + len(written) > self._most_waiting:
                self._seen.clear()  # Seen again they are written again, which changes nothing.
            self._seen |= written
            self._written += len(written)
            self._dropped += len(taken) - len(written)
            self._problem = None

    def _report(self, error: EmbeddingAssetsError) -> None:
        with self._lock:
            is_new, self._problem = self._problem is None, error.problem
        if is_new:
            _log.warning("experiments_unreachable", problem=error.problem)
