"""The partitions of documents: how each document's rows follow from its file."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from hashlib import scrypt
from pathlib import Path

import pyarrow as pa

from embedding_assets.documents.chunk import CHUNK_CODE, ChunkLimits, chunk_documents
from embedding_assets.documents.document import Document
from embedding_assets.documents.failure import Failure, FailureKind
from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.documents.isolate import Source, parse_many
from embedding_assets.documents.limits import Limits
from embedding_assets.documents.reader import plugged_release
from embedding_assets.documents.split import TokenCounter
from embedding_assets.documents.table import (
    CHUNK_SCHEMA,
    DOCUMENT_SCHEMA,
    StoredDocument,
    chunks_from,
    chunks_to_batch,
    documents_from,
    documents_to_batch,
)
from embedding_assets.embedding.encoder import Encoder
from embedding_assets.embedding.store import Reuse, VectorStore
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice, Stats, digest_of

PARSE_CODE = "1"
"""Changes whenever the same file would become another document."""
VECTOR_CODE = "1"
_CHUNKS_AT_ONCE = 4_096
_BLOCKS_AT_ONCE = 4_096
_MEND = "Mend it in the watched folder; the next look at it tries again."

QUARANTINED_DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("mend", pa.string()),
        pa.field("class", pa.string()),
        pa.field("attempts", pa.int32()),
        pa.field("content_sha256", pa.string()),
        pa.field("failed_at", pa.timestamp("us", tz="UTC")),
    ]
)
"""Documents that could not be read. class: `transient` ones are tried again by every run,
`permanent` ones when the file, the passwords or the limits change, or when they are redriven."""


def vector_schema(dimension: int) -> pa.Schema:
    """The columns of `doc_vectors`: `embedding` is float32 [dimension], unit length."""
    return pa.schema(
        [
            pa.field("chunk_id", pa.string()),
            pa.field("doc_id", pa.string()),
            pa.field("embedding", pa.list_(pa.float32(), dimension)),
            pa.field("tokens", pa.int32()),
            pa.field("windows", pa.int32()),
            pa.field("fingerprint", pa.string()),
        ]
    )


@dataclass(frozen=True)
class ReadingRules:
    """How files are read: what a stored document depends on besides its file.

    passwords: tried on encrypted files. ocr: whether scanned pages are read.
    """

    folder: Path
    limits: Limits = Limits()
    passwords: tuple[str, ...] = ()
    ocr: bool = True
    workers: int = 1

    def document_digest(self, file: DocumentEntry) -> str:
        """The digest of what is read from a file; a reader of another package has its release."""
        plugged = plugged_release(Path(file.path).suffix)
        code = PARSE_CODE if plugged is None else f"{PARSE_CODE} {plugged}"
        return digest_of("documents", code, file.path, file.content_sha256, self.ocr)

    def is_hopeless(self, file: DocumentEntry, failed: Footer | None) -> bool:
        """Whether a file failed before in a way that comes again with the same bytes and rules."""
        if failed is None or failed.stats["class"] != "permanent":
            return False
        return bool(failed.stats["of"] == self.failure_digest(file))

    def failure_digest(self, file: DocumentEntry) -> str:
        """The digest of a failure to read it: another password or limit may mend it."""
        rules = (_mark(self.passwords), vars(self.limits), file.error)
        return digest_of("quarantined_documents", self.document_digest(file), rules)


@cache
def _mark(passwords: tuple[str, ...]) -> str:
    """What tells passwords from other ones, and is dear enough to try that a stored one gives no
    password away (scrypt, RFC 7914)."""
    joined = digest_of(*passwords).encode()
    return scrypt(joined, salt=b"embedding_assets", n=2**14, r=8, p=1).hex() if passwords else ""


@dataclass
class Reading:
    """One pass over files: the documents that come of them, and what failed on the way."""

    files: Mapping[str, DocumentEntry]
    rules: ReadingRules
    documents: ParquetTable
    quarantine: ParquetTable
    _failures: list[Slice] = field(default_factory=list)

    def document_slices(self) -> Iterator[Slice]:
        """Each file's document (DOCUMENT_SCHEMA), in the order in which they are read.

        A file that cannot be read gives none: what its last good version held stays. Failed files
        are told by `quarantine_slices` afterwards; those that failed before are read again only
        when that may help. Documents that are stored as they should be are not read.
        """
        to_read: list[Source] = []
        for doc_id, file in self.files.items():
            stored = self.documents.footer(doc_id)
            failed = self.quarantine.footer(doc_id)
            if self.rules.is_hopeless(file, failed):
                continue
            if file.error:
                self._fail(file, Failure(FailureKind.UNREADABLE, file.error, _MEND))
            elif stored and stored.digest == self.rules.document_digest(file):
                self._release(doc_id)
                yield self._slice(file, stored.stats, lambda: ())
            else:
                to_read.append(Source(doc_id, self.rules.folder / file.path))
        rules = self.rules
        for parsed in parse_many(
            to_read, rules.limits, rules.workers, rules.passwords, ocr=rules.ocr
        ):
            file = self.files[parsed.source.doc_id]
            if isinstance(parsed.result, Failure):
                self._fail(file, parsed.result)
            else:
                yield self._document_slice(file, parsed.result, parsed.seconds)
                self._release(file.doc_id)

    def quarantine_slices(self) -> list[Slice]:
        """What failed in this pass, once `document_slices` are drawn."""
        return self._failures

    def _fail(self, file: DocumentEntry, failure: Failure) -> None:
        self._failures.append(self._failure_slice(file, failure))

    def _release(self, doc_id: str) -> None:
        """A document that can be read is no longer in quarantine."""
        self.quarantine.remove(doc_id)

    def _slice(
        self,
        file: DocumentEntry,
        stats: Stats,
        batches: Callable[[], Iterable[pa.RecordBatch]],
    ) -> Slice:
        digest = self.rules.document_digest(file)
        return Slice(file.doc_id, digest, DOCUMENT_SCHEMA, batches, stats)

    def _document_slice(self, file: DocumentEntry, document: Document, seconds: float) -> Slice:
        stored = StoredDocument(file.doc_id, file.path, document, file.content_sha256, file.size)
        stats = {
            "format": document.format,
            "pages": len(document.pages),
            "blocks": len(document.blocks),
            "characters": sum(len(block.text) for block in document.blocks),
            "pages_without_text": len(document.pages_without_text),
            "scanned_pages": list(document.scanned_pages)[:50],
            "bytes": file.size,
            "seconds": round(seconds, 3),
        }
        return self._slice(file, stats, lambda: [documents_to_batch([stored])])

    def _failure_slice(self, file: DocumentEntry, failure: Failure) -> Slice:
        before = self.quarantine.footer(file.doc_id)
        digest = self.rules.failure_digest(file)
        again = before is not None and before.stats.get("of") == digest
        attempts = (int(before.stats["attempts"]) if before and again else 0) + 1
        kind = "transient" if failure.is_transient else "permanent"
        row = {
            "doc_id": file.doc_id,
            "path": file.path,
            "kind": str(failure.kind),
            "reason": failure.reason,
            "mend": failure.mend,
            "class": kind,
            "attempts": attempts,
            "content_sha256": file.content_sha256,
            "failed_at": datetime.now(UTC),
        }
        stats = {"reason": failure.reason, "class": kind, "attempts": attempts, "of": digest}
        rows = pa.RecordBatch.from_pylist([row], QUARANTINED_DOCUMENT_SCHEMA)
        return Slice(
            file.doc_id,
            digest_of(digest, attempts),
            QUARANTINED_DOCUMENT_SCHEMA,
            lambda: [rows],
            stats,
        )


def chunk_digest(document_digest: str, limits: ChunkLimits, tokenizer: str) -> str:
    """The digest of a document's chunks. tokenizer: names what counts their tokens."""
    return digest_of("doc_chunks", CHUNK_CODE, document_digest, vars(limits), tokenizer)


