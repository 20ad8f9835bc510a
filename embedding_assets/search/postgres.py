"""Documents' passages with their vectors in PostgreSQL: written once, replaced whole, deleted."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.errors import NotFoundError, SchemaError
from embedding_assets.search.postgres_index import ensure_index
from embedding_assets.search.postgres_server import (
    Connection,
    PostgresTarget,
    connected,
    exclusive,
    transaction,
)
from embedding_assets.search.postgres_tables import (
    COLUMNS,
    PublishedModel,
    has_models,
    make_live,
    prepare,
    remove,
)
from embedding_assets.storage.parquet import ParquetTable

Row: TypeAlias = tuple[Any, ...]

_LAYOUT = "1"
"""Changes whenever the same passages would become other rows."""
_GROUP_PASSAGES = 2_000
_GROUP_DOCUMENTS = 500
_TYPES = ("text", "text", "int4", "text", "text[]", "text", "int4[]", "jsonb", "int4", "bytea")
_CHUNK = list(COLUMNS[:-1])
_DECIMALS = 3
"""Of a box's sides, in points: float32 holds no more on a page of poster size."""


@dataclass(frozen=True)
class DocumentTables:
    """Passages and their vectors, each partitioned by document."""

    chunks: ParquetTable
    vectors: ParquetTable


@dataclass(frozen=True)
class Published:
    """What publishing came to.

    documents_waiting: those left as they were, as their chunks and vectors are not of one text,
        or not there; they are in order again when their vectors are computed.
    rows: the passages that the model's table now holds.
    """

    documents_written: int
    documents_unchanged: int
    documents_deleted: int
    documents_waiting: int
    rows: int


@dataclass(frozen=True)
class _Document:
    doc_id: str
    digest: str
    rows: list[Row]


def publish(
    target: PostgresTarget, tables: DocumentTables, model: PublishedModel, keep: Iterable[str]
) -> Published:
    """Let PostgreSQL hold the passages of the documents in `keep`, and of no other.

    A document is replaced whole or not at all, and not touched when it is there already. Other
    publishers may be at work. A new model gets a table of its own, which becomes the live one
    only when all is in it. Character 0, which PostgreSQL refuses, becomes U+FFFD.
    Memory is bounded by a group of documents, or the largest one.
    Raises what `connected` raises, PostgresExtensionError, SchemaError when the vectors are not of
    the model's dimension, StoreDamagedError.
    """
    kept = sorted(set(keep))
    with connected(target) as connection:
        prepare(connection, target, model)
        deleted = _delete_others(connection, target, kept)
        seen: Counter[str] = Counter()
        for group in _groups(tables, kept, _digests(connection, target, model), seen):
            with exclusive(connection, target.schema):
                seen += _replace(connection, tables, model, group)
        make_live(connection, target, model)
        ensure_index(connection, target, model)
        rows = _count(connection, target, model)
    return Published(seen["written"], seen["unchanged"], deleted, seen["waiting"], rows)


def forget_document(target: PostgresTarget, doc_id: str) -> int:
    """Delete a document under every model; how many passages went.

    When this returns no search finds it, and no publisher that was at work brings it back, if its
    Parquet partitions were removed before. 0 when it was never there.
    Raises what `connected` raises.
    """
    with connected(target) as connection, exclusive(connection, target.schema):
        return remove(connection, [doc_id]) if has_models(connection) else 0


def _delete_others(connection: Connection, target: PostgresTarget, kept: Sequence[str]) -> int:
    with exclusive(connection, target.schema):
        found = connection.execute("SELECT DISTINCT doc_id FROM documents").fetchall()
        gone = sorted({doc_id for (doc_id,) in found}.difference(kept))
        if gone:
            remove(connection, gone)
    return len(gone)


def _digests(
    connection: Connection, target: PostgresTarget, model: PublishedModel
) -> dict[str, str]:
    with transaction(connection, target.schema):
        query = "SELECT doc_id, digest FROM documents WHERE fingerprint = %s"
        return dict(connection.execute(query, [model.fingerprint]).fetchall())


def _groups(
    tables: DocumentTables, kept: Sequence[str], known: dict[str, str], seen: Counter[str]
) -> Iterator[list[str]]:
    """The documents that are not published as they are stored, a few thousand passages at a time;
    the others are counted in `seen`."""
    group: list[str] = []
    passages = 0
    for doc_id in kept:
        footer = tables.vectors.footer(doc_id)
        if footer is None:
            seen["waiting"] += 1
        elif known.get(doc_id) == _LAYOUT + footer.digest:
            seen["unchanged"] += 1
        else:
            group.append(doc_id)
            passages += footer.rows
        if passages >= _GROUP_PASSAGES or len(group) >= _GROUP_DOCUMENTS:
            yield group
            group, passages = [], 0
    if group:
        yield group


