"""The texts whose vectors are still needed, whatever is forgotten."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.documents.passages import text_for_embedding
from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.search.index import read_documents
from embedding_assets.search.manifest import damaged, read_manifest
from embedding_assets.search.passages import Passages
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.search.whole import require_whole
from embedding_assets.storage.parquet import ParquetTable

if TYPE_CHECKING:
    from embedding_assets.library import Library
    from embedding_assets.workspace import Workspace

_BATCH_ROWS = 16_384


def texts_in_use(workspace: "Workspace") -> Iterator[Sequence[str]]:
    """Every text that has a vector in an asset of any model, in batches; some more than once."""
    for each in (workspace, *workspace.others):
        accounts = each.table("account_embeddings")
        for key in accounts.keys():
            yield from _column(accounts, [key], "text_for_embedding")
        items = each.table("item_embeddings")
        if items.footer():
            yield from _column(items, None, "item_description")
        yield from _chunk_texts(each.library)


def chunk_texts(rows: pa.RecordBatch | pa.Table) -> list[str]:
    """What was embedded of each chunk or passage."""
    columns = (rows[name].to_pylist() for name in ("heading_path", "text"))
    return [text_for_embedding(path or (), text) for path, text in zip(*columns, strict=True)]


def indexed_texts(snapshots: Snapshots, version: str, doc_ids: Iterable[str]) -> list[str]:
    """What was embedded of some documents, by a version of the index; nothing when that one
    cannot be read."""
    wanted, found = set(doc_ids), []
    start = 0
    try:
        documents, passages = _opened(snapshots, version)
    except (OSError, pa.ArrowInvalid, StoreDamagedError):
        return []
    columns: Iterable[tuple[Any, ...]] = zip(
        documents["doc_id"].to_pylist(), documents["rows"].to_pylist(), strict=True
    )
    for doc_id, rows in columns:
        if doc_id in wanted:
            for batch in passages.between(start, start + rows):
                found += chunk_texts(batch)
        start += rows
    return found


def _chunk_texts(library: "Library") -> Iterator[Sequence[str]]:
    """Of one file where the index holds them, which is quicker than one file per document."""
    snapshots, held = library.snapshots, set[str]()
    try:
        documents, passages = _opened(snapshots, snapshots.current())
    except (OSError, pa.ArrowInvalid, StoreDamagedError, NotFoundError):
        pass
    else:
        held.update(documents["doc_id"].to_pylist())
        for batch in passages.batches:
            yield chunk_texts(batch)
    chunks = library.table("doc_chunks")
    for entry in library.stored_inventory.entries:
        if entry.doc_id not in held and chunks.path(entry.doc_id).exists():
            yield chunk_texts(chunks.read(entry.doc_id))


def _opened(snapshots: Snapshots, version: str) -> tuple[pa.Table, Passages]:
    folder = snapshots.path(version)
    files = ("documents.arrow", "passages.arrow")
    require_whole(folder, read_manifest(folder).files, damaged, only=files)
    return read_documents(folder), Passages.load(folder / "passages.arrow")


def _column(table: ParquetTable, keys: list[str] | None, name: str) -> Iterator[Sequence[str]]:
    for batch in table.batches(keys, _BATCH_ROWS, [name]):
        yield pc.unique(batch[name]).to_pylist()
