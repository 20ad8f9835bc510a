"""Threads that encode: one core each, as many as the process may use."""

import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path


def single_thread_workers(threads: int | None) -> ThreadPoolExecutor:
    """Workers that run torch on one thread each; as many as usable cores by default.

    Threads of OpenMP spin while they wait for one another: on busy cores a short text then takes
    30 times longer. Workers never wait for one another. (torch also applies their setting to
    threads which are started later by others.)
    """
    return ThreadPoolExecutor(threads or usable_cores(), "encoder", initializer=_use_one_thread)


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """torch computes in this thread with so many threads. How many there are decides in which order
    it sums up, and so the last digits: whoever promises the same result twice sets them."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def usable_cores() -> int:
    """The cores this process may use: affinity and, in a container, the CPU quota rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    allowed, period = quota.read_text().split() if quota.exists() else ("max", "1")
    return cores if allowed == "max" else min(cores, math.ceil(int(allowed) / int(period)))
