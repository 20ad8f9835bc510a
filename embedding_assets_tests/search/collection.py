"""A small collection of documents, and its index."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.search.build import IndexSource
from embedding_assets.search.documents import DocumentSearch
from embedding_assets.search.manifest import IndexModel
from embedding_assets.search.rows import row_schema

ENCODER = HashingEncoder(32)
MODEL = IndexModel("hashing", "7", ENCODER.fingerprint, 32)
DOCUMENT = {
    "format": "pdf",
    "title": None,
    "category": None,
    "modified": datetime(2026, 1, 1, tzinfo=UTC),
}
BOX = {"page": 1, "left": 1.0, "top": 2.0, "right": 3.0, "bottom": 4.0}
TEXTS = {
    "soup": ["boil the onions", "serve the soup hot"],
    "cake": ["bake the cake", "cool the cake on a rack", "eat the cake"],
    "law": ["the court found for the plaintiff"],
}


def rows(doc_id, texts, encoder=ENCODER, entities=(), **document):
    """The rows of one document; passage n stands on page n + 1, `entities` in each."""
    columns = {"path": f"{doc_id}.pdf", **DOCUMENT, **document, "doc_id": doc_id}
    vectors = encoder.encode(texts).vectors
    return [
        {
            "chunk_id": f"{doc_id}-{n}",
            "text": text,
            "heading_path": ["Part", "Chapter"],
            "kind": "paragraph",
            "pages": [n + 1],
            "boxes": [BOX],
            "entities": entities,
            **columns,
            "vector": vector.tolist(),
        }
        for n, (text, vector) in enumerate(zip(texts, vectors, strict=True))
    ]


def batch(found, dimension=32):
    return pa.RecordBatch.from_pylist(found, row_schema(dimension))


class Collection:
    """Documents by id that remember what was read of them."""

    def __init__(self, texts, model=MODEL, encoder=ENCODER, **documents):
        self.texts = dict(texts)
        self.documents = documents
        self.model = model
        self.encoder = encoder
        self.read = []

    @property
    def source(self):
        digests = {k: f"{v}{self.documents.get(k)}" for k, v in self.texts.items()}
        return IndexSource(self.model, digests, self._rows)

    def _rows(self, doc_ids):
        self.read.append(list(doc_ids))
        for doc_id in doc_ids:
            found = rows(doc_id, self.texts[doc_id], self.encoder, **self.documents.get(doc_id, {}))
            if found:
                yield batch(found, self.model.dimension)


def searcher(snapshots, encoder=ENCODER):
    return DocumentSearch(snapshots, lambda manifest: encoder)


def of_other_model(model=MODEL):
    encoder = HashingEncoder(16)
    return encoder, replace(model, version="8", fingerprint=encoder.fingerprint, dimension=16)
