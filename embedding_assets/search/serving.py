"""The version of an index that answers now, swapped for a new one without dropping a search."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import structlog

from embedding_assets.errors import (
    EmbeddingAssetsError,
    NotFoundError,
    StoreDamagedError,
)
from embedding_assets.search.filters import Filters
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.manifest import damaged
from embedding_assets.search.snapshots import Snapshots, TombstoneState
from embedding_assets.search.vectors import Mask

_log = structlog.get_logger()


class IndexGoneError(NotFoundError):
    """The version that was published last has no folder."""


class NothingIndexedError(NotFoundError):
    """The version that was published last holds no passage."""


@dataclass(frozen=True)
class Trouble:
    """Why the version that was published last does not answer: the one before it still does."""

    version: str
    error: EmbeddingAssetsError


@dataclass(frozen=True)
class Served:
    """An opened version, the documents that were forgotten, and which of its rows may therefore be
    returned."""

    version: IndexVersion
    tombstones: TombstoneState
    forgotten: frozenset[str]
    allowed: Mask | None

    def allowed_by(self, filters: Filters) -> Mask | None:
        """The rows that may be returned and meet `filters`; None when that is all."""
        masks = [m for m in (self.allowed, self.version.filters.mask(filters)) if m is not None]
        both = np.logical_and.reduce(masks) if masks else None
        return None if both is None or both.all() else both

    @property
    def documents(self) -> pa.Table:
        """The documents that are not forgotten, as the version holds them."""
        table = self.version.documents
        if self.allowed is None:
            return table
        hidden = pc.is_in(table["doc_id"], pa.array(sorted(self.forgotten), pa.string()))
        return table.filter(pc.invert(hidden))


@dataclass(frozen=True)
class _Published:
    """Which version is the current one. state: changes whenever one is published."""

    name: str
    state: tuple[int, int]


class ServedIndex:
    """The current version of an index; may be shared between threads.

    A version that was published is used from the next look on, and so is every change of the
    tombstone list. One that cannot be opened is left: the version before it goes on answering, and
    `trouble` says why, until another one is published. The version before is kept open, so that
    going back to it takes no time.
    """

    def __init__(
        self,
        snapshots: Snapshots | Callable[[], Snapshots],
        *,
        in_background: bool = False,
        prepare: Callable[[IndexVersion], object] | None = None,
    ) -> None:
        """snapshots: a function is asked at each look, as those of another model may take over.
        in_background: a new version is opened beside the searches, which go on with the old one
        meanwhile; else the next search waits for it.
        prepare: makes ready what searches in a version need, before it takes over from another one;
        when it fails it does not."""
        self._find = snapshots if callable(snapshots) else lambda: snapshots
        self._in_background = in_background
        self._prepare = prepare
        self._served: Served | None = None
        self._before: IndexVersion | None = None
        self._failed: tuple[_Published, Trouble] | None = None
        self._opening = threading.Lock()

    def now(self) -> Served:
        """The current version, without the forgotten documents.

        Raises NotFoundError when nothing is indexed yet, StoreDamagedError when the only version
        or the list of forgotten documents cannot be read.
        """
        served = self._served
        published, tombstones = self._published(), self._find().tombstones.state()
        listed = served is not None and served.tombstones == tombstones
        if served is not None and listed and self._keeps(served, published):
            return served
        # While one thread opens a new version the others go on with the old one; but nobody goes
        # on with an old list of forgotten documents.
        if not self._opening.acquire(blocking=not listed):
            assert served is not None
            return served
        is_handed_over = False
        try:
            if self._in_background and self._served is not None:
                served = self._served = self._allowed(self._served.version, self._served)
                is_handed_over = not self._keeps(served, self._published())
            else:
                served = self._served = self._allowed(self._version(self._served), self._served)
        finally:
            if not is_handed_over:
                self._opening.release()
        if is_handed_over:
            threading.Thread(target=self._open_beside, args=(served,), daemon=True).start()
        return served

    def again(self, served: Served) -> Served:
        """A version that was served a moment ago, without what was forgotten since."""
        if served.tombstones == self._find().tombstones.state():
            return served
        return self._allowed(served.version, None)

    @property
    def trouble(self) -> Trouble | None:
        """Why an older version answers than the one that was published last; None when it does."""
        self.now()
        failed = self._failed
        return failed[1] if failed is not None and failed[0] == self._published() else None

    def _published(self) -> _Published:
        snapshots = self._find()
        name = snapshots.current()
        found = os.stat(snapshots.folder / "current")
        return _Published(name, (found.st_ino, found.st_mtime_ns))

    def _keeps(self, served: Served, published: _Published) -> bool:
        """Whether what is served is the current version, or the current one failed to open."""
        if served.version.manifest.version == published.name:
            return True
        return self._failed is not None and self._failed[0] == published

    def _open_beside(self, served: Served) -> None:
        """Open the current version; holds the lock of opening from before."""
        try:
            self._served = self._allowed(self._version(served), served)
        except EmbeddingAssetsError:
            self._served = None  # the next search meets the reason
        except Exception as error:  # noqa: BLE001  a thread that ends silently tells nobody
            _log.error("index_not_opened", error=repr(error))
            self._served = None
        finally:
            self._opening.release()

    def _allowed(self, version: IndexVersion, served: Served | None) -> Served:
        """A version under the list of forgotten documents as it is now."""
        listed = self._find().tombstones
        tombstones = listed.state()  # before the list: never newer than it
        if served is not None and served.version is version and served.tombstones == tombstones:
            return served
        forgotten = listed.ids()
        return Served(version, tombstones, forgotten, version.filters.without(forgotten))

    def _version(self, served: Served | None) -> IndexVersion:
        """The current version; the one before it when that cannot be opened."""
        published = self._published()
        if served is not None and self._keeps(served, published):
            return served.version
        try:
            version = self._open()
        except EmbeddingAssetsError as error:
            if served is None or isinstance(error, NothingIndexedError):
                raise
            self._failed = published, Trouble(published.name, error)
            return served.version
        self._failed = None
        if served is not None:
            self._before = served.version
        return version

    def _open(self) -> IndexVersion:
        """The current version, which may be swept just before it is opened."""
        while True:
            snapshots = self._find()
            name = snapshots.current()
            if self._before is not None and self._before.manifest.version == name:
                return self._before
            try:
                version = IndexVersion.open(snapshots.path(name))
                # The first one is opened for somebody who waits, perhaps for keywords alone.
                if self._prepare is not None and self._served is not None and version.manifest.rows:
                    self._prepare(version)
            except (FileNotFoundError, StoreDamagedError) as error:
                if self._find().current() != name:
                    continue
                if isinstance(error, StoreDamagedError):
                    raise
                raise IndexGoneError(
                    f"The index version {name} is gone.", "Build the index again."
                ) from None
            except EmbeddingAssetsError:
                raise
            except Exception as error:
                # Whatever is wrong with a version must not end the one that is served.
                _log.exception("index_not_opened", version=name)
                why = f"{type(error).__name__}: {error}"
                raise damaged(snapshots.path(name), why) from error
            if not version.manifest.rows:
                raise NothingIndexedError(
                    "The index holds no passage yet.",
                    "Put documents into the watched folder and materialize document_index.",
                )
            return version
