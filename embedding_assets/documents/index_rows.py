"""The rows of the document index, out of what is stored of each document."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.documents.mentions import MENTIONS_CODE, mentions
from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.search.passages import ENTITY
from embedding_assets.search.rows import row_schema
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import digest_of

if TYPE_CHECKING:
    from embedding_assets.search.snapshots import Snapshots

_NANOSECONDS = 10**9


@dataclass(frozen=True)
class StoredDocuments:
    """What is stored of documents, and their files. categories, entities: may hold nothing."""

    documents: ParquetTable
    chunks: ParquetTable
    vectors: ParquetTable
    categories: ParquetTable
    entities: ParquetTable
    entries: Mapping[str, DocumentEntry]

    def digests(self, fingerprint: str) -> dict[str, str]:
        """For each document with vectors of that model, a hash of its rows."""
        found = {}
        for doc_id in self.entries:
            vectors = self.vectors.footer(doc_id)
            chunks = self.chunks.footer(doc_id)
            if chunks and vectors and vectors.stats.get("fingerprint") == fingerprint:
                found[doc_id] = digest_of(chunks.digest, vectors.digest, *self._said(doc_id))
        return found

    def rows(self, doc_ids: Sequence[str], dimension: int) -> Iterator[pa.RecordBatch]:
        """The rows (`row_schema`) of some documents, each document's side by side.

        A chunk and its vector are matched by the chunk's id, which comes from the text: a document
        of which only the chunks were renewed has just those rows whose vector is known.
        """
        schema = row_schema(dimension)
        for doc_id in doc_ids:
            chunks = self.chunks.read(doc_id)
            vectors = self.vectors.read(doc_id)
            entities = mentions(chunks, self._entities(doc_id))
            chunks = chunks.append_column("entities", pa.array(entities, pa.list_(ENTITY)))
            place = pc.index_in(chunks["chunk_id"], vectors["chunk_id"].combine_chunks())
            chunks = chunks.filter(pc.is_valid(place))
            if not len(chunks):
                continue
            vector = vectors["embedding"].take(pc.drop_null(place))
            columns = {name: chunks[name] for name in chunks.schema.names}
            columns |= self._document(doc_id, len(chunks)) | {"vector": vector}
            table = pa.table({field.name: columns[field.name] for field in schema}).cast(schema)
            yield from table.to_batches()

    def _document(self, doc_id: str, rows: int) -> dict[str, pa.Array]:
        columns = ["path", "format", "title"]
        [about] = self.documents.dataset([doc_id]).to_table(columns=columns).to_pylist()
        modified = datetime.fromtimestamp(self.entries[doc_id].modified_ns / _NANOSECONDS, UTC)
        values: dict[str, pa.Scalar] = {
            "doc_id": pa.scalar(doc_id),
            **{name: pa.scalar(about[name], pa.string()) for name in columns},
            "category": pa.scalar(self._category(doc_id), pa.string()),
            "modified": pa.scalar(modified, pa.timestamp("us", "UTC")),
        }
        return {name: pa.repeat(value, rows) for name, value in values.items()}

    def _said(self, doc_id: str) -> list[object]:
        """What tells whether category and entities are the same; nothing where there are none."""
        category, entities = self._category(doc_id), self.entities.footer(doc_id)
        said: list[object] = ["category", category] if category else []
        if entities is None or not entities.rows:
            return said
        return [*said, "entities", MENTIONS_CODE, entities.digest]

    def _category(self, doc_id: str) -> str | None:
        footer = self.categories.footer(doc_id)
        return footer.stats.get("category") if footer else None

    def _entities(self, doc_id: str) -> pa.Table:
        if self.entities.footer(doc_id) is None:
            return pa.table({name: pa.array([], pa.string()) for name in ("label", "text", "page")})
        return self.entities.read(doc_id)


def is_index_stale(snapshots: "Snapshots", wanted: Mapping[str, str]) -> bool:
    """Whether the index that is served holds other documents than `wanted`, by their hashes.

    So it is when a run ended before it was built or published. Not so when a person went back from
    the version that holds them.
    """
    try:
        served = snapshots.current()
    except NotFoundError:
        return bool(wanted)
    if _held(snapshots, served) == wanted:
        return False
    newest = max(snapshots.names(), default=served)
    return _held(snapshots, newest) != wanted or not _was_published(snapshots, newest)


def _held(snapshots: "Snapshots", version: str) -> dict[str, str] | None:
    """The hash of each document's rows in a version; None when that cannot be used."""
    from embedding_assets.search.index import read_documents
    from embedding_assets.search.manifest import INDEX_CODE, damaged, read_manifest
    from embedding_assets.search.whole import require_whole

    folder = snapshots.path(version)
    try:
        manifest = read_manifest(folder)
        if manifest.code != INDEX_CODE:
            return None
        require_whole(folder, manifest.files, damaged)
        held = read_documents(folder)
    except (OSError, pa.ArrowInvalid, StoreDamagedError):
        return None
    ids, digests = (held[name].to_pylist() for name in ("doc_id", "digest"))
    return dict(zip(ids, digests, strict=True))


def _was_published(snapshots: "Snapshots", version: str) -> bool:
    """Whether it was served once; else its writer died just before that."""
    served_since = (snapshots.folder / "current").stat().st_mtime_ns
    return served_since >= snapshots.path(version).stat().st_mtime_ns
