"""What was sent already, so that a thing which fails again and again does not send each time."""

import json
import time
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
    """Whether an alert goes out now, and how many before it were held back since the last one."""

    due: bool
    held_back: int
    reason: str = ""


@dataclass(frozen=True)
class Memory:
    """When each thing was last told, in one small file below the data folder.

    quiet_seconds: the same thing is told once in that time; most_an_hour: so many are tried in all,
    as what is not known to have arrived may have arrived nevertheless. What is
    remembered are hashes, so that nothing of a forgotten document stays. Where the file cannot be
    read or written, everything is sent: too many alerts are better than none.
    """

    data_dir: Path
    quiet_seconds: float
    most_an_hour: int

    def ask(self, key: str, now: float | None = None) -> Verdict:
        """Whether the thing is to be told now; counts it as tried, or as held back."""
        moment = time.time() if now is None else now
        try:
            with locked(self._lock, _LOCK_SECONDS):
                state = self._read(moment)
                verdict = self._verdict(state, key, moment)
                if verdict.due:
                    state["sent"].append(moment)
                else:
                    entry = state["told"].get(key, _NEW)
                    held = {**entry, "held": entry["held"] + 1, "seen": moment}
                    state["told"][key] = held
                self._write(state)
                return verdict
        except (OSError, EmbeddingAssetsError):
            return Verdict(True, 0)

    def told(self, key: str, now: float | None = None) -> None:
        """The thing has been told: to be called only when it reached somebody."""
        moment = time.time() if now is None else now
        try:
            with locked(self._lock, _LOCK_SECONDS):
                state = self._read(moment)
                state["told"][key] = {"at": moment, "held": 0, "seen": moment}
                self._write(state)
        except (OSError, EmbeddingAssetsError):
            return

    def _verdict(self, state: dict[str, Any], key: str, now: float) -> Verdict:
        entry = state["told"].get(key, _NEW)
        held = int(entry["held"])
        if now - entry["at"] < self.quiet_seconds:
            return Verdict(False, held, f"it was told {(now - entry['at']) / 60:.0f} minutes ago")
        if len(state["sent"]) >= self.most_an_hour:
            return Verdict(False, held, f"{len(state['sent'])} alerts were tried within the hour")
        return Verdict(True, held)

    def _read(self, now: float) -> dict[str, Any]:
        """What is still of use: a damaged file, or one of the future, is as good as none."""
        kept = max(self.quiet_seconds, 24 * _HOUR)
        try:
            found = json.loads(self._path.read_text())
            told = {
                str(key): {"at": float(each["at"]), "held": int(each["held"]), "seen": seen}
                for key, each in list(found["told"].items())[-_MOST_KEYS:]
                if now - kept < (seen := float(each["seen"])) <= now
            }
            sent = [float(each) for each in found["sent"] if now - _HOUR < each <= now]
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return {"told": {}, "sent": []}
        return {"told": told, "sent": sent}

    def _write(self, state: dict[str, Any]) -> None:
        with published(self._path, settle=False) as staged:
            staged.write_text(json.dumps(state))

    @property
    def _path(self) -> Path:
        return self.data_dir / "alerts.json"

    @property
    def _lock(self) -> Path:
        return self.data_dir / "locks" / "alerts.lock"
