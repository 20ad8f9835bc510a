"""What one file may cost, held by the operating system."""

import math
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from embedding_assets.documents.reader import MAX_MB, MEGABYTE

_STATUS = Path("/proc/self/statm")


@dataclass(frozen=True)
class Limits:
    """What one file may cost.

    seconds: of the clock; cpu_seconds: of work, rounded up to whole ones. memory_mb: beyond what
    the process holds already; enforced on Linux. document_mb: of what was read from it, as it
    travels to the parent. file_mb: larger files are refused unread. files_per_worker: after as
    many files a process is replaced, so that leaks of libraries do not add up.
    """

    seconds: float = 300.0
    cpu_seconds: float = 120.0
    memory_mb: int = 1024
    document_mb: int = 256
    file_mb: int = MAX_MB
    files_per_worker: int = 500


@contextmanager
def limited(limits: Limits) -> Iterator[None]:
    """Limits that count from now: what earlier files left behind is not this file's.

    Memory is counted in private writable pages; unlike address space they leave out libraries,
    mapped files and what allocators only reserve.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = math.ceil(used.ru_utime + used.ru_stime + limits.cpu_seconds)
    with ExitStack() as held:
        held.enter_context(_at_most(resource.RLIMIT_CPU, seconds))
        if _STATUS.exists():
            memory = data_bytes() + limits.memory_mb * MEGABYTE
            held.enter_context(_at_most(resource.RLIMIT_DATA, memory))
        yield


def data_bytes() -> int:
    """Private writable memory of this process, as RLIMIT_DATA counts it; 0 off Linux."""
    if not _STATUS.exists():
        return 0
    return int(_STATUS.read_text().split()[5]) * resource.getpagesize()


@contextmanager
def _at_most(limit: int, value: int) -> Iterator[None]:
    """Stricter limits that the process was started under stay."""
    soft, hard = resource.getrlimit(limit)
    value = value if soft == resource.RLIM_INFINITY else min(value, soft)
    resource.setrlimit(limit, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(limit, (soft, hard))