@dataclass(frozen=True)
class Chunking:
    """How documents are cut. tokenizer: names what `count` counts with."""

    count: TokenCounter
    limits: ChunkLimits
    tokenizer: str


def chunk_slices(
    documents: ParquetTable,
    stored: ParquetTable,
    keys: Iterable[str],
    chunking: Chunking,
) -> Iterator[Slice]:
    """For each stored document: its chunks (CHUNK_SCHEMA).

    Documents are cut many at once; `stored` tells which need not be.
    """
    waiting: list[tuple[str, Document]] = []
    digests: dict[str, str] = {}
    blocks = 0
    for key in keys:
        footer = documents.footer(key)
        if footer is None:
            continue
        digest = chunk_digest(footer.digest, chunking.limits, chunking.tokenizer)
        now = stored.footer(key)
        if now is not None and now.digest == digest:
            yield Slice(key, digest, CHUNK_SCHEMA, lambda: (), now.stats)
            continue
        [found] = documents_from(documents.read(key))
        waiting.append((key, found.document))
        digests[key] = digest
        blocks += len(found.document.blocks)
        if blocks >= _BLOCKS_AT_ONCE:
            yield from _chunked(waiting, digests, chunking)
            waiting, blocks = [], 0
    yield from _chunked(waiting, digests, chunking)


