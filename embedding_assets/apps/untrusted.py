"""What may be wrong with a pickle from outside, and what reading it may cost."""

from dataclasses import dataclass

from embedding_assets.errors import InputError

MEGABYTE = 2**20
MEND = "Save it as a dict of lists or of NumPy arrays of numbers."


class PickleError(InputError):
    """A pickle cannot be used."""


class RefusedPickleError(PickleError):
    """The pickle names something that is neither plain data nor a NumPy array; it was not run."""


class DamagedPickleError(PickleError):
    """The pickle is truncated or not well formed."""


class LargePickleError(PickleError):
    """The pickle is larger, deeper or unfolds to more than is allowed."""


@dataclass(frozen=True)
class PickleLimits:
    """What one pickle may cost.

    file_mb: larger files are refused unread. memory_mb: of all that is made from it, reckoned
    from above before it is made; also of what it holds when everything that it names twice is
    counted twice. opcodes: instructions of the file. depth: containers in containers.
    """

    file_mb: int = 1024
    memory_mb: int = 4096
    opcodes: int = 100_000_000
    depth: int = 64


LIMITS = PickleLimits()
