"""What is wrong over a longer time: told when it begins, and again each day that it stays."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

REMIND_SECONDS = 86_400.0
_WAYS = ("log", "webhook", "email")


@dataclass(frozen=True)
class Standing:
    """Things that were wrong at the last look: by name since when, and when it was told by each way
    (s)."""

    since: Mapping[str, float] = field(default_factory=dict)
    told: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str | None) -> "Standing":
        """As `to_json` wrote it; a text that it did not write is as good as none."""
        try:
            found: dict[str, dict[str, Any]] = json.loads(text or "{}")
            return cls(
                {name: float(each["since"]) for name, each in found.items()},
                {name: _by_way(each["told"]) for name, each in found.items() if each["told"]},
            )
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls()

    def to_json(self) -> str:
        """For a sensor's cursor; the same things give the same text."""
        return json.dumps(
            {
                name: {"since": since, "told": dict(sorted(self.told.get(name, {}).items()))}
                for name, since in sorted(self.since.items())
            }
        )

    def at(self, wrong: set[str], now: float) -> "Standing":
        """The same after another look: what is `wrong` now, and nothing else."""
        return Standing(
            {name: self.since.get(name, now) for name in wrong},
            {name: told for name, told in self.told.items() if name in wrong},
        )

    def due(self, way: str, now: float, after_seconds: float = 0.0) -> set[str]:
        """What is to be told by that way: wrong for that long, and never told or not for a day."""
        return {
            name
            for name, since in self.since.items()
            if now - since >= after_seconds
            and now - self.told.get(name, {}).get(way, -REMIND_SECONDS) >= REMIND_SECONDS
        }

    def telling(self, names: Iterable[str], ways: Iterable[str], now: float) -> "Standing":
        """The same once these were told by those ways."""
        heard = dict.fromkeys(ways, now)
        told = {name: {**self.told.get(name, {}), **heard} for name in names}
        return Standing(self.since, {**self.told, **told})


def _by_way(told: float | Mapping[str, float]) -> dict[str, float]:
    """Of a cursor that an older version wrote, one time stands for all ways."""
    by_way = told if isinstance(told, Mapping) else dict.fromkeys(_WAYS, told)
    return {way: float(at) for way, at in by_way.items()}
