"""Reports on experiments: each computed once for all who ask for it within seconds."""

import asyncio
import time
from collections.abc import Callable

from embedding_assets.api.recent import FRESH_SECONDS, RunInThread
from embedding_assets.experiments.analysis import Analysis


class Reports:
    """What may be said of experiments, as it was up to `FRESH_SECONDS` ago.

    A large experiment takes seconds: those who ask meanwhile wait for the same computation, which
    goes on when they leave.
    """

    def __init__(self, run: RunInThread) -> None:
        """run: how to compute beside the event loop."""
        self._run = run
        self._known: dict[str, tuple[float, Analysis]] = {}
        self._asked: dict[str, asyncio.Future[Analysis]] = {}

    async def get(self, id: str, analyse: Callable[[], Analysis]) -> Analysis:
        """The report on the experiment `id`, known or computed by `analyse`, which blocks.

        Raises what `analyse` and `run` raise.
        """
        made, found = self._known.get(id, (0.0, None))
        if found is not None and time.monotonic() - made < FRESH_SECONDS:
            return found
        asked = self._asked.get(id)
        if asked is None:
            asked = asyncio.ensure_future(self._run(analyse))
            self._asked[id] = asked
            asked.add_done_callback(lambda done: self._keep(id, done))
        return await asyncio.shield(asked)

    def forget(self, id: str) -> None:
        """Compute the report on an experiment anew when it is asked for next: it has changed."""
        self._known.pop(id, None)
        self._asked.pop(id, None)

    def _keep(self, id: str, done: asyncio.Future[Analysis]) -> None:
        failed = done.cancelled() or done.exception() is not None
        if self._asked.get(id) is not done:
            return  # of before a change
        del self._asked[id]
        now = time.monotonic()
        self._known = {
            name: each for name, each in self._known.items() if now - each[0] < FRESH_SECONDS
        }
        if not failed:
            self._known[id] = now, done.result()
