"""The picture of a stored document's page with a passage marked, as long as its file is the one
that was read."""

import hashlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from cachetools import LRUCache

from embedding_assets.documents.document import Box
from embedding_assets.documents.draw import PageOrder
from embedding_assets.documents.painter import Painter
from embedding_assets.errors import InputError, NotFoundError
from embedding_assets.search.snapshots import Tombstones, TombstoneState
from embedding_assets.storage.parquet import ParquetTable

MIN_WIDTH, MAX_WIDTH, DEFAULT_WIDTH = 200, 2_000, 1_000
CACHE_BYTES = 64 * 2**20
_HASHES_KEPT = 10_000
_COLUMNS = ["path", "format", "content_sha256", "bytes"]
_CHANGED_MEND = "Wait for the next run over the documents, or start one, and search again."

_Stamp = tuple[int, int, int, int]


class NoPictureError(NotFoundError):
    """The document has no pages that can be drawn: only PDFs have."""


class ChangedDocumentError(InputError):
    """The file is not the one that was read, so that no mark would be in its right place."""


@dataclass(frozen=True)
class StoredPages:
    """The documents whose pages can be drawn.

    folder: the watched one. documents, chunks: as they are stored. tombstones: what was forgotten.
    chunks_digest: what the digest of a document's chunks must be, by the document's own.
    """

    folder: Path
    documents: ParquetTable
    chunks: ParquetTable
    tombstones: Tombstones
    chunks_digest: Callable[[str], str]


class PagePictures:
    """Pictures of pages, the last ones kept in memory; may be shared between threads."""

    def __init__(
        self, pages: StoredPages, painter: Painter, cache_bytes: int = CACHE_BYTES
    ) -> None:
        self._pages = pages
        self._painter = painter
        self._drawn: LRUCache[Any, bytes] = LRUCache(cache_bytes, getsizeof=len)
        self._hashes: LRUCache[tuple[str, _Stamp], str] = LRUCache(_HASHES_KEPT)
        self._forgotten: TombstoneState = None
        self._lock = threading.Lock()

    def picture(
        self, doc_id: str, page: int, chunk_id: str | None = None, width: int = DEFAULT_WIDTH
    ) -> bytes:
        """The page as a PNG file, `width` pixels wide, the passage's boxes on it marked.

        Raises NotFoundError for an unknown or forgotten document, page or passage, NoPictureError
        for a document that is no PDF, ChangedDocumentError when its file is gone or has other
        bytes than those that were read, InputError for a width out of range, PictureError and
        PictureDelayedError when it cannot be drawn.
        """
        if not MIN_WIDTH <= width <= MAX_WIDTH:
            raise InputError(
                f"A picture cannot be {width} pixels wide.",
                f"Ask for {MIN_WIDTH} to {MAX_WIDTH} pixels.",
            )
        forgotten = self._require_remembered(doc_id)
        stored = self._stored(doc_id, page)
        path = self._pages.folder / stored.path
        stamp = self._require_unchanged(stored, path)
        boxes = self._boxes(doc_id, stored.digest, chunk_id) if chunk_id is not None else ()
        key = (doc_id, stamp, page, boxes, width)
        with self._lock:
            known = self._drawn.get(key)
        if known is not None:
            return known
        drawn = self._painter.draw(PageOrder(path, page, boxes, width))
        if _stamp(path) != stamp:
            raise _changed(doc_id)
        if self._require_remembered(doc_id) == forgotten:
            with self._lock:
                if len(drawn) <= self._drawn.maxsize:
                    self._drawn[key] = drawn
        return drawn

    def _require_remembered(self, doc_id: str) -> TombstoneState:
        """The state of the list of forgotten documents, which does not name this one; no picture
        made under another list is kept."""
        tombstones = self._pages.tombstones
        state = tombstones.state()
        with self._lock:
            if state != self._forgotten:
                self._drawn.clear()
                self._forgotten = state
        if state is not None and doc_id in tombstones.ids():
            raise _unknown(doc_id)
        return state

    def _stored(self, doc_id: str, page: int) -> "_Stored":
        footer = self._pages.documents.footer(doc_id)
        if footer is None:
            raise _unknown(doc_id)
        if footer.stats.get("format") != "pdf":
            raise NoPictureError(
                f"The document {doc_id!r} is no PDF, so that its pages have no picture.",
                "Read its text instead.",
            )
        if not 1 <= page <= int(footer.stats["pages"]):
            raise NotFoundError(
                f"The document {doc_id!r} has no page {page}; it has {footer.stats['pages']}.",
                "Ask for one of its pages.",
            )
        [row] = self._pages.documents.dataset([doc_id]).to_table(columns=_COLUMNS).to_pylist()
        return _Stored(doc_id, row["path"], footer.digest, row["content_sha256"], row["bytes"])

    def _require_unchanged(self, stored: "_Stored", path: Path) -> _Stamp:
        """The file's state; its bytes are read once for each state."""
        stamp = _stamp(path)
        if stamp is None or stamp[1] != stored.bytes:
            raise _changed(stored.doc_id)
        key = (stored.path, stamp)
        with self._lock:
            known = self._hashes.get(key)
        if known is None:
            known = _hash_of(path)
            with self._lock:
                self._hashes[key] = known
        if known != stored.content_sha256:
            raise _changed(stored.doc_id)
        return stamp

    def _boxes(self, doc_id: str, digest: str, chunk_id: str) -> tuple[Box, ...]:
        footer = self._pages.chunks.footer(doc_id)
        if footer is None or footer.digest != self._pages.chunks_digest(digest):
            raise ChangedDocumentError(
                f"The document {doc_id!r} was read again, and its passages are not cut yet.",
                _CHANGED_MEND,
            )
        chunks = self._pages.chunks.dataset([doc_id])
        rows = chunks.to_table(columns=["boxes"], filter=pc.field("chunk_id") == chunk_id)
        if not len(rows):
            raise NotFoundError(
                f"The document {doc_id!r} has no passage {chunk_id!r}.",
                "Search again: the document may have changed.",
            )
        return tuple(Box(**box) for box in rows["boxes"][0].as_py() or ())


@dataclass(frozen=True)
class _Stored:
    """A document as it was read. bytes: the size of its file."""

    doc_id: str
    path: str
    digest: str
    content_sha256: str
    bytes: int


def _stamp(path: Path) -> _Stamp | None:
    """Changes with every change of the file: inode, size, and when content and metadata changed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _hash_of(path: Path) -> str:
    try:
        with path.open("rb", buffering=0) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _unknown(doc_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no document {doc_id!r}.", "GET /documents lists those that there are."
    )


def _changed(doc_id: str) -> ChangedDocumentError:
    return ChangedDocumentError(
        f"The file of document {doc_id!r} was changed or removed since it was read.", _CHANGED_MEND
    )
