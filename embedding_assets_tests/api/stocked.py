"""A data folder with documents, their index and accounts, as runs leave it."""

import hashlib
from pathlib import Path

from embedding_assets.documents.chunk import Chunk
from embedding_assets.documents.document import Block, Box, Document, Kind, Page
from embedding_assets.documents.slices import chunk_digest
from embedding_assets.documents.table import (
    CHUNK_SCHEMA,
    DOCUMENT_SCHEMA,
    StoredDocument,
    chunks_to_batch,
    documents_to_batch,
)
from embedding_assets.search.build import build_index
from embedding_assets.settings import Settings
from embedding_assets.storage.slices import Slice
from embedding_assets.workspace import Workspace
from embedding_assets_tests.documents.parse import pdfs
from embedding_assets_tests.search.collection import Collection
from embedding_assets_tests.search.test_accounts import TEXTS as ACCOUNTS
from embedding_assets_tests.search.test_accounts import store as store_accounts

BOX = Box(1, 100.0, 200.0, 300.0, 220.0)
TEXTS = {
    "soup.pdf": ["boil the onions", "serve the soup hot"],
    "cake.pdf": ["bake the cake", "cool the cake on a rack", "eat the cake"],
    "laws/court.json": ["the court found for the plaintiff"],
}


class Stock:
    """What stands in the data folder of some settings."""

    def __init__(self, settings: Settings) -> None:
        self.workspace = Workspace(settings).ensure()
        self.library = self.workspace.library
        self.snapshots = self.library.snapshots

    def fill(self, texts=TEXTS):
        """Documents, passages, index and accounts."""
        for doc_id, passages in texts.items():
            self._store(doc_id, passages)
        self.index(texts)
        store_accounts(self.workspace.table("latest_account_embeddings"), ACCOUNTS)
        return self

    def index(self, texts=TEXTS):
        """Publish an index of these documents."""
        documents = {
            doc_id: {"path": doc_id, "format": doc_id.rpartition(".")[2], "title": doc_id.title()}
            for doc_id in texts
        }
        build_index(self.snapshots, Collection(texts, **documents).source)

    def break_index(self):
        """Tear the version that was published last."""
        (self.snapshots.path(self.snapshots.current()) / "passages.arrow").write_bytes(b"torn")

    def _store(self, doc_id, passages):
        path = Path(self.library.folder) / doc_id
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pdfs.pdf(*(pdfs.text(100, 215, each) for each in passages)))
        content = path.read_bytes()
        kind = doc_id.rpartition(".")[2]
        blocks = tuple(
            Block(Kind.PARAGRAPH, text, pages=(n,), boxes=(BOX,))
            for n, text in enumerate(passages, 1)
        )
        pages = tuple(Page(n, pdfs.WIDTH, pdfs.HEIGHT, 10) for n in range(1, len(passages) + 1))
        document = Document(kind, blocks, pages, doc_id.title())
        sha = hashlib.sha256(content).hexdigest()
        stored = documents_to_batch([StoredDocument(doc_id, doc_id, document, sha, len(content))])
        stats = {"format": kind, "pages": len(pages)}
        tables = self.library
        tables.table("documents").write(
            Slice(doc_id, sha, DOCUMENT_SCHEMA, lambda: [stored], stats)
        )
        chunks = chunks_to_batch(
            [
                Chunk(f"{doc_id}-{n}", doc_id, n, text, (), Kind.PARAGRAPH, (n + 1,), (BOX,), 1)
                for n, text in enumerate(passages)
            ]
        )
        digest = chunk_digest(sha, self.library.chunk_limits, self.library.tokenizer)
        tables.table("doc_chunks").write(Slice(doc_id, digest, CHUNK_SCHEMA, lambda: [chunks]))
