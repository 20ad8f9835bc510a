"""Stored documents for people: which there are, and what stands in one."""

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.errors import NotFoundError
from embedding_assets.storage.parquet import ParquetTable

_ABOUT = ["path", "format", "title", "language", "pages"]


@dataclass(frozen=True)
class Reading:
    """A stretch of a document's blocks, in reading order.

    pages, blocks: as rows of DOCUMENT_SCHEMA. next: where the next stretch starts; None at the end.
    """

    doc_id: str
    path: str
    format: str
    title: str | None
    language: str | None
    pages: list[dict[str, Any]]
    blocks: list[dict[str, Any]]
    next: int | None


def page_of_documents(documents: pa.Table, after: str, limit: int) -> list[dict[str, Any]]:
    """The first `limit` rows by `doc_id` behind `after`, which need not exist; "" is before all."""
    documents = documents.filter(pc.greater(documents["doc_id"], after))
    if not len(documents):  # which select_k cannot take
        return []
    chosen = pc.select_k_unstable(documents, limit, [("doc_id", "ascending")])
    rows: list[dict[str, Any]] = documents.take(chosen).to_pylist()
    return rows


def read_blocks(
    documents: ParquetTable, forgotten: Container[str], doc_id: str, stretch: tuple[int, int]
) -> Reading:
    """The blocks of a document from the first of `stretch` on, as many as its second says.

    documents: as stored (DOCUMENT_SCHEMA). Raises NotFoundError for unknown and forgotten ones.
    """
    if doc_id in forgotten or documents.footer(doc_id) is None:
        raise NotFoundError(
            f"There is no document {doc_id!r}.", "GET /documents lists those that there are."
        )
    start, limit = stretch
    dataset = documents.dataset([doc_id])
    [about] = dataset.to_table(columns=_ABOUT).to_pylist()
    blocks = dataset.to_table(columns=["blocks"])["blocks"].combine_chunks().flatten()
    end = start + limit
    return Reading(
        doc_id=doc_id,
        **about,
        blocks=blocks.slice(min(start, len(blocks)), limit).to_pylist(),
        next=end if end < len(blocks) else None,
    )
