"""Which model serves, which one is tried beside it, and which ones can be gone back to.

All of it stands in one file that is replaced in one step: whoever reads it sees either all of the
old model's tables and indexes or all of the new one's.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from embedding_assets.errors import StoreDamagedError
from embedding_assets.storage.files import published
from embedding_assets.storage.lock import holder, locked

_EXACT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Seat:
    """A model and the place of all that depends on it.

    model, precision: as the settings name them. fingerprint: empty for a model that was never
    tried. folder: below the data folder; empty for the data folder itself, where the first model's
    tables are.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    model: str
    precision: str = "auto"
    fingerprint: str = ""
    folder: str = ""


@dataclass(frozen=True)
class Challenger:
    """A model that is computed beside the champion.

    source: as it was asked for, perhaps by the registry's name. staged: when all of its tables and
    indexes were complete (UTC, ISO 8601); None before. first: the same, when it was so for the
    first time.
    experiment: whose decision the gates ask for; None when none was wanted.
    left: when it last ceased to serve; None for one that never did.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    seat: Seat
    source: str = ""
    staged: str | None = None
    experiment: str | None = None
    first: str | None = None
    left: str | None = None

    def is_for(self, source: str, fingerprint: str) -> bool:
        """Whether it is what somebody else calls so, or knows by that fingerprint."""
        return source == self.source or fingerprint == self.seat.fingerprint

    def complete(self) -> "Challenger":
        """The same, with all of its tables and indexes."""
        staged = now()
        return replace(self, staged=staged, first=self.first or self.staged or staged)


@dataclass(frozen=True)
class Left:
    """A model that no longer serves, and since when (UTC, ISO 8601).

    served: False for one that was dropped before it ever did; nobody needs it back.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    seat: Seat
    since: str
    served: bool = True


@dataclass(frozen=True)
class Seats:
    """champion: who serves. configured: the model that the settings named when it began to.
    since: when that was; empty for the first one.
    earlier: who can be gone back to, the last one last. retired: whose place is yet to be removed.
    aliased: whether the registry's aliases were made to say the same; while they were not, nobody
    can tell a person's wish from an alias that was left behind.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _EXACT

    champion: Seat
    configured: str
    since: str = ""
    challenger: Challenger | None = None
    earlier: tuple[Left, ...] = ()
    retired: tuple[Left, ...] = ()
    aliased: bool = True

    @property
    def all(self) -> tuple[Seat, ...]:
        """Every seat of which something may be stored, the champion's first."""
        tried = (self.challenger.seat,) if self.challenger else ()
        return (self.champion, *tried, *(left.seat for left in (*self.earlier, *self.retired)))

    def with_challenger(self, challenger: Challenger | None) -> "Seats":
        """Another challenger, or none; the one before it is retired."""
        before, retired = self.challenger, self.retired
        if before and (challenger is None or challenger.seat != before.seat):
            retired = (*retired, Left(before.seat, before.left or now(), before.left is not None))
        if challenger:
            again = [left for left in retired if left.seat == challenger.seat]
            retired = tuple(left for left in retired if left not in again)
            served = [left.since for left in again if left.served]
            challenger = replace(challenger, left=max([*served, challenger.left or ""]) or None)
        return replace(self, challenger=challenger, retired=retired, aliased=False)

    def promoted(self) -> "Seats":
        """The challenger serves; the champion can be gone back to."""
        assert self.challenger is not None
        champion = self.challenger.seat
        earlier = tuple(left for left in self.earlier if left.seat != champion)
        return replace(
            self,
            champion=champion,
            since=now(),
            challenger=None,
            earlier=(*earlier, Left(self.champion, now())),
            aliased=False,
        )

    def rolled_back(self) -> "Seats":
        """The model before the champion serves again; that one is the challenger again, unless a
        third one is tried meanwhile: then it is retired."""
        *earlier, last = self.earlier
        left = Left(self.champion, now())
        is_free = self.challenger is None or self.challenger.seat == last.seat
        return replace(
            self,
            champion=last.seat,
            since=now(),
            challenger=(
                Challenger(left.seat, left=left.since).complete() if is_free else self.challenger
            ),
            earlier=tuple(earlier),
            retired=self.retired if is_free else (*self.retired, left),
            aliased=False,
        )

    def retiring(self, is_old: Callable[[Left], bool]) -> "Seats":
        """The same without going back to models that left too long ago."""
        old = tuple(left for left in self.earlier if is_old(left))
        kept = tuple(left for left in self.earlier if left not in old)
        return replace(self, earlier=kept, retired=(*self.retired, *old))

    def unused(self, is_old: Callable[[Left], bool]) -> tuple[Seat, ...]:
        """The retired seats that nothing else names: of models that never served, and of those that
        left too long ago."""
        tried = (self.challenger.seat,) if self.challenger else ()
        named = {seat.folder for seat in (self.champion, *tried)}
        named |= {left.seat.folder for left in self.earlier}
        named |= {left.seat.folder for left in self.retired if left.served and not is_old(left)}
        retired = {left.seat.folder: left.seat for left in self.retired}
        return tuple(seat for folder, seat in retired.items() if folder not in named)


_SEATS = TypeAdapter(Seats)
SeatsState = tuple[int, int, int] | None


@dataclass(frozen=True)
class SeatsFile:
    """Where the seats of a data folder are written."""

    data_dir: Path
    lock_timeout_seconds: float = 60.0

    @property
    def path(self) -> Path:
        """The file."""
        return self.data_dir / "models" / "seats.json"

    def state(self) -> SeatsState:
        """What changes with the file: cheap enough for every request."""
        try:
            found = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read(self, first: Seat) -> Seats:
        """The seats; `first` alone while no other model was ever tried.

        Raises StoreDamagedError.
        """
        try:
            return _SEATS.validate_json(self.path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return Seats(first, first.model)
        except ValidationError as error:
            raise StoreDamagedError(
                f"{self.path}, which says which model serves, cannot be read: "
                f"{error.errors()[0]['msg']}.",
                "Restore it from a backup.",
            ) from error

    def write(self, seats: Seats) -> None:
        """Replace the file in one step. The caller holds `locked`."""
        with published(self.path) as staged:
            staged.write_text(json.dumps(asdict(seats), indent=2) + "\n", encoding="utf-8")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the file while it is changed, which takes no time: going back to the model before
        never waits for a model that is computed.

        Raises StoreLockedError.
        """
        with locked(self.data_dir / "locks" / "seats.lock", self.lock_timeout_seconds):
            yield

    @contextmanager
    def working(self) -> Iterator[None]:
        """Hold the challenger's place against others who stage, judge or promote; they are told at
        once who does.

        Raises StoreLockedError.
        """
        with locked(self._challenger_lock, 0):
            yield

    @property
    def worker(self) -> str | None:
        """Who holds the challenger's place now, in words; None when nobody does."""
        return holder(self._challenger_lock)

    @property
    def _challenger_lock(self) -> Path:
        return self.data_dir / "locks" / "challenger.lock"


def now() -> str:
    """The moment, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="microseconds")