def _replace(
    connection: Connection, tables: DocumentTables, model: PublishedModel, group: Sequence[str]
) -> Counter[str]:
    """Replace the documents of a group under the lock, and only there read them: so a forgotten
    document is not brought back, nor an older state written over a newer one."""
    query = "SELECT doc_id, digest FROM documents WHERE fingerprint = %s AND doc_id = ANY(%s)"
    rows = connection.execute(query, [model.fingerprint, list(group)]).fetchall()
    known: dict[str, str] = dict(rows)
    seen: Counter[str] = Counter()
    ready = []
    for doc_id in group:
        document = _read(tables, doc_id, model.dimension)
        if document is None:
            seen["waiting"] += 1
        elif known.get(doc_id) == document.digest:
            seen["unchanged"] += 1
        else:
            ready.append(document)
    if ready:
        _write(connection, model, ready)
    return seen + Counter(written=len(ready))


def _write(connection: Connection, model: PublishedModel, documents: Sequence[_Document]) -> None:
    from psycopg.sql import SQL, Identifier

    names = [document.doc_id for document in documents]
    table = Identifier(model.table)
    connection.execute(SQL("DELETE FROM {} WHERE doc_id = ANY(%s)").format(table), [names])
    columns = SQL(", ").join(Identifier(name) for name in COLUMNS)
    copying = SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(table, columns)
    with connection.cursor() as cursor, cursor.copy(copying) as copy:
        copy.set_types(_TYPES)
        for document in documents:
            for row in document.rows:
                copy.write_row(row)
    connection.execute(
        "INSERT INTO documents (fingerprint, doc_id, digest, passages) "
        "SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::int[]) "
        "ON CONFLICT (fingerprint, doc_id) "
        "DO UPDATE SET digest = excluded.digest, passages = excluded.passages",
        [
            model.fingerprint,
            names,
            [document.digest for document in documents],
            [len(document.rows) for document in documents],
        ],
    )


def _read(tables: DocumentTables, doc_id: str, dimension: int) -> _Document | None:
    """A document as rows of COLUMNS; None when chunks and vectors are not of one text.

    The digest is read before the rows: were they replaced in between, it is the older one, and
    the next publisher writes the document again.
    """
    footer = tables.vectors.footer(doc_id)
    if footer is None:
        return None
    try:
        chunks = _rows(tables.chunks, doc_id, _CHUNK)
        vectors = _rows(tables.vectors, doc_id, ["chunk_id", "embedding"])
    except (NotFoundError, FileNotFoundError):
        return None
    places = pc.index_in(chunks["chunk_id"], value_set=vectors["chunk_id"])
    if len(chunks) != len(vectors) or places.null_count or len(pc.unique(places)) != len(chunks):
        return None
    embeddings = _embeddings(vectors["embedding"].take(places), dimension, doc_id)
    rows = zip(chunks.to_pylist(), embeddings, strict=True)
    return _Document(doc_id, _LAYOUT + footer.digest, [_row(*row) for row in rows])


def _rows(table: ParquetTable, doc_id: str, columns: list[str]) -> pa.Table:
    """Small files are read faster without pyarrow's threads."""
    return table.dataset([doc_id]).to_table(columns=columns, use_threads=False)


def _embeddings(column: pa.ChunkedArray, dimension: int, doc_id: str) -> list[bytes]:
    """The vectors as pgvector reads them: the dimension and a zero, each int16, then float32, all
    in network byte order (pgvector, `vector_recv`)."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    if len(flat) != len(column) * dimension:
        raise SchemaError(
            f"The vectors of document {doc_id} have not {dimension} components each.",
            "Materialize doc_vectors with this model before it is published.",
        )
    head = np.array([dimension, 0], dtype=">u2").tobytes()
    return [head + vector.tobytes() for vector in flat.astype(">f4").reshape(-1, dimension)]


def _row(chunk: dict[str, Any], embedding: bytes) -> Row:
    from psycopg.types.json import Jsonb

    boxes = [
        {side: round(value, _DECIMALS) for side, value in box.items()} for box in chunk["boxes"]
    ]
    return (
        chunk["doc_id"],
        chunk["chunk_id"],
        chunk["position"],
        _storable(chunk["text"]),
        [_storable(heading) for heading in chunk["heading_path"]],
        chunk["kind"],
        chunk["pages"],
        Jsonb(boxes),
        chunk["tokens"],
        embedding,
    )


def _storable(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


def _count(connection: Connection, target: PostgresTarget, model: PublishedModel) -> int:
    query = "SELECT coalesce(sum(passages), 0) FROM documents WHERE fingerprint = %s"
    with transaction(connection, target.schema):
        return int(connection.execute(query, [model.fingerprint]).fetchall()[0][0])
