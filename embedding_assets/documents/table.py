"""Documents and chunks as rows of Arrow tables, and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import pyarrow as pa

from embedding_assets.documents.chunk import Chunk
from embedding_assets.documents.document import Block, Box, Document, Kind, Page

Row: TypeAlias = Mapping[str, Any]


def box_type(number: pa.DataType) -> pa.DataType:
    """The type of a box in rows: its page, and its sides as numbers of that type."""
    sides = [pa.field(side, number) for side in ("left", "top", "right", "bottom")]
    return pa.struct([pa.field("page", pa.int32()), *sides])


_PAGE = pa.struct(
    [
        pa.field("number", pa.int32()),
        pa.field("width", pa.float64()),
        pa.field("height", pa.float64()),
        pa.field("characters", pa.int32()),
        pa.field("has_image", pa.bool_()),
    ]
)
_BLOCK = pa.struct(
    [
        pa.field("kind", pa.string()),
        pa.field("text", pa.string()),
        pa.field("level", pa.int32()),
        pa.field("marker", pa.string()),
        pa.field("pages", pa.list_(pa.int32())),
        pa.field("boxes", pa.list_(box_type(pa.float64()))),
    ]
)

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("format", pa.string()),
        pa.field("title", pa.string()),
        pa.field("language", pa.string()),
        pa.field("page_count", pa.int32()),
        pa.field("pages", pa.list_(_PAGE)),
        pa.field("blocks", pa.list_(_BLOCK)),
        pa.field("content_sha256", pa.string()),
        pa.field("bytes", pa.int64()),
    ]
)

CHUNK_SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string()),
        pa.field("doc_id", pa.string()),
        pa.field("position", pa.int32()),
        pa.field("text", pa.string()),
        pa.field("heading_path", pa.list_(pa.string())),
        pa.field("kind", pa.string()),
        pa.field("pages", pa.list_(pa.int32())),
        pa.field("boxes", pa.list_(box_type(pa.float32()))),
        pa.field("tokens", pa.int32()),
    ]
)


@dataclass(frozen=True)
class StoredDocument:
    """A document as it is kept: what was read, and from which file.

    path: of the file below the watched folder.
    content_sha256: hex, of the file's bytes. bytes: how many.
    """

    doc_id: str
    path: str
    document: Document
    content_sha256: str
    bytes: int


def documents_to_batch(stored: Sequence[StoredDocument]) -> pa.RecordBatch:
    """One row per document (DOCUMENT_SCHEMA)."""
    return pa.RecordBatch.from_pylist([_document_row(each) for each in stored], DOCUMENT_SCHEMA)


def documents_from(rows: pa.RecordBatch | pa.Table) -> list[StoredDocument]:
    """The documents of rows of DOCUMENT_SCHEMA, exactly as they were."""
    return [_document(row) for row in rows.to_pylist()]


def chunks_to_batch(chunks: Sequence[Chunk]) -> pa.RecordBatch:
    """One row per chunk (CHUNK_SCHEMA)."""
    return pa.RecordBatch.from_pylist([_chunk_row(chunk) for chunk in chunks], CHUNK_SCHEMA)


def chunks_from(rows: pa.RecordBatch | pa.Table) -> list[Chunk]:
    """The chunks of rows of CHUNK_SCHEMA, as they were but for the boxes' rounding to float32."""
    columns = rows.select(CHUNK_SCHEMA.names)
    return [_chunk(row) for row in columns.to_pylist()]


def _document_row(stored: StoredDocument) -> Row:
    document = stored.document
    return {
        "doc_id": stored.doc_id,
        "path": stored.path,
        "format": document.format,
        "title": document.title,
        "language": document.language,
        "page_count": len(document.pages),
        "pages": [vars(page) for page in document.pages],
        "blocks": [{**vars(block), "boxes": _box_rows(block.boxes)} for block in document.blocks],
        "content_sha256": stored.content_sha256,
        "bytes": stored.bytes,
    }


def _document(row: Row) -> StoredDocument:
    document = Document(
        format=row["format"],
        blocks=tuple(_block(block) for block in row["blocks"]),
        pages=tuple(Page(**page) for page in row["pages"]),
        title=row["title"],
        language=row["language"],
    )
    return StoredDocument(row["doc_id"], row["path"], document, row["content_sha256"], row["bytes"])


def _block(row: Row) -> Block:
    return Block(
        **{
            **row,
            "kind": Kind(row["kind"]),
            "pages": tuple(row["pages"]),
            "boxes": _boxes(row["boxes"]),
        }
    )


def _chunk_row(chunk: Chunk) -> Row:
    return {**vars(chunk), "boxes": _box_rows(chunk.boxes)}


def _chunk(row: Row) -> Chunk:
    return Chunk(
        **{
            **row,
            "kind": Kind(row["kind"]),
            "heading_path": tuple(row["heading_path"]),
            "pages": tuple(row["pages"]),
            "boxes": _boxes(row["boxes"]),
        }
    )


def _box_rows(boxes: Iterable[Box]) -> list[Row]:
    return [vars(box) for box in boxes]


def _boxes(rows: Iterable[Row]) -> tuple[Box, ...]:
    return tuple(Box(**row) for row in rows)
