"""Files that appear whole or not at all, and errors of the file system with names."""

import errno
import os
import re
import socket
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from upath import UPath

from embedding_assets.errors import (
    DiskFullError,
    EmbeddingAssetsError,
    NotEnoughMemoryError,
    NotWritableError,
)

_STAGED = re.compile(r"^\..+\.(?P<host>[^.]+)\.(?P<pid>\d+)-[0-9a-f]{32}\.tmp(\.wal)?$")
_ABANDONED_SECONDS = 86_400
"""No write takes a day: older staged files of a host that cannot be asked have no writer left."""
_NO_MEMORY = (
    "Out of Memory", "malloc", "bad_alloc", "an't allocate memory", "annot allocate memory",
    "an't start new thread", "failed to map segment",
)  # fmt: skip
"""How DuckDB, Arrow, torch, Python's threads and the linker say that memory ran out."""
_QUERY_LIMIT = re.compile(r"Out of Memory Error: .*\(\S+ \wiB/\S+ \wiB used\)")
"""How DuckDB says that a query met the limit which we set."""
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.ENOENT,
    errno.EEXIST,
}  # fmt: skip


@contextmanager
def published(target: UPath | Path, *, settle: bool = True) -> Iterator[Path]:
    """A local path to write to; what was written stands at `target` when the block ends well.

    On a local disk the file is written beside its target, flushed to the device and renamed; on
    object storage it is put as one object, which is atomic there. On any error nothing changes.
    settle: whether the rename is flushed too; who publishes many files flushes their folder once.

    Raises DiskFullError, NotWritableError, NotEnoughMemoryError.
    """
    local = is_local(target)
    folder = Path(str(target.parent)) if local else _staging_folder()
    with named_errors(target):
        if local and Path(str(target)).is_dir():
            raise IsADirectoryError(errno.EISDIR, "Is a directory", str(target))
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder))
        folder.mkdir(parents=True, exist_ok=True)
        _sweep_once(folder)
        staged = folder / f".{target.name}.{_host()}.{os.getpid()}-{uuid.uuid4().hex}.tmp"
        try:
            yield staged
            flush(staged)
            if local:
                os.replace(staged, str(target))
                if settle:
                    flush(folder)
            else:
                remote = UPath(target)
                remote.fs.put_file(str(staged), remote.path)
        finally:
            staged.unlink(missing_ok=True)


@contextmanager
def named_errors(target: UPath | Path | str) -> Iterator[None]:
    """Turn what the operating system or a library reports into an error that names the mend."""
    try:
        yield
    except EmbeddingAssetsError:
        raise
    except MemoryError as error:
        raise not_enough_memory(str(target)) from error
    except Exception as error:
        named = _named(error, str(target))
        if named is None:
            raise
        raise named from error


def _named(error: Exception, target: str) -> EmbeddingAssetsError | None:
    text = str(error)
    code = error.errno if isinstance(error, OSError) else None
    if code in _FULL or "No space left on device" in text or "File too large" in text:
        return DiskFullError(
            f"No space is left to write {target}; nothing was changed there.",
            "Free space or set EMBEDDING_ASSETS_DATA_DIR to another disk, then run it again.",
        )
    if code in _DENIED and _concerns(error, target):
        return NotWritableError(
            f"{target} cannot be written: {os.strerror(code or 0)}.",
            "Create the folder, change its permissions or choose another path.",
        )
    if _QUERY_LIMIT.search(text):
        return NotEnoughMemoryError(
            f"A query for {target} needs more memory than it may take; nothing was changed there.",
            "Raise EMBEDDING_ASSETS_STORAGE__QUERY_MEMORY_MB, then run it again: finished work is "
            "kept.",
        )
    if code == errno.ENOMEM or any(sign in text for sign in _NO_MEMORY):
        return not_enough_memory(target)
    return None


def _concerns(error: Exception, target: str) -> bool:
    """Whether a file error is about `target` or its folders, not about something read for it."""
    if "://" in target:
        return True
    folder = os.path.dirname(os.path.abspath(target))
    named = getattr(error, "filename", None)
    place = os.path.abspath(named) if named else str(error)
    return folder in place or folder.startswith(place)


def not_enough_memory(task: str) -> NotEnoughMemoryError:
    """The error for a process that met its memory limit while it worked on `task`."""
    return NotEnoughMemoryError(
        f"Memory ran out while working on {task}; nothing was changed there.",
        "Give the process more memory or lower EMBEDDING_ASSETS_STORAGE__QUERY_MEMORY_MB, "
        "then run it again: finished work is kept.",
    )


def flush(path: Path) -> None:
    """Return only when `path`, a file or a folder, is on the device."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@cache
def _sweep_once(folder: Path) -> None:
    """Sweep a folder before this process first writes to it; it may hold many thousand files."""
    sweep(folder)


def sweep(folder: Path) -> None:
    """Remove staged files whose writer is dead; those of other hosts that share the folder, whose
    processes cannot be seen from here, only when they are a day old."""
    for path in folder.glob(".*.tmp*"):
        match = _STAGED.match(path.name)
        if match is None:
            continue
        own = match["host"] == _host()
        if not is_alive(int(match["pid"])) if own else _age(path) > _ABANDONED_SECONDS:
            path.unlink(missing_ok=True)


@cache
def _host() -> str:
    """This host in a few letters that any file name takes: hosts that differ differ in it."""
    from hashlib import sha256

    return sha256(socket.gethostname().encode()).hexdigest()[:12]


def _age(path: Path) -> float:
    """Seconds since the last change of a file; 0 when it is gone."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def file_name(key: str) -> str:
    """A file name for any partition key; keys that differ get names that differ."""
    name = quote(key, safe=" +=@,")
    return name if 0 < len(name) <= 150 and not name.startswith(".") else _hashed(name, key)


def is_local(path: UPath | Path) -> bool:
    """Whether `path` lies on a file system that can rename."""
    return not isinstance(path, UPath) or path.protocol in ("", "file", "local")


def _hashed(name: str, key: str) -> str:
    from hashlib import sha256

    # No quoted key holds a "!", so that no key can take the name of a hashed one.
    return f"{name.lstrip('.')[:80]}!{sha256(key.encode()).hexdigest()[:32]}"


def _staging_folder() -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / "embedding_assets"


def is_alive(pid: int) -> bool:
    """Whether a process of this machine has that id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
