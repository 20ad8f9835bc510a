"""Embeddings of records, documents and apps, kept right: complete, fresh, versioned, served."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedding_assets.ingest import ingest_document
    from embedding_assets.library import open_search
    from embedding_assets.records.processor import EmbeddingProcessor
    from embedding_assets.search.documents import DocumentSearch

__all__ = ["DocumentSearch", "EmbeddingProcessor", "ingest_document", "open_search"]
__version__ = "0.1.0"


_PLACES = {
    "DocumentSearch": "embedding_assets.search.documents",
    "EmbeddingProcessor": "embedding_assets.records.processor",
    "ingest_document": "embedding_assets.ingest",
    "open_search": "embedding_assets.library",
}


def __getattr__(name: str) -> object:
    """Public names are loaded when they are first used, so that importing the package is quick."""
    if name in _PLACES:
        return getattr(import_module(_PLACES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
