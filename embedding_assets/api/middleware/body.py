"""Bodies of requests: read whole, within a size and a time, and only harmless JSON."""

import asyncio
from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedding_assets.api.middleware.json_guard import fault_in
from embedding_assets.api.problems import RequestError, error_response

_CHECKED_AT_ONCE = 65_536


class Body:
    """Reads the body before anything else looks at it, and refuses what is too large, too slow,
    no JSON, or JSON that is nested too deep or holds NaN."""

    def __init__(self, app: ASGIApp, max_bytes: int, seconds: float) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(scope, receive)
        except RequestError as error:
            await error_response(error, scope)(scope, receive, send)
            return
        if body is not None:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body; None when the client left before its end."""
        headers = Headers(scope=scope)
        if _declared(headers) > self._max_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout_at(scope["state"]["began"] + self._seconds):
                body = await self._collect(receive)
        except TimeoutError:
            raise RequestError(
                f"The body did not arrive within {self._seconds:g} seconds.",
                "Send it faster, or send less at once.",
                408,
                {"Connection": "close"},
            ) from None
        if body:
            _require_json(headers)
            await _require_harmless(body)
        return body

    async def _collect(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > self._max_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return _joined(parts)

    def _too_large(self) -> RequestError:
        return RequestError(
            f"The body is larger than {self._max_bytes / 1e6:g} MB.",
            "Send less at once, or raise the setting service.max_body_mb.",
            413,
        )


def _joined(parts: Sequence[bytes]) -> bytes:
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _declared(headers: Headers) -> int:
    """The size that a body is said to have; 0 where nothing is said."""
    length = headers.get("content-length", "0")
    return int(length[:20]) if length.isascii() and length.isdigit() else 0


def _require_json(headers: Headers) -> None:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = headers.get("content-encoding", "identity").lower()
    is_json = kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )
    if not is_json or encoding != "identity":
        raise RequestError(
            "The body is not sent as plain JSON.",
            "Send JSON, uncompressed, with the header `Content-Type: application/json`.",
            415,
            {"Accept": "application/json", "Accept-Encoding": "identity"},
        )


async def _require_harmless(body: bytes) -> None:
    is_large = len(body) > _CHECKED_AT_ONCE
    fault = await run_in_threadpool(fault_in, body) if is_large else fault_in(body)
    if fault is not None:
        raise RequestError(fault, "Send flat JSON with finite numbers.", 400)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A stream that gives the body that was read, then whatever comes after it."""
    is_given = False

    async def replayed() -> Message:
        nonlocal is_given
        if is_given:
            return await receive()
        is_given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed
