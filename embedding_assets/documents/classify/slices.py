"""The classifier and the documents' categories as slices: made when what they rest on changes."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import structlog

from embedding_assets.documents.classify.classifier import (
    CLASSIFIER_CODE,
    Classified,
    DocumentClassifier,
    Embed,
)
from embedding_assets.documents.classify.label_files import LabelFiles, ReadText
from embedding_assets.documents.classify.labels import LabelledTexts
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Stats, digest_of

CATEGORY_CODE = "1"
"""Changes whenever the same classifier would give the same document another category."""
CLASSIFIER_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("content", pa.large_binary(), nullable=False),
    ]
)
"""A classifier: its files, whole."""
CATEGORY_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("category", pa.string()),
        pa.field("probability", pa.float32()),
        pa.field("best_category", pa.string()),
        pa.field("chunks", pa.int32()),
        pa.field("classifier", pa.string()),
        pa.field("fingerprint", pa.string()),
    ]
)
"""A document's category. category: null where none is probable enough, as `best_category` tells
with its probability. classifier: the digest of the model. fingerprint: of the vectors."""
_DOCUMENTS_AT_ONCE = 256
_CHARACTERS = 8_000
_NAMED = 20
_log = structlog.get_logger()


@dataclass(frozen=True)
class ClassifierSource:
    """What a classifier is learnt from. fingerprint: of the encoder."""

    files: LabelFiles
    abstain: float
    most: int
    fingerprint: str

    @cached_property
    def digest(self) -> str:
        """The digest of the classifier that comes of it."""
        settings = (self.abstain, self.most, self.fingerprint)
        return digest_of("document_classifier", CLASSIFIER_CODE, self.files.digest(), settings)

    def fit(self, embed: Embed, read: ReadText) -> tuple[DocumentClassifier, LabelledTexts]:
        """The classifier, and what it was learnt from. Raises InputError subclasses."""
        rows = self.files.rows(read)
        labelled = LabelledTexts.from_rows(rows, self.files.described(), self.most)
        made = DocumentClassifier.fit(labelled, embed, self.fingerprint, self.abstain)
        return made, labelled


@dataclass(frozen=True)
class StoredClassifier:
    """A classifier that was learnt. digest: of the model, by which what it said is known."""

    table: ParquetTable
    digest: str

    @classmethod
    def of(cls, table: ParquetTable, fingerprint: str) -> "StoredClassifier | None":
        """The stored one for vectors with that fingerprint; None when there is none."""
        footer = table.footer()
        if footer is None or not footer.rows or footer.stats.get("fingerprint") != fingerprint:
            return None
        return cls(table, str(footer.stats["model"]))

    @cached_property
    def model(self) -> DocumentClassifier:
        """The classifier, read once. Raises StoreDamagedError, StoreVersionError."""
        with tempfile.TemporaryDirectory(prefix="embedding_assets-") as name:
            for row in self.table.read().to_pylist():
                (Path(name) / row["file"]).write_bytes(row["content"])
            return DocumentClassifier.load(Path(name))

    def digest_for(self, vectors_digest: str) -> str:
        """The digest of what is said of a document whose vectors have that digest."""
        return digest_of("doc_categories", CATEGORY_CODE, vectors_digest, self.digest)


Done: TypeAlias = Callable[[DocumentClassifier, Mapping[str, bytes], str], None]
"""Hears of a new classifier, with its files and its digest, before it is stored."""


def nothing_done(made: DocumentClassifier, files: Mapping[str, bytes], digest: str) -> None:
    """Nobody wants to hear of a new classifier."""


@dataclass(frozen=True)
class Training:
    """How a classifier is made: what encodes texts, what reads documents, who hears of it."""

    embed: Embed
    read: ReadText
    done: Done = nothing_done


def classifier_slice(
    source: ClassifierSource | None, stored: ParquetTable, training: Training
) -> Slice:
    """The classifier; empty where nothing is configured.

    Where nothing can be learnt from the labels, what is stored of the last good ones stays, and
    `problem` in the figures tells why; it is tried again when the labels change.
    """
    if source is None:
        digest = digest_of("document_classifier", CLASSIFIER_CODE, None)
        return Slice(None, digest, CLASSIFIER_SCHEMA, list, {"configured": False})
    stats: Stats = {}

    def batches() -> Iterator[pa.RecordBatch]:
        before = StoredClassifier.of(stored, source.fingerprint)
        rows = stored.read() if before else None
        try:
            made, labelled = source.fit(training.embed, training.read)
        except InputError as error:
            _log.warning("labels_unusable", problem=error.problem, kept=before is not None)
            stats.update(problem=error.problem, mend=error.mend, fingerprint=source.fingerprint)
            stats["model"] = before.digest if before else ""
            yield from rows.to_batches() if rows else []
            return
        files = _files_of(made)
        training.done(made, files, source.digest)
        stats.update(_told(made, labelled), model=source.digest, fingerprint=source.fingerprint)
        for name, content in files.items():
            row = {"file": name, "content": content}
            yield pa.RecordBatch.from_pylist([row], CLASSIFIER_SCHEMA)

    return Slice(None, source.digest, CLASSIFIER_SCHEMA, batches, stats)


@dataclass(frozen=True)
class Passages:
    """What is stored of the documents' passages."""

    chunks: ParquetTable
    vectors: ParquetTable

    def read(self, doc_id: str) -> tuple[str, Vectors, int]:
        """A document's beginning as text, the mean of its vectors by tokens, and how many they
        are; as if the document were encoded whole."""
        texts = self.chunks.read(doc_id)["text"].to_pylist()
        rows = self.vectors.read(doc_id)
        flat = rows["embedding"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        vectors = flat.astype(np.float64).reshape(len(rows), -1 if len(rows) else 0)
        weights = np.maximum(rows["tokens"].to_numpy(), 1)
        mean = weights @ vectors
        length = float(np.linalg.norm(mean)) or 1.0
        text = " ".join(" ".join(texts).split())[:_CHARACTERS]
        return text, (mean / length).astype(np.float32), len(rows)


def category_slices(
    passages: Passages,
    stored: ParquetTable,
    keys: Iterable[str],
    classifier: StoredClassifier | None,
) -> Iterator[Slice]:
    """What is said of each document with vectors (CATEGORY_SCHEMA); nothing without a classifier.

    `stored` tells which documents need not be looked at.
    """
    if classifier is None:
        for key in keys:
            before = stored.footer(key)
            if before is not None and before.rows:
                digest = digest_of("doc_categories", CATEGORY_CODE, None)
                yield Slice(key, digest, CATEGORY_SCHEMA, list)
        return
    waiting: list[tuple[str, str]] = []
    for key in keys:
        vectors = passages.vectors.footer(key)
        if vectors is None or passages.chunks.footer(key) is None or not stored.guard.admits(key):
            continue
        digest = classifier.digest_for(vectors.digest)
        now = stored.footer(key)
        if now is not None and now.digest == digest:
            yield Slice(key, digest, CATEGORY_SCHEMA, lambda: (), now.stats)
            continue
        waiting.append((key, digest))
        if len(waiting) >= _DOCUMENTS_AT_ONCE:
            yield from _classified(passages, waiting, classifier)
            waiting = []
    yield from _classified(passages, waiting, classifier)


def _classified(
    passages: Passages, documents: Sequence[tuple[str, str]], classifier: StoredClassifier
) -> Iterator[Slice]:
    read = [passages.read(key) for key, _ in documents]
    told = [at for at, (_, _, chunks) in enumerate(read) if chunks]
    said: dict[int, Classified] = {}
    if told:
        texts, vectors = [read[at][0] for at in told], np.stack([read[at][1] for at in told])
        said = dict(zip(told, classifier.model.classify(texts, vectors), strict=True))
    for at, (key, digest) in enumerate(documents):
        yield _category_slice(key, digest, said.get(at), read[at][2], classifier)


def _category_slice(
    key: str, digest: str, said: Classified | None, chunks: int, classifier: StoredClassifier
) -> Slice:
    row = {
        "doc_id": key,
        "category": said.category if said else None,
        "probability": said.probability if said else None,
        "best_category": said.best if said else None,
        "chunks": chunks,
        "classifier": classifier.digest,
        "fingerprint": classifier.model.fingerprint,
    }
    rows = pa.RecordBatch.from_pylist([row], CATEGORY_SCHEMA)
    stats = {"category": row["category"], "probability": row["probability"]}
    return Slice(key, digest, CATEGORY_SCHEMA, lambda: [rows], stats)


def _files_of(made: DocumentClassifier) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as name:
        made.save(Path(name))
        return {path.name: path.read_bytes() for path in sorted(Path(name).iterdir())}


def _told(made: DocumentClassifier, labelled: LabelledTexts) -> Stats:
    """What the model is, how good, and what was seen in the labels."""
    notes = labelled.notes
    seen: Stats = {
        "labelled_texts": len(labelled.texts),
        "rows_without_text": notes.without_text,
        "rows_without_label": notes.without_label,
        "rows_repeated": notes.repeated,
        "rows_left_out": notes.left_out,
    }
    texts = np.bincount(labelled.labels, minlength=len(labelled.categories))
    bare = [each.name for each, count in zip(labelled.categories, texts, strict=True) if not count]
    if labelled.texts and bare:
        more = f" and {len(bare) - _NAMED} more" if len(bare) > _NAMED else ""
        seen["without_texts"] = ", ".join(bare[:_NAMED]) + more
    merged = "; ".join(f"{name} = {', '.join(others)}" for name, others in notes.merged.items())
    return {**made.figures(), **seen, **({"merged": merged} if merged else {})}
