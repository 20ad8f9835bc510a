"""A watched folder of PDFs as the graph stores it: documents and their passages."""

import hashlib
from pathlib import Path

from embedding_assets.documents.chunk import Chunk
from embedding_assets.documents.document import Box, Document, Kind, Page
from embedding_assets.documents.picture import StoredPages
from embedding_assets.documents.table import (
    CHUNK_SCHEMA,
    DOCUMENT_SCHEMA,
    StoredDocument,
    chunks_to_batch,
    documents_to_batch,
)
from embedding_assets.search.snapshots import Tombstones
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice
from embedding_assets_tests.documents.parse import pdfs

BOX = Box(1, 100.0, 200.0, 300.0, 220.0)


def chunks_digest(document_digest):
    return f"chunks of {document_digest}"


class Shelf:
    """Documents of one page size and, each, one passage `<doc_id>-0` at BOX."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "watched"
        self.folder.mkdir()
        tables = [ParquetTable.at(folder / name) for name in ("documents", "doc_chunks")]
        tombstones = Tombstones(folder / "index" / "tombstones.json")
        self.pages = StoredPages(self.folder, *tables, tombstones, chunks_digest)

    def put(self, name, *words, content=None):
        """Write a file and store it as read; its path."""
        path = self.folder / name
        path.write_bytes(content or pdfs.pdf(*(pdfs.text(100, 215, each) for each in words)))
        self.store(name, pages=len(words))
        return path

    def store(self, name, *, pages=1, cut=True):
        """Store what the file holds now. cut: its passages too."""
        content = (self.folder / name).read_bytes()
        sha = hashlib.sha256(content).hexdigest()
        kind = name.rpartition(".")[2]
        sheets = tuple(Page(n + 1, pdfs.WIDTH, pdfs.HEIGHT, 10) for n in range(pages))
        document = StoredDocument(name, name, Document(kind, (), sheets), sha, len(content))
        stats = {"format": kind, "pages": pages}
        rows = [documents_to_batch([document])]
        self.pages.documents.write(Slice(name, sha, DOCUMENT_SCHEMA, lambda: rows, stats))
        if cut:
            chunk = Chunk(f"{name}-0", name, 0, "words", (), Kind.PARAGRAPH, (1,), (BOX,), 1)
            cells = [chunks_to_batch([chunk])]
            digest = chunks_digest(sha)
            self.pages.chunks.write(Slice(name, digest, CHUNK_SCHEMA, lambda: cells, {}))
