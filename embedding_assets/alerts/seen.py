"""What the sensors saw, kept where those can read it who do not know Dagster."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from embedding_assets.storage.files import published


@dataclass(frozen=True)
class CheckSeen:
    """What came of a check when it last ran.

    name: `asset:check`. state: `passed`, `warned`, `failed`, or `missing` when it did not run
    since its asset was made. at: when it ran, in seconds; 0 when it never did. told: the ways by
    which the check itself has told of what it found.
    """

    name: str
    state: str
    blocking: bool
    why: str
    at: float
    told: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """The kind of the alert that tells of it."""
        return f"check_{self.state}"


@dataclass(frozen=True)
class FreshnessSeen:
    """How an asset stands to its freshness policy: `PASS`, `WARN`, `FAIL` or `UNKNOWN`.

    made: when it was last materialized, in seconds; 0 when it never was.
    """

    asset: str
    state: str
    made: float


def write_checks(data_dir: Path, checks: Iterable[CheckSeen], now: float) -> None:
    """Replace what is known of all checks."""
    _write(data_dir / "seen" / "checks.json", [asdict(each) for each in checks], now)


def read_checks(data_dir: Path) -> tuple[float, tuple[CheckSeen, ...]]:
    """When the checks were last looked at, and what came of each; 0 and nothing where that never
    happened, or the file cannot be read."""
    at, rows = _read(data_dir / "seen" / "checks.json")
    try:
        return at, tuple(CheckSeen(**row) for row in rows)
    except TypeError:
        return 0.0, ()


def write_freshness(data_dir: Path, assets: Iterable[FreshnessSeen], now: float) -> None:
    """Replace what is known of the freshness of all assets."""
    _write(data_dir / "seen" / "freshness.json", [asdict(each) for each in assets], now)


def read_freshness(data_dir: Path) -> tuple[float, tuple[FreshnessSeen, ...]]:
    """The same of freshness."""
    at, rows = _read(data_dir / "seen" / "freshness.json")
    try:
        return at, tuple(FreshnessSeen(**row) for row in rows)
    except TypeError:
        return 0.0, ()


def _write(path: Path, rows: list[dict[str, Any]], now: float) -> None:
    with published(path, settle=False) as staged:
        staged.write_text(json.dumps({"at": now, "rows": rows}))


def _read(path: Path) -> tuple[float, list[dict[str, Any]]]:
    try:
        entry = json.loads(path.read_text())
        return float(entry["at"]), [dict(row) for row in entry["rows"]]
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0, []
