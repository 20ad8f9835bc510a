"""What was sent already, so that a thing which fails again and again does not send each time."""

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.storage.files import published
from embedding_assets.storage.lock import locked

_HOUR = 3_600
_LOCK_SECONDS = 5.0
_MOST_KEYS = 1_000
_NEW = {"at": 0.0, "held": 0, "seen": 0.0}


@dataclass(frozen=True)
class Verdict:
    """Whether an alert goes out now, and how many before it were held back since the last one.

    told: whether it does not because the same thing was told lately.
    """

    due: bool
    held_back: int
    reason: str = ""
    told: bool = False


@dataclass(frozen=True)
class Memory:
    """When each thing was last told by one way, in one small file for all ways below the data
    folder.

    quiet_seconds: the same thing is told once in that time; most_an_hour: so many are tried, as
    what is not known to have arrived may have arrived nevertheless. What is remembered are hashes,
    so that nothing of a forgotten document stays. Where the file cannot be read or written,
    everything is sent: too many alerts are better than none.
    """

    data_dir: Path
    way: str
    quiet_seconds: float
    most_an_hour: int

    def ask(self, key: str) -> Verdict:
        """Whether the thing is to be told now; counts it as tried, or as held back."""
        try:
            with locked(self._lock, _LOCK_SECONDS):
                moment = time.time()  # what others wrote before is not of the future
                state = self._read(moment)
                mine = state[self.way]
                verdict = self._verdict(mine, key, moment)
                if verdict.due:
                    mine["sent"].append(moment)
                else:
                    entry = mine["told"].get(key, _NEW)
                    held = {**entry, "held": entry["held"] + 1, "seen": moment}
                    mine["told"][key] = held
                self._write(state)
                return verdict
        except (OSError, EmbeddingAssetsError):
            return Verdict(True, 0)

    def told(self, key: str) -> None:
        """The thing has been told: to be called only when it arrived."""
        try:
            with locked(self._lock, _LOCK_SECONDS):
                moment = time.time()
                state = self._read(moment)
                state[self.way]["told"][key] = {"at": moment, "held": 0, "seen": moment}
                self._write(state)
        except (OSError, EmbeddingAssetsError):
            return

    def _verdict(self, mine: dict[str, Any], key: str, now: float) -> Verdict:
        entry = mine["told"].get(key, _NEW)
        held, minutes = int(entry["held"]), (now - entry["at"]) / 60
        if minutes * 60 < self.quiet_seconds:
            return Verdict(False, held, f"it was told {minutes:.0f} minutes ago", told=True)
        if len(mine["sent"]) >= self.most_an_hour:
            return Verdict(False, held, f"{len(mine['sent'])} alerts were tried within the hour")
        return Verdict(True, held)

    def _read(self, now: float) -> dict[str, dict[str, Any]]:
        """What is still of use, by way: a damaged file, one of the future, or one of an older
        version is as good as none."""
        state: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            found = json.loads(self._path.read_text())
            state = {str(way): self._of_use(each, now) for way, each in found.items()}
        state.setdefault(self.way, {"told": {}, "sent": []})
        return state

    def _of_use(self, found: dict[str, Any], now: float) -> dict[str, Any]:
        kept = max(self.quiet_seconds, 24 * _HOUR)
        told = {
            str(key): {"at": float(each["at"]), "held": int(each["held"]), "seen": seen}
            for key, each in list(found["told"].items())[-_MOST_KEYS:]
            if now - kept < (seen := float(each["seen"])) <= now
        }
        sent = [float(each) for each in found["sent"] if now - _HOUR < each <= now]
        return {"told": told, "sent": sent}

    def _write(self, state: dict[str, dict[str, Any]]) -> None:
        with published(self._path, settle=False) as staged:
            staged.write_text(json.dumps(state))

    @property
    def _path(self) -> Path:
        return self.data_dir / "alerts.json"

    @property
    def _lock(self) -> Path:
        return self.data_dir / "locks" / "alerts.lock"
