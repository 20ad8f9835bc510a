"""The service as one or several processes that listen on an address."""

import errno
import gc
import ipaddress
import logging
import math
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any

import structlog

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.logs import configure_logs
from embedding_assets.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

SWITCH_SECONDS = 0.0005
"""After which a thread lets go of the interpreter for another one that waits: at Python's 5 ms the
event loop, whose turns are short, waits most of the time for threads that search."""
_KEEP_ALIVE_SECONDS = 15
_BACKLOG = 2_048
_FILES = 16_384
_LINGER_SECONDS = 1.0
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_log = structlog.get_logger()


class ServeError(EmbeddingAssetsError):
    """The service cannot listen on the address that it was given."""


@dataclass(frozen=True)
class Address:
    """Where to listen. port: 0 takes any free one."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    @property
    def url(self) -> str:
        """For a browser."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def serve(settings: Settings, listener: socket.socket, address: Address, workers: int) -> None:
    """Answer requests until SIGTERM or SIGINT; those under way are finished first.

    Raises ServeError when the service cannot start.
    """
    import uvicorn

    with _shared_metrics(workers):
        config = _config(settings, address, workers)
        with _signals_are_no_failure():
            if workers > 1:
                from uvicorn.supervisors.multiprocess import Multiprocess

                Multiprocess(config, [listener]).run()
            else:
                uvicorn.Server(config).run([listener])
    _leave()


def listen(address: Address) -> tuple[socket.socket, Address]:
    """A listening socket, and the address with the port that it got.

    Raises ServeError when the port is taken, or the address is not one of this machine.
    """
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise ServeError(
            f"The host {address.host!r} is not known: {error.strerror}.",
            "Give an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them.",
        ) from None
    family, kind, protocol, _, name = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(name)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(address, error) from None
    listener.set_inheritable(True)
    return listener, Address(address.host, listener.getsockname()[1])


def served_app(settings: Settings, *, is_loopback: bool) -> "FastAPI":
    """The application of a process that does nothing else, which is tuned for it."""
    configure_logs(settings.log.format, settings.log.level)
    _pass_on_logs()
    sys.setswitchinterval(SWITCH_SECONDS)
    _allow_connections()
    _end_with_parent()
    from embedding_assets.api.app import create_app

    app = create_app(settings, is_loopback=is_loopback)
    app.state.service.after_warm_up = _settle_memory
    return app


def _config(settings: Settings, address: Address, workers: int) -> "Config":
    from uvicorn import Config

    from embedding_assets.api.protocol import GuardedProtocol

    return Config(
        partial(served_app, settings, is_loopback=address.is_loopback),
        factory=True,
        host=address.host,
        port=address.port,
        workers=workers,
        http=GuardedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(settings.service.drain_seconds),
        # A worker that imports torch holds the interpreter for seconds on busy cores.
        timeout_worker_healthcheck=60,
    )


def _cannot_listen(address: Address, error: OSError) -> ServeError:
    if error.errno == errno.EADDRINUSE:
        return ServeError(
            f"The port {address.port} of {address.host} is taken.",
            "Give another one with --port, or end what listens there.",
        )
    if error.errno == errno.EACCES:
        return ServeError(
            f"The port {address.port} may not be used.", "Give one above 1023 with --port."
        )
    return ServeError(
        f"{address.host}:{address.port} cannot be listened on: {error.strerror}.",
        "Give an address of this machine: 127.0.0.1, or 0.0.0.0 for all of them.",
    )


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """A folder in which several workers put their numbers together."""
    if workers == 1 or os.environ.get(_METRICS_VARIABLE):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="embedding-assets-metrics-") as folder:
        os.environ[_METRICS_VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[_METRICS_VARIABLE]


@contextmanager
def _signals_are_no_failure() -> Iterator[None]:
    """Uvicorn raises the signal that ended it once more, when it is done: that is no failure."""
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(each, lambda *_: None) for each in signals]
    try:
        yield
    finally:
        for each, handler in zip(signals, before, strict=True):
            signal.signal(each, handler)


def _leave() -> None:
    """End now, even though a thread is still at work for a request that was given up."""
    until = time.monotonic() + _LINGER_SECONDS
    others = [
        thread
        for thread in threading.enumerate()
        if thread is not threading.main_thread() and not thread.daemon
    ]
    for thread in others:
        thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _allow_connections() -> None:
    """Raise the limit of open files as far as it goes: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _end_with_parent() -> None:
    """A worker whose parent was killed ends as if it had been told to."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def _settle_memory() -> None:
    """Let the collector pass over what stays for ever: a full collection takes 0.1 s and more."""
    gc.collect()
    gc.freeze()


class _PassOn(logging.Handler):
    """Writes what Uvicorn has to say like everything else in the log."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message, without what an exception quotes."""
        error: Any = record.exc_info[0] if record.exc_info else None
        details = {"error": error.__name__} if error else {}
        _log.log(record.levelno, "server", message=record.getMessage().strip(), **details)


def _pass_on_logs() -> None:
    logger = logging.getLogger("uvicorn")
    logger.handlers = [_PassOn()]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
