"""The page in a headless Chromium, its requests answered by literal JSON."""

import json
import re
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import uvicorn
from fastapi import FastAPI
from structlog.testing import capture_logs

from embedding_assets.api.metrics import Metrics
from embedding_assets.api.middleware.boundary import Boundary
from embedding_assets.api.routes import page

CHROMIUM = Path("/usr/bin/chromium")
HELD = "held"
"""An answer that does not come."""


@contextmanager
def served_page():
    """The address of the page's files, with the headers that the service adds."""
    app = FastAPI()
    app.include_router(page.router)
    config = uvicorn.Config(
        Boundary(app, Metrics()), port=0, log_level="critical", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
        assert thread.is_alive(), "the server did not start"
    port = server.servers[0].sockets[0].getsockname()[1]
    with capture_logs():
        yield f"http://127.0.0.1:{port}/"
    server.should_exit = True
    thread.join()


@dataclass(frozen=True)
class Asked:
    """A request that the page made of the service."""

    method: str
    path: str
    query: dict
    body: dict | None
    headers: dict
    at: float


@dataclass
class Answers:
    """Answers to the page's requests, by path; what was asked for; and what else went wrong."""

    by_path: dict = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    held: list = field(default_factory=list)

    def __setitem__(self, path, answer):
        self.by_path[path] = answer

    def of(self, path):
        return [asked for asked in self.asked if asked.path == path]

    def watch(self, page, base):
        page.on("console", lambda message: self._said(message))
        page.on("pageerror", lambda error: self.console.append(str(error)))
        # Python sees only what is no file of the page: each look costs time.
        others = re.compile(rf"^(?!{re.escape(base)}(web/[^/]*)?(#.*)?$)")
        page.route(others, lambda route: self._answer(route, base))

    def _said(self, message):
        # Chromium itself reports each answer that is no success.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.console.append(message.text)

    def _answer(self, route, base):
        request = route.request
        url = urlsplit(request.url)
        if url.scheme in ("blob", "data"):
            route.continue_()
        elif not request.url.startswith(base):
            self.foreign.append(request.url)
            route.abort()
        else:
            asked = _asked(request, url)
            self.asked.append(asked)
            self._fulfill(route, asked)

    def _fulfill(self, route, asked):
        answer = self.by_path.get(asked.path, problem(404, "There is no such thing."))
        if callable(answer):
            answer = answer(asked)
        if answer == HELD:
            self.held.append(route)
        elif answer is None:
            route.abort("connectionrefused")
        elif isinstance(answer, bytes):
            route.fulfill(status=200, body=answer, content_type="image/png")
        else:
            status = answer.get("status", 200) if "detail" in answer else 200
            kind = "application/json" if status < 400 else "application/problem+json"
            route.fulfill(status=status, body=json.dumps(answer), content_type=kind)


def _asked(request, url):
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    body = json.loads(request.post_data) if request.post_data else None
    return Asked(request.method, url.path, query, body, request.headers, time.monotonic())


def problem(status, detail, mend="Do it in another way."):
    return {
        "type": "urn:embedding-assets:problem:some",
        "title": "Some problem",
        "status": status,
        "detail": detail,
        "mend": mend,
        "request_id": "req-0001",
    }
