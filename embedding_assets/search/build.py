"""Builds a version of the document index out of what changed and the version before."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from embedding_assets.errors import NotFoundError, StoreDamagedError, StoreVersionError
from embedding_assets.search.analyzer import ANALYZER_VERSION
from embedding_assets.search.index import IndexVersion, read_documents
from embedding_assets.search.keyword import KeywordIndex
from embedding_assets.search.manifest import (
    INDEX_CODE,
    IndexModel,
    Manifest,
    damaged,
    read_manifest,
)
from embedding_assets.search.passages import Passages
from embedding_assets.search.rows import RowWriter, passage_texts, rows_of, unchanged_documents
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.search.tuning import VectorReport, store_vectors
from embedding_assets.search.vectors import open_vectors
from embedding_assets.search.whole import file_hashes, require_whole
from embedding_assets.storage.slices import digest_of


@dataclass(frozen=True)
class IndexSource:
    """The documents that an index shall hold.

    model: that made the vectors.
    digests: for each document a hash of all that its rows hold.
    rows: gives the rows (`row_schema`) of some documents, each document's rows side by side; asked
        only for documents that the version before does not hold with that digest.
    """

    model: IndexModel
    digests: Mapping[str, str]
    rows: Callable[[Sequence[str]], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class IndexOptions:
    """How an index is built.

    exact_up_to_rows: above, an approximate index is tried.
    keep: versions kept, the current one counted.
    """

    exact_up_to_rows: int = 20_000
    keep: int = 3


@dataclass(frozen=True)
class BuiltIndex:
    """The version that holds the documents now, whether it had to be made, and the old versions
    that were removed for it."""

    manifest: Manifest
    new: bool
    removed: tuple[str, ...] = ()


def build_index(
    snapshots: Snapshots, source: IndexSource, options: IndexOptions | None = None
) -> BuiltIndex:
    """Serve an index of exactly the documents of `source`, the forgotten ones left out.

    Rows of documents that did not change come from the current version, where that one has the
    same model and is whole; when nothing changed, it stays. Until the new version is complete the
    old one is served. Raises SchemaError for rows of other columns, StoreLockedError, OutputError
    subclasses.
    """
    with snapshots.locked():
        return _built(snapshots, source, options or IndexOptions(), _current(snapshots))


def build_without_forgotten(snapshots: Snapshots, options: IndexOptions) -> BuiltIndex | None:
    """Serve what is served now, the forgotten documents left out; no model is needed for it.

    None when no version is served, or the one that is cannot be used. Raises StoreLockedError,
    OutputError subclasses.
    """
    with snapshots.locked():
        current = _current(snapshots)
        if current is None:
            return None
        columns = (current.documents[name].to_pylist() for name in ("doc_id", "digest"))
        digests = dict(zip(*columns, strict=True))
        source = IndexSource(current.manifest.model, digests, lambda doc_ids: ())
        return _built(snapshots, source, options, current)


def _built(
    snapshots: Snapshots, source: IndexSource, options: IndexOptions, before: IndexVersion | None
) -> BuiltIndex:
    """The caller holds the lock."""
    forgotten = snapshots.tombstones.ids()
    digests = {k: v for k, v in source.digests.items() if k not in forgotten}
    digest = digest_of(
        (INDEX_CODE, ANALYZER_VERSION, options.exact_up_to_rows),
        astuple(source.model),
        sorted(digests.items()),
    )
    if before is not None and before.manifest.digest == digest:
        return BuiltIndex(before.manifest, new=False)
    if before is not None and before.manifest.model.fingerprint != source.model.fingerprint:
        before = None
    name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{digest[:8]}"
    with snapshots.building(name) as folder:
        manifest = _Job(folder, source, digests, before).run(name, digest, options)
    snapshots.publish(name)
    return BuiltIndex(manifest, True, tuple(snapshots.sweep(options.keep)))


def remove_versions_with(snapshots: Snapshots, doc_ids: Iterable[str]) -> list[str]:
    """Remove every version that holds one of the documents, except the current one; their names.

    To forget documents: put them on the tombstone list, build the index again, then this.
    """
    wanted = set(doc_ids)
    with snapshots.locked():
        holding = [name for name in versions_with(snapshots, wanted) if name != snapshots.current()]
        snapshots.remove(holding)
    return holding


def versions_with(snapshots: Snapshots, doc_ids: Iterable[str]) -> list[str]:
    """The versions that hold one of the documents, readable or not."""
    wanted = set(doc_ids)
    return [name for name in snapshots.names() if _may_hold(snapshots.path(name), wanted)]


@dataclass
class _Job:
    """The building of one version in `folder`."""

    folder: Path
    source: IndexSource
    digests: dict[str, str]
    before: IndexVersion | None
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, name: str, digest: str, options: IndexOptions) -> Manifest:
        with self._timed("rows"):
            documents, reused = self._write_rows()
        with self._timed("keywords"):
            passages = Passages.load(self.folder / "passages.arrow")
            texts = passage_texts(passages.batches, documents)
            KeywordIndex.build(texts).save(self.folder / "keywords")
        with self._timed("vectors"):
            report = self._write_vectors(len(passages), options.exact_up_to_rows)
        with self._timed("hashes"):
            files = file_hashes(self.folder)
        manifest = Manifest(
            version=name,
            code=INDEX_CODE,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            model=self.source.model,
            digest=digest,
            rows=len(passages),
            documents=documents.num_rows,
            method="exact" if report.exact else "approximate",
            recall_at_10=report.recall,
            exact_up_to_rows=options.exact_up_to_rows,
            cells=report.cells,
            candidates=report.candidates,
            seconds=self.seconds,
            reused=reused,
            files=files,
        )
        manifest.write(self.folder)
        return manifest

    def _write_rows(self) -> tuple[pa.Table, int]:
        """The documents in the order of their rows, and how many rows were taken over."""
        held: set[str] = set()
        with RowWriter(self.folder, self.source.model.dimension) as writer:
            if self.before is not None:
                kept = unchanged_documents(self.before, self.digests)
                held = set(self.before.documents["doc_id"].take(kept).to_pylist())
                for batch in rows_of(self.before, kept):
                    writer.write(batch)
            reused = writer.rows
            fresh = [doc_id for doc_id in self.digests if doc_id not in held]
            for batch in self.source.rows(fresh) if fresh else ():
                writer.write(batch)
        return writer.finish(self.digests), reused

    def _write_vectors(self, rows: int, exact_up_to_rows: int) -> VectorReport:
        path = self.folder / "vectors.f32"
        vectors = open_vectors(path, rows, self.source.model.dimension)
        cells = self.before.vectors.cells if self.before else None
        return store_vectors(
            self.folder, vectors, exact_up_to_rows, cells.centroids if cells else None
        )

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[step] = round(time.perf_counter() - start, 3)


def _current(snapshots: Snapshots) -> IndexVersion | None:
    """The version that is served; None when there is none or it cannot be used."""
    try:
        return IndexVersion.open(snapshots.path(snapshots.current()))
    except (NotFoundError, FileNotFoundError, StoreDamagedError, StoreVersionError):
        return None


def _may_hold(folder: Path, doc_ids: set[str]) -> bool:
    try:
        require_whole(folder, read_manifest(folder).files, damaged, only=["documents.arrow"])
        held = read_documents(folder)["doc_id"].to_pylist()
    except (OSError, ValueError, KeyError, pa.ArrowException, StoreDamagedError):
        return True
    return not doc_ids.isdisjoint(held)
