"""Which units take part in an experiment, and in which variant: by salted hashes, so that no
assignment has to be stored and every process gives the same one."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import accumulate

from embedding_assets.experiments.plan import SLOTS

Slots = tuple[tuple[int, int], ...]
"""Slots of a layer as ranges (first, behind the last), ascending, within 0 to SLOTS."""

_BITS = 64


@dataclass(frozen=True)
class Assigner:
    """The variant of any unit, in a few microseconds.

    layer_key: equal for all experiments of a layer, which therefore share out its units.
    variant_key: the experiment's own, so that its variants are independent of all other hashes.
    bounds: see `bounds_of`.
    """

    layer_key: bytes
    slots: Slots
    variant_key: bytes
    bounds: tuple[int, ...]

    def variant(self, unit: str) -> int | None:
        """The number of the unit's variant; None when the unit takes no part."""
        if self.slots != _WHOLE:
            slot = _hash(self.layer_key, b"layer", unit) * SLOTS >> _BITS
            if not any(first <= slot < behind for first, behind in self.slots):
                return None
        return bisect_right(self.bounds, _hash(self.variant_key, b"variant", unit))


_WHOLE: Slots = ((0, SLOTS),)


def bounds_of(weights: Sequence[int]) -> tuple[int, ...]:
    """Where the hashes of one variant end and the next one's begin: exact to one part in 2**64."""
    sums = list(accumulate(weights))
    return tuple((done << _BITS) // sums[-1] for done in sums[:-1])


def unit_key(salt: bytes, unit: str) -> int:
    """What is stored in place of a unit: 64 bits, signed, that say nothing without the salt."""
    digest = blake2b(_bytes(unit), digest_size=8, key=salt, person=b"unit").digest()
    return int.from_bytes(digest, "big", signed=True)


def outcome_key(salt: bytes, outcome: str) -> bytes:
    """What is stored in place of an outcome's id: 128 bits."""
    return blake2b(_bytes(outcome), digest_size=16, key=salt, person=b"outcome").digest()


def reserve(count: int, taken: Iterable[Slots], own: Slots = ()) -> Slots | None:
    """`count` slots that contain all of `own` and none of `taken`; None when too few are free.

    own: at most `count` slots; a unit that is in stays in.
    """
    needed = count - size(own)
    chosen = list(own)
    for first, behind in _gaps([*taken, own]):
        part = min(needed, behind - first)
        if part > 0:
            chosen.append((first, first + part))
            needed -= part
    return None if needed else _joined(chosen)


def size(slots: Slots) -> int:
    """How many slots these are."""
    return sum(behind - first for first, behind in slots)


def _gaps(taken: Iterable[Slots]) -> Iterable[tuple[int, int]]:
    end = 0
    for first, behind in sorted(part for slots in taken for part in slots):
        if first > end:
            yield end, first
        end = max(end, behind)
    if end < SLOTS:
        yield end, SLOTS


def _joined(ranges: Iterable[tuple[int, int]]) -> Slots:
    joined: list[tuple[int, int]] = []
    for first, behind in sorted(ranges):
        if joined and joined[-1][1] == first:
            joined[-1] = (joined[-1][0], behind)
        else:
            joined.append((first, behind))
    return tuple(joined)


def _hash(key: bytes, purpose: bytes, unit: str) -> int:
    digest = blake2b(_bytes(unit), digest_size=8, key=key, person=purpose).digest()
    return int.from_bytes(digest, "big")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
