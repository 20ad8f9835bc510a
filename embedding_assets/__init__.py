"""Embeddings of records, documents and apps, kept right: complete, fresh, versioned, served."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from embedding_assets.records.processor import EmbeddingProcessor

__all__ = ["EmbeddingProcessor"]
__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """Public names are loaded when they are first used, so that importing the package is quick."""
    if name == "EmbeddingProcessor":
        from embedding_assets.records.processor import EmbeddingProcessor

        return EmbeddingProcessor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
