"""The categories that the settings ask for: a classifier that is learnt from labels or names, and
what it says of documents."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedding_assets.documents.classify.label_files import LabelFiles
from embedding_assets.documents.classify.labels import LONGEST_TEXT
from embedding_assets.documents.classify.slices import (
    ClassifierSource,
    Passages,
    StoredClassifier,
    Training,
    category_slices,
    classifier_slice,
)
from embedding_assets.documents.document import Document
from embedding_assets.documents.isolate import Source, parse_many
from embedding_assets.documents.plan import DocumentState
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import NotFoundError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice

if TYPE_CHECKING:
    from embedding_assets.documents.classify.classifier import Classified, DocumentClassifier
    from embedding_assets.registry import ModelVersion
    from embedding_assets.workspace import Workspace

    Told = Callable[[ModelVersion, Mapping[str, bytes]], None]


@dataclass(frozen=True)
class CategoryStates:
    """Whether the categories of documents are as they should be.

    is_learnt: whether `classifier` is what comes of the labels as they are now.
    """

    table: ParquetTable
    classifier: StoredClassifier | None
    is_learnt: bool

    def of(self, doc_id: str, vectors_digest: str) -> Iterator[DocumentState]:
        """The state of one document; none where categories are not asked for."""
        name, stored = self.table.name, self.table.footer(doc_id)
        if not self.is_learnt:
            state = "stale" if stored else "missing"
            yield DocumentState(name, doc_id, state, "the labels or the model changed")
        elif self.classifier is None:
            if stored and stored.rows:
                yield DocumentState(name, doc_id, "stale", "there is no classifier any more")
        elif stored is None:
            yield DocumentState(name, doc_id, "missing", "new")
        elif stored.digest != self.classifier.digest_for(vectors_digest):
            yield DocumentState(name, doc_id, "stale", "the classifier or the document changed")
        else:
            yield DocumentState(name, doc_id, "fresh")


class Categories:
    """The classifier of a workspace, and what it says."""

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace

    @property
    def label_files(self) -> LabelFiles | None:
        """What the settings name; None where they name nothing."""
        settings = self._workspace.settings.classification
        paths = (settings.labelled, settings.categories)
        labels, categories = (Path(each).expanduser() if each else None for each in paths)
        return LabelFiles(labels, categories) if labels or categories else None

    def classifier_slice(self, told: "Told" = lambda version, pictures: None) -> Slice:
        """The classifier of documents. A new one is registered before it is stored, so that what is
        used can always be found there. told: hears of its version and pictures, by name."""
        from embedding_assets.classifier_registry import register_classifier

        workspace = self._workspace

        def embed(texts: Sequence[str]) -> Vectors:
            return workspace.vectors.encode(texts, workspace.encoder).encoding.vectors

        def done(made: "DocumentClassifier", files: Mapping[str, bytes], digest: str) -> None:
            told(*register_classifier(workspace.registry, made, files, digest))

        source = self._source(workspace.fingerprint if self.label_files else "")
        training = Training(embed, self._read_texts, done)
        return classifier_slice(source, workspace.table("document_classifier"), training)

    @property
    def classifier(self) -> StoredClassifier | None:
        """What tells the categories of texts by the configured model; None where nothing does."""
        if self.label_files is None:
            return None
        fingerprint = self._workspace.known_fingerprint or ""
        return StoredClassifier.of(self._workspace.table("document_classifier"), fingerprint)

    def slices(self, keys: Iterable[str]) -> Iterator[Slice]:
        """The categories of some documents."""
        chunks, vectors, table = (
            self._workspace.table(asset)
            for asset in ("doc_chunks", "doc_vectors", "doc_categories")
        )
        return category_slices(Passages(chunks, vectors), table, keys, self.classifier)

    def stored(self) -> list[dict[str, Any]]:
        """The category of each document that has one or might have, by doc_id."""
        table = self._workspace.table("doc_categories")
        keys = table.keys()
        return table.dataset(keys).to_table().to_pylist() if keys else []

    def states(self) -> CategoryStates:
        """Whether what is stored is as it should be."""
        table = self._workspace.table("doc_categories")
        stored = self._workspace.table("document_classifier").footer()
        source = self._source(self._workspace.known_fingerprint or "")
        is_learnt = source is None or (stored is not None and stored.digest == source.digest)
        return CategoryStates(table, self.classifier, is_learnt)

    def classify(self, texts: Sequence[str]) -> "list[Classified]":
        """What is said of any texts; nothing is stored.

        Raises NotFoundError while there is no classifier.
        """
        classifier = self.classifier
        if classifier is None:
            raise NotFoundError(
                "There is no classifier.",
                "Set classification.labels or classification.categories, and materialize "
                "document_classifier.",
            )
        return classifier.model.classify(texts, self._workspace.encoder.encode(texts).vectors)

    def _source(self, fingerprint: str) -> ClassifierSource | None:
        """What the classifier is learnt from; None where nothing is configured."""
        files, settings = self.label_files, self._workspace.settings.classification
        if files is None:
            return None
        return ClassifierSource(files, settings.abstain, settings.max_texts, fingerprint)

    def _read_texts(self, paths: Sequence[Path]) -> dict[Path, str]:
        rules = self._workspace.library.rules
        sources = [Source(str(path), path) for path in paths]
        read = parse_many(sources, rules.limits, rules.workers, rules.passwords, ocr=rules.ocr)
        return {
            each.source.path: _beginning(each.result)
            for each in read
            if isinstance(each.result, Document)
        }


def _beginning(document: Document) -> str:
    """What of its text may be learnt from, and not much more."""
    parts, length = [], 0
    for block in document.blocks:
        parts.append(block.text[:LONGEST_TEXT])
        length += len(parts[-1]) + 1
        if length > LONGEST_TEXT:
            break
    return " ".join(parts)
