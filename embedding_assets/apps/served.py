"""The version of the app index that answers now, swapped without losing a question."""

import threading
import time
from collections.abc import Callable

import structlog

from embedding_assets.apps.index import AppIndex
from embedding_assets.apps.manifest import damaged
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError, StoreDamagedError
from embedding_assets.search.snapshots import Snapshots

_EMPTY = (
    "Materialize it with all versions: `dagster asset materialize --select 'group:apps' "
    "--partition-range v1...v2 -m embedding_assets.definitions`."
)
_log = structlog.get_logger()
_AGAIN_SECONDS = 30.0
"""After which a version that was refused is tried again: what was in the way may be gone."""


class ServedApps:
    """Opens what is published, at the first question after it was; may be shared by threads.

    While one thread opens a new version the others go on with the old one. A version that cannot
    be read is not served: the old one stays, `trouble` says why, and it is tried again later.
    """

    def __init__(self, snapshots: Snapshots | Callable[[], Snapshots]) -> None:
        """snapshots: a function is asked at each look, as those of another model may take over."""
        self._find = snapshots if callable(snapshots) else lambda: snapshots
        self._index: AppIndex | None = None
        self._refused: tuple[str, float] | None = None  # and when, by `monotonic`
        self._opening = threading.Lock()
        self.trouble: str | None = None
        self.swaps = 0

    def index(self) -> AppIndex:
        """The version that answers.

        Raises NotFoundError while nothing was published; StoreDamagedError, StoreVersionError when
        the first version cannot be read.
        """
        served = self._index
        try:
            name = self._find().current()
        except NotFoundError:
            if served is None:
                raise NotFoundError(
                    f"No index of apps stands in {self._find().folder}.", _EMPTY
                ) from None
            return served
        if served is not None and name == served.manifest.version:
            if self.trouble:
                self.trouble = self._refused = None
            return served
        if served is not None and self._was_just_refused(name):
            return served
        if not self._opening.acquire(blocking=served is None):
            assert served is not None
            return served
        try:
            return self._opened(name)
        finally:
            self._opening.release()

    @property
    def opened(self) -> AppIndex | None:
        """The version that answered last; None before the first question."""
        return self._index

    def _opened(self, name: str) -> AppIndex:
        served = self._index
        if served is not None and served.manifest.version == name:
            return served
        try:
            self._index = self._open(name)
        except EmbeddingAssetsError as error:
            if served is None:
                raise
            self.trouble, self._refused = str(error), (name, time.monotonic())
            return served
        self.trouble = self._refused = None
        self.swaps += 1
        return self._index

    def _was_just_refused(self, name: str) -> bool:
        refused, at = self._refused or (None, 0.0)
        return name == refused and time.monotonic() - at < _AGAIN_SECONDS

    def _open(self, name: str) -> AppIndex:
        """A version, or the one after it when it is swept before it is open."""
        while True:
            try:
                return AppIndex.open(self._find().path(name))
            except (FileNotFoundError, StoreDamagedError) as error:
                latest = self._find().current()
                if latest != name:
                    name = latest
                    continue
                if isinstance(error, StoreDamagedError):
                    raise
                raise NotFoundError(f"The index version {name} is gone.", _EMPTY) from None
            except EmbeddingAssetsError:
                raise
            except Exception as error:
                # Whatever is wrong with a version must not end the one that is served.
                _log.exception("app_index_not_opened", version=name)
                why = f"{type(error).__name__}: {error}"
                raise damaged(self._find().path(name), why) from error
