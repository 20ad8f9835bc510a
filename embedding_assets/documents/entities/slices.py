"""The entities of documents as partitions: computed anew when a document, the model or a rule
changes."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from embedding_assets.documents.document import Block, Box, Document
from embedding_assets.documents.entities.finder import Finder
from embedding_assets.documents.entities.rules import MODEL, Entity
from embedding_assets.documents.table import box_type, documents_from
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of

ENTITY_CODE = "1"
"""Changes whenever the same document, model and rules would give other rows."""
_BLOCKS_AT_ONCE = 4_096

ENTITY_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("label", pa.string()),
        pa.field("start", pa.int32()),
        pa.field("end", pa.int32()),
        pa.field("block", pa.int32()),
        pa.field("page", pa.int32()),
        pa.field("box", box_type(pa.float32())),
        pa.field("score", pa.float32()),
        pa.field("source", pa.string()),
    ]
)
"""Entities in reading order. start, end: characters in the text of the document's `block`.
box: of the block, where it stands on several pages that part of it. source: `model` or `rule:…`."""


def entity_digest(document_digest: str, finder_digest: str) -> str:
    """The digest of a document's entities."""
    return digest_of("doc_entities", ENTITY_CODE, document_digest, finder_digest)


def entity_slices(
    documents: ParquetTable, stored: ParquetTable, keys: Iterable[str], finder: Finder
) -> Iterator[Slice]:
    """For each stored document: its entities (ENTITY_SCHEMA); nothing where there is nothing to
    find them with and never was.

    The blocks of many documents are read together; `stored` tells which documents need not be.
    """
    waiting: list[tuple[str, str, Document]] = []
    blocks = 0
    for key in keys:
        footer = documents.footer(key)
        if footer is None or not stored.guard.admits(key):
            continue
        digest = entity_digest(footer.digest, finder.digest)
        now = stored.footer(key)
        if now is None and not finder:
            continue
        if now is not None and now.digest == digest:
            yield Slice(key, digest, ENTITY_SCHEMA, lambda: (), now.stats)
            continue
        [found] = documents_from(documents.read(key))
        waiting.append((key, digest, found.document))
        blocks += len(found.document.blocks)
        if blocks >= _BLOCKS_AT_ONCE:
            yield from _found(waiting, finder)
            waiting, blocks = [], 0
    yield from _found(waiting, finder)


def _found(documents: Sequence[tuple[str, str, Document]], finder: Finder) -> Iterator[Slice]:
    blocks = [(key, block.text) for key, _, document in documents for block in document.blocks]
    entities = iter(finder.find([text for _, text in blocks], [key for key, _ in blocks]))
    for key, digest, document in documents:
        rows = [
            {"doc_id": key, **row}
            for number, block in enumerate(document.blocks)
            for row in _rows(number, block, next(entities))
        ]
        batch = pa.RecordBatch.from_pylist(rows, ENTITY_SCHEMA)
        stats = {"entities": len(rows), "by_rules": sum(r["source"] != MODEL for r in rows)}
        yield Slice(key, digest, ENTITY_SCHEMA, partial(_only, batch), stats)


def entities_of(blocks: Sequence[Block], finder: Finder) -> list[dict[str, Any]]:
    """The entities of a document's blocks as rows, without its id."""
    found = finder.find([block.text for block in blocks], [0] * len(blocks))
    return [
        row
        for number, (block, entities) in enumerate(zip(blocks, found, strict=True))
        for row in _rows(number, block, entities)
    ]


def _rows(number: int, block: Block, entities: Sequence[Entity]) -> Iterator[dict[str, Any]]:
    for entity in entities:
        page, box = place_of(block, entity.start)
        yield {
            "text": block.text[entity.start : entity.end],
            "label": entity.label,
            "start": entity.start,
            "end": entity.end,
            "block": number,
            "page": page,
            "box": None if box is None else vars(box),
            "score": entity.score,
            "source": entity.source,
        }


def place_of(block: Block, start: int) -> tuple[int | None, Box | None]:
    """The page and box of a block that hold its character `start`: of several, that which would
    if the text filled them evenly."""
    share = start / max(1, len(block.text))
    if not block.boxes:
        if not block.pages:
            return None, None
        return block.pages[min(len(block.pages) - 1, int(share * len(block.pages)))], None
    areas = [max(0.0, box.right - box.left) * max(0.0, box.bottom - box.top) for box in block.boxes]
    wanted = share * sum(areas)
    for box, area in zip(block.boxes, areas, strict=True):
        if wanted < area:
            return box.page, box
        wanted -= area
    return block.boxes[-1].page, block.boxes[-1]


def _only(batch: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [batch]
