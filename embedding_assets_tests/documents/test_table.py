from dataclasses import replace

import pyarrow as pa

from embedding_assets.documents.chunk import Chunk
from embedding_assets.documents.document import Block, Box, Document, Kind, Page
from embedding_assets.documents.table import (
    CHUNK_SCHEMA,
    DOCUMENT_SCHEMA,
    StoredDocument,
    chunks_from,
    chunks_to_batch,
    documents_from,
    documents_to_batch,
)

BOX = Box(3, 72.0, 90.5, 300.25, 110.0)
CHUNK = Chunk(
    chunk_id="0f",
    doc_id="menus/été.pdf",
    position=4,
    text="Soup\n\nRice",
    heading_path=("Menu", "Lunch"),
    kind=Kind.LIST_ITEM,
    pages=(3, 4),
    boxes=(BOX, replace(BOX, page=4)),
    tokens=7,
)
DOCUMENT = Document(
    format="pdf",
    blocks=(
        Block(Kind.TITLE, "Menu", pages=(1,), boxes=(Box(1, 0.1, 0.2, 1 / 3, 0.7),)),
        Block(Kind.LIST_ITEM, "Soup", 2, "a)"),
        Block(Kind.TABLE, "| a |\n|---|\n| b |", pages=(1, 2)),
    ),
    pages=(Page(1, 595.276, 841.89, 12, has_image=True), Page(2)),
    title="Menu",
    language="fr",
)
STORED = StoredDocument("menus/été.pdf", "menus/été.pdf", DOCUMENT, "ab" * 32, 5_000_000_000)


def test_chunks_come_back_as_they_were():
    bare = replace(CHUNK, chunk_id="1f", heading_path=(), pages=(), boxes=(), kind=Kind.TABLE)
    batch = chunks_to_batch([CHUNK, bare])
    assert batch.schema == CHUNK_SCHEMA
    assert chunks_from(batch) == [CHUNK, bare]


def test_chunks_are_read_from_tables_with_further_columns():
    rows = pa.Table.from_batches([chunks_to_batch([CHUNK])])
    assert chunks_from(rows.append_column("vector", pa.array([[1.0]]))) == [CHUNK]


def test_documents_come_back_exactly_as_they_were():
    bare = StoredDocument("d", "d.json", Document("json", ()), "cd" * 32, 0)
    batch = documents_to_batch([STORED, bare])
    assert batch.schema == DOCUMENT_SCHEMA
    assert batch["page_count"].to_pylist() == [2, 0]
    assert documents_from(batch) == [STORED, bare]


def test_no_document_and_no_chunk_are_empty_batches():
    assert documents_to_batch([]).schema == DOCUMENT_SCHEMA
    assert chunks_to_batch([]).schema == CHUNK_SCHEMA
    assert chunks_from(chunks_to_batch([])) == documents_from(documents_to_batch([])) == []
