"""A lock between processes that its holder's death releases."""

import fcntl
import itertools
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from embedding_assets.errors import StoreLockedError

_POLL_SECONDS = 0.05
_HOLD_SECONDS = 5.0


@contextmanager
def locked(path: Path, timeout_seconds: float) -> Iterator[None]:
    """Hold the operating system's lock on `path` for the block; wait for another holder first.

    Raises StoreLockedError, which names the holder, when it did not let go in time.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, timeout_seconds)
        _sign(descriptor)
        yield
    finally:
        os.close(descriptor)


def hold(path: Path) -> int:
    """Take the lock on `path` and keep it until this process ends; the descriptor, whose closing
    lets it go before.

    Raises StoreLockedError when another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        _acquire(descriptor, path, _HOLD_SECONDS)
        _sign(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def signer(path: Path) -> int | None:
    """The id of the process that took the lock on `path` last, by its own count; None when none
    ever did."""
    try:
        return int(json.loads(path.read_text())["pid"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def holder(path: Path) -> str | None:
    """Who holds the lock on `path` now, in words; None when it is free."""
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # others remove locks meanwhile
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_holder(path)
    finally:
        os.close(descriptor)
    return None


def _acquire(descriptor: int, path: Path, timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                held_by = _read_holder(path)
                raise StoreLockedError(
                    f"{path} was not released within {timeout_seconds:g} s by {held_by}.",
                    "Wait for that process or end it, then run this again.",
                ) from None
            time.sleep(_POLL_SECONDS)


def _sign(descriptor: int) -> None:
    entry = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": _command(sys.argv),
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(entry).encode(), 0)


def _command(words: list[str]) -> str:
    """The command without its options: the file stays, and they may name what was forgotten."""
    plain = itertools.takewhile(lambda word: not word.startswith("-"), words)
    return " ".join(itertools.islice(plain, 3))[:200]


def _read_holder(path: Path) -> str:
    try:
        entry = json.loads(path.read_text())
        return (
            f"process {entry['pid']} on {entry['host']} ({entry['command']}) since {entry['since']}"
        )
    except (FileNotFoundError, ValueError, KeyError):
        return "a process that is just starting or ending"
