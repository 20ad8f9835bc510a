"""What a pickle has used up, and what it may not ask for."""

from dataclasses import dataclass
from typing import Any

import numpy as np

_SHORT = (str, bytes, bool, float, type(None))
_WORD = range(-(2**63), 2**64)
_MOST_VALUES = 256


class UnfitError(ValueError):
    """What a pickle asks for is not what any writer of pickles asks for."""


class NotPlainError(ValueError):
    """What a pickle asks for is more than plain data; its text is the name of it."""


class OverdrawnError(ValueError):
    """More than the budget would be used."""


@dataclass
class Ledger:
    """What may still be used. free: bytes of memory. long_keys: keys that are slow to compare.

    Tuples and huge integers of one hash are easily made, and each is then compared with all
    others; texts hash with a secret, and of the other numbers only few share a hash.
    """

    free: int
    long_keys: int = 2000

    def charge(self, size: int) -> None:
        """Counts `size` bytes before they are allocated; raises OverdrawnError."""
        self.free -= size
        if self.free < 0:
            raise OverdrawnError("it unfolds to too much")

    def require_key(self, value: Any) -> None:
        """Refuses what cannot be hashed, and what would take long to hash or to compare."""
        if isinstance(value, _SHORT) or (type(value) is int and value in _WORD):
            return
        if isinstance(value, np.generic) and not isinstance(value, np.complexfloating):
            return
        if not isinstance(value, tuple | frozenset | int | complex | np.complexfloating):
            raise UnfitError(f"a {type(value).__name__} is the key of a dict or in a set")
        _require_short(value)
        self.long_keys -= 1
        if self.long_keys < 0:
            raise OverdrawnError("too many tuples or huge numbers are keys of dicts or in sets")


def _require_short(value: Any) -> None:
    """Counts what is named twice twice, as hashing does."""
    pending, found = [value], 0
    while pending:
        found += 1
        each = pending.pop()
        if isinstance(each, tuple | frozenset):
            found += len(each)
            if found <= _MOST_VALUES:
                pending += each
        if found > _MOST_VALUES:
            raise UnfitError(f"a key of a dict or set holds more than {_MOST_VALUES} values")
    try:
        hash(value)
    except TypeError as error:
        raise UnfitError(f"a key of a dict or set: {error}") from error
