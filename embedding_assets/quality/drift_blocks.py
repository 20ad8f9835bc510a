"""The days before a window in blocks as long as it, so that units that come again are looked for
equally long on both sides.

In ninety days also those are seen who come once in two months, in seven days few of them: seen for
as long as that, units before the window are other ones than those in it, though nothing changed.
So each unit has one block of its own by its hash, and counts where it was seen in that one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]
Flags: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Blocks:
    """Days and the blocks that they are of; a day in none of them is not looked at.

    count: of the blocks. reason: why there are none; None where there are some.
    """

    block_of: Mapping[date, int]
    count: int
    reason: str | None = None

    @classmethod
    def window(cls, days: Collection[date]) -> "Blocks":
        """One block of all of these days: every unit counts."""
        return cls(dict.fromkeys(days, 0), 1)

    @classmethod
    def before(cls, days: Collection[date], window: Collection[date]) -> "Blocks":
        """As many blocks of as many days each as the window has; both are days with data. The
        earliest ones that fill no block are left out."""
        length = len(set(window))
        ordered = sorted(set(days), reverse=True)
        count = len(ordered) // length if length else 0
        found = {day: place // length for place, day in enumerate(ordered[: count * length])}
        reason = None
        if ordered and length and not count:
            reason = (
                f"too few days to judge: {len(ordered)} before the window have data, "
                f"{length} in it"
            )  # fmt: skip
        return cls(found, count, reason)

    @property
    def days(self) -> list[date]:
        """Those that are looked at, ascending."""
        return sorted(self.block_of)

    def seen(self, units: Hashes, day: date) -> Flags:
        """bool [n]: which of the units, given by their hashes, count when they are seen that
        day."""
        block = self.block_of.get(day)
        if block is None:
            return np.zeros(len(units), dtype=np.bool_)
        return np.asarray(units % np.uint64(self.count) == np.uint64(block))


def common_limit(most: int, *sides: Hashes) -> np.uint64:
    """The largest hash that counts on every side, where each has at most `most` units, those with
    the smallest hashes: a unit beyond it may have been left out of one side only."""
    full = [np.sort(hashes)[most - 1] for hashes in sides if len(hashes) >= most]
    return np.uint64(min(full, default=np.iinfo(np.uint64).max))
