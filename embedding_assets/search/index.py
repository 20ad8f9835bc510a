"""One version of the document index, opened: its vectors, words, passages and documents."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_assets.errors import StoreDamagedError, StoreVersionError
from embedding_assets.search.keyword import KeywordIndex
from embedding_assets.search.manifest import INDEX_CODE, Manifest, damaged, read_manifest
from embedding_assets.search.masks import FilterColumns
from embedding_assets.search.passages import Passages
from embedding_assets.search.vectors import VectorIndex
from embedding_assets.search.whole import require_whole


class IndexVersion:
    """A version that can be searched: immutable, memory-mapped, safe to share between threads."""

    def __init__(
        self,
        manifest: Manifest,
        vectors: VectorIndex,
        keywords: KeywordIndex,
        passages: Passages,
        documents: pa.Table,
    ) -> None:
        self.manifest = manifest
        self.vectors = vectors
        self.keywords = keywords
        self.passages = passages
        self.documents = documents
        self.doc_rows: npt.NDArray[np.int64] = documents["rows"].to_numpy().astype(np.int64)
        self.doc_ends: npt.NDArray[np.int64] = np.cumsum(self.doc_rows)
        pages, entities = (
            [batch[name] for batch in passages.batches] for name in ("pages", "entities")
        )
        self.filters = FilterColumns(documents, self.doc_rows, pages, entities)
        held = (len(passages), keywords.documents, int(self.doc_rows.sum()), manifest.rows)
        if len(set(held)) != 1:
            raise StoreDamagedError(
                f"Version {manifest.version} holds {held[0]} passages, {held[1]} texts in its "
                f"keyword index and {held[2]} rows of documents, not {held[3]} each.",
                "Roll back to the version before it, or build the index again.",
            )

    @classmethod
    def open(cls, folder: Path) -> "IndexVersion":
        """The version in `folder`; every file is checked against its hash.

        Raises FileNotFoundError when it is gone, StoreDamagedError when a part is missing or torn,
        StoreVersionError when another release built it.
        """
        manifest = read_manifest(folder)
        if manifest.code != INDEX_CODE:
            raise StoreVersionError(
                f"The index in {folder} has format {manifest.code}, not {INDEX_CODE}.",
                "Build the index again.",
            )
        require_whole(folder, manifest.files, damaged)
        try:
            passages = Passages.load(folder / "passages.arrow")
            documents = read_documents(folder)
        except (OSError, pa.ArrowException) as error:
            raise damaged(folder, str(error)) from error
        vectors = VectorIndex.load(folder, manifest.rows, manifest.model.dimension)
        return cls(manifest, vectors, KeywordIndex.load(folder / "keywords"), passages, documents)

    def document_of(self, row: int) -> dict[str, Any]:
        """The document that a row belongs to."""
        number = int(np.searchsorted(self.doc_ends, row, side="right"))
        found: list[dict[str, Any]] = self.documents.slice(number, 1).to_pylist()
        return found[0]


def read_documents(folder: Path) -> pa.Table:
    """The documents of the version in `folder` in the order of their rows."""
    with pa.memory_map(str(folder / "documents.arrow")) as file:
        return pa.ipc.open_file(file).read_all().combine_chunks()
