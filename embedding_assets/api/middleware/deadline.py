"""Requests that are given up: because their time is over, or nobody waits for the answer."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedding_assets.api.problems import OverloadedError, error_response


class Deadline:
    """Ends what takes too long with 503, and what nobody waits for any more without a word.

    Stands behind the layer that reads the body, so that all that can still come is the news that
    the client left.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        has_started = False

        async def answer(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            async with asyncio.timeout_at(scope["state"]["began"] + self._seconds):
                await self._attended(scope, receive, answer)
        except TimeoutError:
            if has_started:
                raise  # too late for another answer: the connection ends
            late = OverloadedError(
                f"The answer took longer than {self._seconds:g} seconds.",
                "Ask for less at once, or try again later.",
            )
            await error_response(late, scope)(scope, receive, send)

    async def _attended(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The answer, given up as soon as the client leaves."""
        body = await receive()
        left = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()
            task.cancel()

        messages = [body]

        async def once() -> Message:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        watcher = asyncio.create_task(watch())
        try:
            await self._app(scope, once, send)
        except asyncio.CancelledError:
            if not left.is_set():
                raise
            task.uncancel()
        finally:
            watcher.cancel()
