"""Search in the document index: by meaning, by words, or by both."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from embedding_assets.documents.document import Box
from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.errors import ModelChangedError, NotFoundError, StoreDamagedError
from embedding_assets.search.filters import NO_FILTERS, Filters, SearchError
from embedding_assets.search.hybrid import DEPTH, fuse, unrelated_cosine
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.manifest import Manifest
from embedding_assets.search.snapshots import Snapshots, TombstoneState
from embedding_assets.search.vectors import Found, Mask


class Mode(StrEnum):
    """How passages are ranked."""

    SEMANTIC = "semantic"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Hit:
    """A passage that answers a query.

    score: the cosine for semantic, BM25 for keyword, 0 to 1 for hybrid search.
    pages, boxes: where it stands; () where its format has none.
    model_version, index_version: what found it, so that an answer can be explained later.
    """

    text: str
    score: float
    doc_id: str
    path: str
    title: str | None
    pages: tuple[int, ...]
    boxes: tuple[Box, ...]
    heading_path: tuple[str, ...]
    chunk_id: str
    kind: str
    model_version: str
    index_version: str
    mode: str


@dataclass(frozen=True)
class _Served:
    """An opened version, and which of its rows may be returned after the list of forgotten
    documents in that state."""

    version: IndexVersion
    tombstones: TombstoneState
    allowed: Mask | None


class DocumentSearch:
    """Answers queries from the current version of an index; may be shared between threads.

    A version that is published meanwhile is used from the next search on, and so is every change
    of the tombstone list.
    """

    def __init__(self, snapshots: Snapshots, encoder: Callable[[Manifest], Encoder]) -> None:
        """encoder: gives the model of an index; called for the first query that needs it, and
        again when an index of another model is published."""
        self._snapshots = snapshots
        self._open_encoder = encoder
        self._encoder: Encoder | None = None
        self._served: _Served | None = None
        self._opening = threading.Lock()
        self._loading = threading.Lock()

    def search(
        self,
        query: str,
        mode: Mode | str = Mode.HYBRID,
        k: int = 10,
        filters: Filters = NO_FILTERS,
    ) -> list[Hit]:
        """The `k` best passages for `query` among those that meet `filters`, best first.

        Raises SearchError for a blank query, an unknown mode or k below 1, NotFoundError when
        nothing is indexed yet, ModelChangedError when the encoder is not the index's.
        """
        return self.search_many([query], mode, k, filters)[0]

    def search_many(
        self,
        queries: Sequence[str],
        mode: Mode | str = Mode.HYBRID,
        k: int = 10,
        filters: Filters = NO_FILTERS,
    ) -> list[list[Hit]]:
        """The answers to several queries, all from one version; quicker than one by one."""
        _check(queries, k)
        ranked_by = _mode(mode)
        served = self._serve()
        allowed = _both(served.allowed, served.version.filters.mask(filters))
        found = self._ranked(served.version, list(queries), ranked_by, k, allowed)
        return [
            [_hit(served.version, int(row), float(score), ranked_by) for row, score in pairs]
            for pairs in (zip(rows, scores, strict=True) for rows, scores in found)
        ]

    @property
    def manifest(self) -> Manifest:
        """What is known of the version that answers now."""
        return self._serve().version.manifest

    def _ranked(
        self, version: IndexVersion, queries: list[str], mode: Mode, k: int, allowed: Mask | None
    ) -> list[Found]:
        if mode is Mode.KEYWORD:
            return [version.keywords.search(query, k, allowed) for query in queries]
        vectors = self._encode(version.manifest, queries)
        if mode is Mode.SEMANTIC:
            return version.vectors.search_many(vectors, k, allowed)
        depth = max(DEPTH, k)
        semantic = version.vectors.search_many(vectors, depth, allowed)
        found = []
        for query, vector, near in zip(queries, vectors, semantic, strict=True):
            worded = version.keywords.search(query, depth, allowed)
            floor = unrelated_cosine(vector, version.vectors.mean)
            found.append(fuse(*near, *worded, k, unrelated=floor))
        return found

    def _encode(self, manifest: Manifest, queries: list[str]) -> Vectors:
        with self._loading:
            encoder = self._encoder
            if encoder is None or encoder.fingerprint != manifest.model.fingerprint:
                encoder = self._encoder = self._open_encoder(manifest)
        if encoder.fingerprint != manifest.model.fingerprint:
            raise ModelChangedError(
                f"The index {manifest.version} holds vectors of {manifest.model.name} "
                f"({manifest.model.fingerprint[:12]}), but queries would be read by another model "
                f"({encoder.fingerprint[:12]}).",
                "Set model.name and model.precision back, or build the index with this model: "
                "materialize document_index and what is before it.",
            )
        return encoder.encode(queries).vectors

    def _serve(self) -> _Served:
        """The current version, without the forgotten documents."""
        served = self._served
        name, tombstones = self._snapshots.current(), self._snapshots.tombstones.state()
        listed = served is not None and served.tombstones == tombstones
        if served is not None and listed and served.version.manifest.version == name:
            return served
        # While one thread opens a new version the others go on with the old one; but nobody goes
        # on with an old list of forgotten documents.
        if not self._opening.acquire(blocking=not listed):
            assert served is not None
            return served
        try:
            self._served = self._refreshed(self._served)
            return self._served
        finally:
            self._opening.release()

    def _refreshed(self, served: _Served | None) -> _Served:
        current = self._snapshots.current()
        same = served is not None and served.version.manifest.version == current
        version = served.version if served is not None and same else self._open()
        tombstones = self._snapshots.tombstones.state()  # before the list: never newer than it
        if served is not None and same and served.tombstones == tombstones:
            return served
        allowed = version.filters.without(self._snapshots.tombstones.ids())
        return _Served(version, tombstones, allowed)

    def _open(self) -> IndexVersion:
        """The current version, which may be swept just before it is opened."""
        while True:
            name = self._snapshots.current()
            try:
                version = IndexVersion.open(self._snapshots.path(name))
            except (FileNotFoundError, StoreDamagedError) as error:
                if self._snapshots.current() != name:
                    continue
                if isinstance(error, StoreDamagedError):
                    raise
                raise NotFoundError(
                    f"The index version {name} is gone.", "Build the index again."
                ) from None
            if not version.manifest.rows:
                raise NotFoundError(
                    "The index holds no passage yet.",
                    "Put documents into the watched folder and materialize document_index.",
                )
            return version


def _check(queries: Sequence[str], k: int) -> None:
    if any(not query.strip() for query in queries):
        raise SearchError("The query is empty.", "Write at least one word.")
    if k < 1:
        raise SearchError(f"{k} passages were asked for.", "Ask for at least 1.")


def _mode(mode: Mode | str) -> Mode:
    try:
        return Mode(mode)
    except ValueError:
        raise SearchError(
            f"'{mode}' is no search mode.", f"The modes are {', '.join(Mode)}."
        ) from None


def _both(one: Mask | None, other: Mask | None) -> Mask | None:
    """What both allow; None when that is everything."""
    masks = [mask for mask in (one, other) if mask is not None]
    both = np.logical_and.reduce(masks) if masks else None
    return None if both is None or both.all() else both


def _hit(version: IndexVersion, row: int, score: float, mode: Mode) -> Hit:
    passage: dict[str, Any] = version.passages[row]
    document = version.document_of(row)
    return Hit(
        text=passage["text"],
        score=score,
        doc_id=document["doc_id"],
        path=document["path"],
        title=document["title"],
        pages=tuple(passage["pages"] or ()),
        boxes=tuple(Box(**box) for box in passage["boxes"] or ()),
        heading_path=tuple(passage["heading_path"] or ()),
        chunk_id=passage["chunk_id"],
        kind=passage["kind"],
        model_version=version.manifest.model.version,
        index_version=version.manifest.version,
        mode=mode.value,
    )
