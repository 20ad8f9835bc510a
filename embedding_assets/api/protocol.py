"""HTTP connections that nobody can hold open for nothing."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from embedding_assets.api.problems import MEDIA_TYPE, problem_body

HEAD_SECONDS = 10.0
"""Within which the head of a request must have arrived."""
HEAD_BYTES = 65_536
MOST_CONNECTIONS = 4_000


class GuardedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, but slow, endless and too many heads are refused, and everything that is
    refused here is a problem in JSON as well."""

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = False

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "Too many connections are open.", "Try again in a second.")
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; whoever sends anything but a request has no more time than for a head."""
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(431, "The head of the request is too large.", "Send less in it.")
        elif self._timer is None and (self.cycle is None or self.cycle.response_complete):
            self._wait()

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """The head is whole: from here on the application minds the time."""
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, "This is no HTTP request that can be read.", "Send valid HTTP/1.1.")

    def _wait(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(408, "The request did not arrive in time.", "Send it faster.")
        else:
            self.transport.close()

    def _refuse(self, status: int, detail: str, mend: str) -> None:
        """Answer without the application, and hang up."""
        if self.transport.is_closing():
            return
        body = json.dumps(problem_body(status, "", detail=detail, mend=mend)).encode()
        head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        ending = b"connection: close\r\n\r\n"
        self.transport.write(STATUS_LINE[status] + head.encode() + ending + body)
        self.transport.close()
