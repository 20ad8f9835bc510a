"""Which parts of the service work, and why one does not."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from embedding_assets.api.concealment import public
from embedding_assets.api.faults import fault_of
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError

State = Literal["ok", "starting", "absent", "failed"]
_log = structlog.get_logger()


@dataclass(frozen=True)
class Part:
    """Something that the service answers from.

    look: what is served of it now; raises NotFoundError while there is nothing to serve, another
    EmbeddingAssetsError when it cannot be served. Called again and again, in a thread.
    warm: done once at the start, in a thread, so that the first request need not.
    is_needed: whether the service is of no use without it.
    """

    name: str
    look: Callable[[], Mapping[str, Any]]
    warm: Callable[[], object] | None = None
    is_needed: bool = False


@dataclass(frozen=True)
class Report:
    """How a part is. reason, mend: in words, where it is not `ok`."""

    state: State
    reason: str | None = None
    mend: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


_LOOK_SECONDS = 1.0
_SILENT = Report("failed", "It did not answer within a second.", "Look again in a few seconds.")
_STARTING = Report("starting", "It is being opened.", "Wait a few seconds.")


class Parts:
    """The parts of a service."""

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._warming: threading.Thread | None = None
        self._warmed: set[str] = set()
        self._looks: dict[str, tuple[float, Future[Report]]] = {}
        self._threads = ThreadPoolExecutor(8, "health")

    def add(self, part: Part) -> None:
        """From now on this part is spoken of, too."""
        self._parts[part.name] = part

    def warm_up(self, then: Callable[[], None] | None = None) -> None:
        """Open everything once, in the background; `then` is called at the end."""
        self._warming = threading.Thread(
            target=self._warm, args=(then,), name="warm-up", daemon=True
        )
        self._warming.start()

    async def reports(self) -> dict[str, Report]:
        """How each part is, as of a second ago at most; a part that does not say so within a
        second has failed."""
        looks = {name: self._look(part) for name, part in self._parts.items()}
        await asyncio.wait(
            [asyncio.wrap_future(look) for look in looks.values()], timeout=_LOOK_SECONDS
        )
        return {name: look.result() if look.done() else _SILENT for name, look in looks.items()}

    def is_ready(self, reports: Mapping[str, Report]) -> bool:
        """Whether all that is there can be answered from, and what is needed is there.

        A part that failed keeps a service unready only if it is needed: the others still answer.
        """
        if any(report.state == "starting" for report in reports.values()):
            return False
        needed = (name for name, part in self._parts.items() if part.is_needed)
        return all(reports[name].state == "ok" for name in needed)

    def close(self) -> None:
        """Look at nothing any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _look(self, part: Part) -> Future[Report]:
        """A look at a part: the one that is under way, or was done just now, or a new one."""
        asked, look = self._looks.get(part.name, (0.0, None))
        is_old = time.monotonic() - asked > _LOOK_SECONDS
        if look is None or (look.done() and (is_old or look.result() is _STARTING)):
            look = self._threads.submit(self._report, part)
            self._looks[part.name] = time.monotonic(), look
        return look

    def _warm(self, then: Callable[[], None] | None) -> None:
        for name, part in [*self._parts.items()]:
            report = self._try(part.warm) if part.warm else Report("ok")
            self._warmed.add(name)
            if report.state == "failed":
                _log.warning("part_failed", part=name, reason=report.reason)
        if then is not None:
            then()

    def _report(self, part: Part) -> Report:
        if self._warming is not None and part.name not in self._warmed:
            return _STARTING
        return self._try(part.look)

    def _try(self, look: Callable[[], object]) -> Report:
        try:
            found = look()
        except NotFoundError as error:
            return Report("absent", public(error.problem), public(error.mend))
        except EmbeddingAssetsError as error:
            return Report("failed", public(error.problem), public(error.mend))
        except Exception as error:  # noqa: BLE001  one broken part must not hide the others
            _log.error("part_broke", **fault_of(error))
            return Report("failed", "It broke unexpectedly.", "Look into the log of the service.")
        return Report("ok", details=found if isinstance(found, Mapping) else {})
