"""Search in the document index: by meaning, by words, or by both."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from embedding_assets.documents.document import Box
from embedding_assets.embedding.encoder import Encoder, Vectors
from embedding_assets.errors import ModelChangedError
from embedding_assets.search.facets import MOST, Facets, facets_of_index
from embedding_assets.search.filters import NO_FILTERS, Filters, SearchError
from embedding_assets.search.hybrid import DEPTH, fuse, unrelated_cosine
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.manifest import Manifest
from embedding_assets.search.serving import Served, ServedIndex, Trouble
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.search.vectors import Found, Mask


class Mode(StrEnum):
    """How passages are ranked."""

    SEMANTIC = "semantic"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


@dataclass(frozen=True)
class Entity:
    """Something that is named in a passage, and what kind of thing it is."""

    label: str
    text: str


@dataclass(frozen=True)
class Hit:
    """A passage that answers a query.

    score: the cosine for semantic, BM25 for keyword, 0 to 1 for hybrid search.
    pages, boxes: where it stands; () where its format has none.
    category: of its document, None where nothing is said. entities: that stand in the passage.
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
    category: str | None = None
    entities: tuple[Entity, ...] = ()


@dataclass(frozen=True)
class QueryVectors:
    """Queries that are encoded already, so that several askers can share one pass of the model.

    fingerprint: of the encoder. vectors: float32 [q, d], unit length, one for each query.
    """

    fingerprint: str
    vectors: Vectors


@dataclass(frozen=True)
class Answer:
    """The hits of a query, best first, and the version of the index that has them."""

    manifest: Manifest
    hits: list[Hit]