def _chunked(
    documents: list[tuple[str, Document]], digests: Mapping[str, str], chunking: Chunking
) -> Iterator[Slice]:
    found = chunk_documents(documents, chunking.count, chunking.limits)
    for (key, _), chunks in zip(documents, found, strict=True):
        rows = chunks_to_batch(chunks)
        stats = {"chunks": len(chunks), "tokens": sum(chunk.tokens for chunk in chunks)}
        yield Slice(key, digests[key], CHUNK_SCHEMA, partial(_only, rows), stats)


def vector_digest(chunks_digest: str, fingerprint: str) -> str:
    """The digest of the vectors of a document's chunks."""
    return digest_of("doc_vectors", VECTOR_CODE, chunks_digest, fingerprint)


def vector_slices(
    chunks: ParquetTable,
    stored: ParquetTable,
    keys: Iterable[str],
    encoder: Encoder,
    vectors: VectorStore,
) -> Iterator[Slice]:
    """For each document with chunks: their vectors (`vector_schema`).

    Chunks of many documents are encoded together; `stored` tells which documents need none.
    """
    waiting: list[tuple[str, str, list[str], list[str]]] = []
    held = 0
    for key in keys:
        footer = chunks.footer(key)
        if footer is None or not stored.guard.admits(key):
            continue
        digest = vector_digest(footer.digest, encoder.fingerprint)
        now = stored.footer(key)
        if now is not None and now.digest == digest:
            yield Slice(key, digest, vector_schema(encoder.dimension), lambda: (), now.stats)
            continue
        found = chunks_from(chunks.read(key))
        texts = [chunk.text_for_embedding for chunk in found]
        waiting.append((key, digest, [chunk.chunk_id for chunk in found], texts))
        held += len(texts)
        if held >= _CHUNKS_AT_ONCE:
            yield from _encoded(waiting, encoder, vectors)
            waiting, held = [], 0
    yield from _encoded(waiting, encoder, vectors)


def _encoded(
    documents: list[tuple[str, str, list[str], list[str]]], encoder: Encoder, vectors: VectorStore
) -> Iterator[Slice]:
    """The vectors of several documents' texts, computed in one go."""
    if not documents:
        return
    reuse = vectors.encode([text for *_, texts in documents for text in texts], encoder)
    start = 0
    for number, (key, digest, ids, _) in enumerate(documents):
        end = start + len(ids)
        stats = _cost(reuse, slice(start, end), is_first=number == 0)
        stats["fingerprint"] = encoder.fingerprint
        rows = _vector_rows(key, ids, reuse, slice(start, end), encoder)
        yield Slice(key, digest, rows.schema, partial(_only, rows), stats)
        start = end


def _vector_rows(
    key: str, ids: list[str], reuse: Reuse, part: slice, encoder: Encoder
) -> pa.RecordBatch:
    encoding = reuse.encoding
    flat = pa.array(encoding.vectors[part].reshape(-1))
    return pa.RecordBatch.from_arrays(
        [
            pa.array(ids, pa.string()),
            pa.array([key] * len(ids), pa.string()),
            pa.FixedSizeListArray.from_arrays(flat, encoder.dimension),
            pa.array(encoding.tokens[part]),
            pa.array(encoding.windows[part]),
            pa.array([encoder.fingerprint] * len(ids), pa.string()),
        ],
        schema=vector_schema(encoder.dimension),
    )


def _cost(reuse: Reuse, part: slice, *, is_first: bool) -> dict[str, object]:
    """What a document's vectors are; and, for the first of those that were encoded together, what
    all of them cost."""
    encoding = reuse.encoding
    stats: dict[str, object] = {
        "texts": part.stop - part.start,
        "tokens": int(encoding.tokens[part].sum()),
        "windowed": int((encoding.windows[part] > 1).sum()),
        "truncated_tokens": 0,
    }
    if is_first:
        stats |= {
            "reused": reuse.reused,
            "computed": reuse.computed,
            "computed_tokens": reuse.computed_tokens,
            "seconds": reuse.seconds,
        }
    return stats


def _only(rows: pa.RecordBatch) -> list[pa.RecordBatch]:
    return [rows]
