"""Named versions of an index in a folder: built aside, published in one step, kept and swept."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from embedding_assets.errors import NotFoundError, StoreDamagedError, StoreError
from embedding_assets.storage.files import flush, named_errors, published
from embedding_assets.storage.guard import shared
from embedding_assets.storage.lock import locked

_NO_INDEX = "Build it first: run `embedding-assets documents sync`, or materialize document_index."


@dataclass(frozen=True)
class Snapshots:
    """The versions of one index.

    folder: `versions/<name>/` each as it was built, `current` the name of the one that is served,
    `tombstones.json` what no version may return, `building/` unfinished work, `lock`.
    listed: where that list is when it is not there, as it is one for the indexes of all models.
    """

    folder: Path
    lock_timeout_seconds: float = 300.0
    listed: Path | None = None

    def path(self, name: str) -> Path:
        """Where a version stands."""
        return self.folder / "versions" / name

    def names(self) -> list[str]:
        """The versions that exist, oldest first."""
        versions = self.folder / "versions"
        return sorted(path.name for path in versions.iterdir()) if versions.exists() else []

    def current(self) -> str:
        """The version that is served.

        Raises NotFoundError when none was published yet.
        """
        try:
            return (self.folder / "current").read_text().strip()
        except FileNotFoundError:
            raise NotFoundError(f"No index stands in {self.folder}.", _NO_INDEX) from None

    def publish(self, name: str) -> None:
        """Serve a version from now on; readers see it with their next search.

        Raises NotFoundError when it does not exist.
        """
        if not self.path(name).is_dir():
            there = ", ".join(self.names()) or "none"
            raise NotFoundError(
                f"No version '{name}' stands in {self.folder}.", f"Versions there: {there}."
            )
        with published(self.folder / "current") as staged:
            staged.write_text(name + "\n")

    def rollback(self, check: Callable[[Path], object] | None = None) -> str:
        """Serve the version before the current one; its name.

        check: opens a version; what it raises is that the version cannot be served.
        Raises NotFoundError when there is none, StoreDamagedError when it cannot be served: then
        the current one stays.
        """
        with self.locked():
            current = self.current()
            older = [name for name in self.names() if name < current]
            if not older:
                raise NotFoundError(
                    f"No version older than {current} is kept in {self.folder}.",
                    "Build the index again from the version of the data that you want.",
                )
            if check is not None:
                self._require(check, older[-1])
            self.publish(older[-1])
            return older[-1]

    def _require(self, check: Callable[[Path], object], name: str) -> None:
        try:
            check(self.path(name))
        except (OSError, StoreError) as error:
            problem = error.problem if isinstance(error, StoreError) else str(error)
            raise StoreDamagedError(
                f"Version {name} is not served: {problem}",
                f"Remove {self.path(name)} to go back to the version before it, or build the "
                "index again.",
            ) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold this index against other writers; readers never wait."""
        with locked(self.folder / "lock", self.lock_timeout_seconds):
            yield

    @contextmanager
    def building(self, name: str) -> Iterator[Path]:
        """An empty folder to build in, which stands as version `name` when the block ends well.

        It is not published by that. The caller holds the lock, so that whatever else is there was
        left by a writer that died, and is removed.
        Raises DiskFullError, NotWritableError, NotEnoughMemoryError.
        """
        work = self.folder / "building"
        target = self.path(name)
        with named_errors(target):
            shutil.rmtree(work, ignore_errors=True)
            staged = work / name
            staged.mkdir(parents=True)
            target.parent.mkdir(exist_ok=True)
            try:
                yield staged
                _flush_all(staged)
                os.rename(staged, target)
                flush(target.parent)
            finally:
                shutil.rmtree(work, ignore_errors=True)

    def sweep(self, keep: int) -> list[str]:
        """Remove all but the newest `keep` versions, and never the current one; what was removed.

        The caller holds the lock.
        """
        current = self.current()
        names = self.names()
        dropped = [name for name in names[: max(0, len(names) - keep)] if name != current]
        self.remove(dropped)
        return dropped

    def remove(self, names: Iterable[str]) -> None:
        """Remove versions; whoever has one open can search it to the end.

        The caller holds the lock.
        """
        for name in names:
            aside = self.folder / "building" / name
            aside.parent.mkdir(exist_ok=True)
            os.rename(self.path(name), aside)  # no reader opens half a version
            shutil.rmtree(aside)

    @property
    def tombstones(self) -> "Tombstones":
        """What no version may return."""
        return Tombstones(self.listed or self.folder / "tombstones.json")


TombstoneState: TypeAlias = tuple[int, int, int] | None


@dataclass(frozen=True)
class Tombstones:
    """The ids of what was forgotten, with when each was; replaced as a whole file."""

    path: Path

    def state(self) -> TombstoneState:
        """What changes with every change of the list: cheap enough for every search."""
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def ids(self) -> frozenset[str]:
        """The forgotten documents."""
        return frozenset(self.since())

    def since(self) -> dict[str, str]:
        """When each document was forgotten (UTC, ISO 8601).

        Raises StoreDamagedError when the list cannot be read: then nothing may be returned.
        """
        try:
            entries: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, RecursionError) as error:
            raise self._damaged(str(error)) from error
        if not isinstance(entries, dict):
            raise self._damaged("it is no list of ids with times")
        return entries

    def add(self, doc_ids: Iterable[str]) -> None:
        """Forget documents: no search that begins after this returns them."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._locked():
            known = self.since()
            self._write({**dict.fromkeys(doc_ids, now), **known})

    def lift(self, doc_ids: Iterable[str]) -> None:
        """Let documents be found again."""
        lifted = set(doc_ids)
        with self._locked():
            self._write({k: v for k, v in self.since().items() if k not in lifted})

    def unchanged(self) -> AbstractContextManager[None]:
        """Nobody changes the list inside the block; many may hold it so at once."""
        return shared(self.path.with_suffix(".lock"))

    def _damaged(self, why: str) -> StoreDamagedError:
        return StoreDamagedError(
            f"The list of forgotten documents {self.path} cannot be read: {why}.",
            "Restore it from a backup; without it forgotten documents could be returned.",
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Not the lock of the index: forgetting must not wait for a build.
        with locked(self.path.with_suffix(".lock"), 60.0):
            yield

    def _write(self, entries: dict[str, str]) -> None:
        with published(self.path) as staged:
            staged.write_text(json.dumps(entries, indent=0, sort_keys=True), encoding="utf-8")


def _flush_all(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        flush(path)