class DocumentSearch:
    """Answers queries from the current version of an index; may be shared between threads.

    A version that is published meanwhile is used from the next search on, and so is every change
    of the tombstone list. One that cannot be opened is left, and `trouble` says why.
    """

    def __init__(
        self,
        snapshots: Snapshots | Callable[[], Snapshots],
        encoder: Callable[[Manifest], Encoder],
        *,
        in_background: bool = False,
        prepare: Callable[[IndexVersion], object] | None = None,
    ) -> None:
        """snapshots: a function is asked before each search, as those of another model may take
        over. encoder: gives the model of an index; called for the first query that needs it, and
        again when an index of another model is published. in_background: no search waits for a new
        version to be opened, so that it is used a moment later. prepare: makes ready what searches
        in a version need before it takes over from another one."""
        self._index = ServedIndex(snapshots, in_background=in_background, prepare=prepare)
        self._open_encoder = encoder
        self._encoder: Encoder | None = None
        self._loading = threading.Lock()

    def search(
        self,
        query: str,
        mode: Mode | str = Mode.HYBRID,
        k: int = 10,
        filters: Filters = NO_FILTERS,
        *,
        vectors: QueryVectors | None = None,
    ) -> list[Hit]:
        """The `k` best passages for `query` among those that meet `filters`, best first.

        vectors: of the query, where it is encoded already.
        Raises SearchError for a blank query, an unknown mode or k below 1, NotFoundError when
        nothing is indexed yet, ModelChangedError when the encoder is not the index's.
        """
        return self.answer(query, mode, k, filters, vectors=vectors).hits

    def answer(
        self,
        query: str,
        mode: Mode | str = Mode.HYBRID,
        k: int = 10,
        filters: Filters = NO_FILTERS,
        *,
        vectors: QueryVectors | None = None,
        served: Served | None = None,
    ) -> Answer:
        """The same, with the version that was searched even where nothing was found.

        served: the version to search, as `self.served` gave it: whoever encodes a query by the
        model of a version searches that one, whatever is published meanwhile.
        """
        _check([query], k)
        served = self._index.again(served) if served else self._index.now()
        wanted = _Wanted(_mode(mode), k, filters)
        [hits] = self._hits(served, [query], wanted, vectors)
        return Answer(served.version.manifest, hits)

    def search_many(
        self,
        queries: Sequence[str],
        mode: Mode | str = Mode.HYBRID,
        k: int = 10,
        filters: Filters = NO_FILTERS,
        *,
        vectors: QueryVectors | None = None,
    ) -> list[list[Hit]]:
        """The answers to several queries, all from one version; quicker than one by one."""
        _check(queries, k)
        return self._hits(self._index.now(), queries, _Wanted(_mode(mode), k, filters), vectors)

    @property
    def manifest(self) -> Manifest:
        """What is known of the version that answers now."""
        return self._index.now().version.manifest

    @property
    def served(self) -> Served:
        """The version that answers now, and what may be shown of it."""
        return self._index.now()

    def facets(self, filters: Filters = NO_FILTERS, most: int = MOST) -> Facets:
        """The categories and entities of all passages that meet `filters`, with their counts; at
        most so many entities. Raises NotFoundError when nothing is indexed yet."""
        return facets_of_index(self._index.now(), filters, most)

    @property
    def trouble(self) -> Trouble | None:
        """Why an older version answers than the one that was published last; None when it does."""
        return self._index.trouble

    def _hits(
        self,
        served: Served,
        queries: Sequence[str],
        wanted: "_Wanted",
        vectors: QueryVectors | None,
    ) -> list[list[Hit]]:
        version = served.version
        allowed = served.allowed_by(wanted.filters)
        encoded = None
        if wanted.mode is not Mode.KEYWORD:
            encoded = self._vectors(version.manifest, queries, vectors)
        found = _ranked(version, wanted, queries, encoded, allowed)
        return [
            [_hit(version, int(row), float(score), wanted.mode) for row, score in pairs]
            for pairs in (zip(rows, scores, strict=True) for rows, scores in found)
        ]

    def _vectors(
        self, manifest: Manifest, queries: Sequence[str], known: QueryVectors | None
    ) -> Vectors:
        if known is None:
            return self._encode(manifest, queries)
        if known.fingerprint != manifest.model.fingerprint:
            raise _other_model(manifest, known.fingerprint)
        if len(known.vectors) != len(queries):
            raise ValueError(f"{len(queries)} queries but {len(known.vectors)} vectors")
        return known.vectors

    def _encode(self, manifest: Manifest, queries: Sequence[str]) -> Vectors:
        with self._loading:
            encoder = self._encoder
            if encoder is None or encoder.fingerprint != manifest.model.fingerprint:
                encoder = self._encoder = self._open_encoder(manifest)
        if encoder.fingerprint != manifest.model.fingerprint:
            raise _other_model(manifest, encoder.fingerprint)
        return encoder.encode(queries).vectors


@dataclass(frozen=True)
class _Wanted:
    """How passages are ranked, how many are wanted, and which of them."""

    mode: Mode
    k: int
    filters: Filters


def _ranked(
    version: IndexVersion,
    wanted: _Wanted,
    queries: Sequence[str],
    vectors: Vectors | None,
    allowed: Mask | None,
) -> list[Found]:
    """The rows for each query with their scores. vectors: None for keyword search alone."""
    k = wanted.k
    if vectors is None:
        return [version.keywords.search(query, k, allowed) for query in queries]
    if wanted.mode is Mode.SEMANTIC:
        return version.vectors.search_many(vectors, k, allowed)
    depth = max(DEPTH, k)
    semantic = version.vectors.search_many(vectors, depth, allowed)
    found = []
    for query, vector, near in zip(queries, vectors, semantic, strict=True):
        worded = version.keywords.search(query, depth, allowed)
        floor = unrelated_cosine(vector, version.vectors.mean)
        found.append(fuse(*near, *worded, k, unrelated=floor))
    return found


def _other_model(manifest: Manifest, fingerprint: str) -> ModelChangedError:
    return ModelChangedError(
        f"The index {manifest.version} holds vectors of {manifest.model.name} "
        f"({manifest.model.fingerprint[:12]}), but queries would be read by another model "
        f"({fingerprint[:12]}).",
        "Set model.name and model.precision back, or build the index with this model: "
        "materialize document_index and what is before it.",
    )


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
        category=document["category"],
        entities=tuple(Entity(**entity) for entity in passage["entities"] or ()),
    )
