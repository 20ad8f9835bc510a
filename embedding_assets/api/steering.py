"""Experiments at work: which variant answers a request, and that it did."""

import time
from asyncio import CancelledError
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from embedding_assets.api.lazy import Lazy
from embedding_assets.api.problems import OverloadedError, RequestError
from embedding_assets.errors import InputError, NotFoundError
from embedding_assets.experiments.plan import Endpoint

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from embedding_assets.api.service import Service
    from embedding_assets.experiments.controller import ABTestController
    from embedding_assets.experiments.traffic import Routed, Traffic


_LATE = 0.9
"""Of the time for an answer: what is cancelled later than that ran out of it, give or take what
came before; who leaves does so mostly sooner."""
_SILENT_SECONDS = 10.0


class Participation(BaseModel):
    """The experiment that chose how this answer was made, and the variant that it chose."""

    id: str
    variant: str


@dataclass
class Steering:
    """One request. routed: None where no experiment concerns it.

    is_empty, is_error: set by who answers; an error is here an answer that the variant could not
    give and something else gave.
    """

    routed: "Routed | None" = None
    is_empty: bool = False
    is_error: bool = False

    @property
    def setting(self) -> str | None:
        """What the variant chooses; None without one."""
        return self.routed.setting if self.routed else None

    @property
    def participation(self) -> Participation | None:
        """What the answer says of it."""
        if self.routed is None:
            return None
        return Participation(id=self.routed.experiment, variant=self.routed.variant)


@contextmanager
def steered(service: "Service", endpoint: Endpoint, unit: str | None) -> Iterator[Steering]:
    """How the request of a unit is answered; that it was is written later.

    Who sent something wrong, or left, took no part; any other failure counts against the variant,
    the end of the time for an answer too.
    """
    experiments = service.experiments
    steering = Steering(experiments.route(endpoint, unit))
    started = time.perf_counter()
    try:
        yield steering
    except BaseException as error:
        if _is_ours(error, time.perf_counter() - started, service):
            steering.is_error = True
            experiments.note(steering, started)
        raise
    experiments.note(steering, started)


def _is_ours(error: BaseException, seconds: float, service: "Service") -> bool:
    """Whether a failure is the service's: not what was asked, and nobody who left."""
    if isinstance(error, CancelledError):
        return seconds >= _LATE * service.settings.service.timeout_seconds
    if isinstance(error, OverloadedError):
        return True
    return not isinstance(error, InputError | NotFoundError | RequestError)


class Experiments:
    """The experiments of a service. controller(): blocks when first called."""

    def __init__(self, engine: "Lazy[Engine]") -> None:
        self.controller: Lazy[ABTestController] = Lazy(lambda: _controller(engine()))
        self._traffic: Lazy[Traffic] = Lazy(self._open_traffic)
        self._is_closed = False

    def open(self) -> None:
        """Let running experiments steer requests from now on; blocks, so call it in a thread.

        Nothing when they do already. Raises DatabaseUnavailableError: then call it again.
        """
        self._traffic()

    def route(self, endpoint: Endpoint, unit: str | None) -> "Routed | None":
        """The variant of the experiment that a unit takes part in; never waits."""
        if unit is None or not self._traffic.is_open:
            return None
        return self._traffic().route(endpoint, unit)

    def note(self, steering: Steering, started: float) -> None:
        """Keep that a request was answered, to be written later. started: by `perf_counter`."""
        if steering.routed is not None:
            spent = (time.perf_counter() - started) * 1000
            self._traffic().answered(
                steering.routed, spent, is_error=steering.is_error, is_empty=steering.is_empty
            )

    def look(self) -> dict[str, Any]:
        """How the link to the database is.

        Raises DatabaseUnavailableError while it cannot be reached.
        """
        from embedding_assets.database import DatabaseUnavailableError

        status = self._traffic().status()
        is_silent = status.age is None or status.age > _SILENT_SECONDS
        if status.problem or is_silent:
            raise DatabaseUnavailableError(
                status.problem or "The running experiments were not read for a while.",
                f"{status.waiting:,} exposures wait; the experiments that were running go on.",
            )
        return {
            "running": status.running, "waiting": status.waiting, "written": status.written,
            "dropped": status.dropped,
        }  # fmt: skip

    def refresh(self) -> None:
        """See what was just started or stopped at once, instead of within a second."""
        self._traffic().refresh()

    def flush(self) -> None:
        """Write the exposures that wait."""
        if self._traffic.is_open:
            self._traffic().flush()

    def close(self) -> None:
        """Write what waits."""
        self._is_closed = True  # the warm-up may still be about to open it
        if self._traffic.is_open:
            self._traffic().close()

    def _open_traffic(self) -> "Traffic":
        from embedding_assets.experiments.traffic import Traffic

        traffic = Traffic(self.controller().store)
        if not self._is_closed:
            traffic.start()
        return traffic


def _controller(engine: "Engine") -> "ABTestController":
    from embedding_assets.experiments.controller import ABTestController

    return ABTestController(engine)
