"""Large bodies are read only for who may send them."""

from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from embedding_assets.api.callers import key_needed, sends_key
from embedding_assets.api.problems import error_response

_SMALL = 65_536


class Door:
    """Refuses a large body without a key, where it is certain that one is needed, unread."""

    def __init__(self, app: ASGIApp, is_shut: Callable[[HTTPConnection], bool]) -> None:
        """is_shut: whether a request needs a key for certain; never waits."""
        self._app = app
        self._is_shut = is_shut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and _may_be_large(Headers(scope=scope)):
            connection = HTTPConnection(scope)
            if not sends_key(connection) and self._is_shut(connection):
                refusal = key_needed()
                refusal.headers["Connection"] = "close"  # what was sent stays unread
                await error_response(refusal, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _may_be_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    is_small = length.isascii() and length.isdigit() and int(length[:20]) <= _SMALL
    return "transfer-encoding" in headers or not is_small
