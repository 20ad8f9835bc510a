"""The outermost layer: every request has an id, a line in the log, and an answer."""

import asyncio
import re
import secrets
import time
from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from embedding_assets.api.faults import fault_of
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.problems import problem_body, problem_response

_SANE_ID = re.compile(rb"[A-Za-z0-9._:-]{8,128}")
_GAVE_UP = 499
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"cross-origin-resource-policy": b"same-origin",
    b"cache-control": b"no-store",
}
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger()


class Boundary:
    """Gives each request its id, answers what broke with 500, adds headers, counts and logs.

    The log holds no query, unit, key or address: route, status, time, the key's id.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state |= {
            "request_id": _request_id(scope["headers"]),
            "headers": {},
            "key_id": None,
            "began": asyncio.get_running_loop().time(),
        }
        began, status = time.perf_counter(), _GAVE_UP

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(message.get("headers", ()), state)
            await send(message)

        self._metrics.began()
        try:
            await self._app(scope, receive, answer)
        except Exception as error:  # noqa: BLE001  the one place that isolates a request
            _log.error("request_broke", request_id=state["request_id"], **fault_of(error))
            if status == _GAVE_UP:
                await _broke(state["request_id"])(scope, receive, answer)
        finally:
            seconds = time.perf_counter() - began
            method = scope["method"] if scope["method"] in _METHODS else "other"
            route = route_of(scope)
            self._metrics.ended(method, route, status, seconds)
            _log.info(
                "request",
                request_id=state["request_id"],
                method=method,
                route=route,
                status=status,
                ms=round(1_000 * seconds, 1),
                key=state["key_id"],
            )


def route_of(scope: Scope) -> str:
    """The template of the route that a request came to, never its path, which may name people."""
    return str(getattr(scope.get("route"), "path", "none"))


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    given = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if _SANE_ID.fullmatch(given) else secrets.token_hex(10)


def _with_headers(
    headers: Iterable[tuple[bytes, bytes]], state: Mapping[str, Any]
) -> list[tuple[bytes, bytes]]:
    given = list(headers)
    names = {name for name, _ in given}
    own = {
        **_HEADERS,
        b"x-request-id": state["request_id"].encode(),
        **{name.lower().encode(): value.encode() for name, value in state["headers"].items()},
    }
    return given + [(name, value) for name, value in own.items() if name not in names]


def _broke(request_id: str) -> ASGIApp:
    return problem_response(
        problem_body(
            500,
            request_id,
            detail="The service broke while it answered this request.",
            mend="Try again; if it stays, give the operator the request id.",
        )
    )
