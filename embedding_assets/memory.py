"""Limits of memory that would end the process without a word, told before any work is done."""

import resource

from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import NotEnoughMemoryError

_GB = 1_000_000_000
_LEAST_GB = 4.0
_LEAST_GB_PER_CORE = 0.25
"""Measured peak of address space at a model's first use, with a margin; most of it is reserved,
not resident: libraries, and an arena and a stack for each thread."""


def require_address_space() -> None:
    """Refuse a limit (`ulimit -v`) under which native libraries crash instead of reporting.

    Raises NotEnoughMemoryError.
    """
    allowed, _ = resource.getrlimit(resource.RLIMIT_AS)
    needed = int((_LEAST_GB + _LEAST_GB_PER_CORE * usable_cores()) * _GB)
    if allowed != resource.RLIM_INFINITY and allowed < needed:
        raise NotEnoughMemoryError(
            f"This process may use {allowed / _GB:.1f} GB of address space; "
            f"{needed / _GB:.1f} GB are needed.",
            f"Raise the limit, for example with `ulimit -v {needed // 1000}`; what is used "
            "resident is far less.",
        )
