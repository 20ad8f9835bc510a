"""The index of apps: all versions of their vectors, their metadata, rates and what predicts new
ones, in one immutable snapshot."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_assets.apps.listing import INDEXED_SCHEMA, with_unlisted
from embedding_assets.apps.manifest import (
    APP_INDEX_CODE,
    AppManifest,
    VectorsEntry,
    damaged,
    read_app_manifest,
)
from embedding_assets.apps.metadata import Metadata
from embedding_assets.apps.newcomers import NEWCOMER_CODE, Encode, fit
from embedding_assets.apps.performance import PerformanceModel
from embedding_assets.apps.placing import Known, Projection
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import NotFoundError, StoreDamagedError, StoreVersionError
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.search.tuning import store_vectors
from embedding_assets.search.vectors import VectorIndex
from embedding_assets.search.whole import file_hashes, require_whole
from embedding_assets.storage.files import file_name
from embedding_assets.storage.slices import digest_of

_UNREADABLE = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, EOFError, BadZipFile,
    pa.ArrowException,
)  # fmt: skip


@dataclass(frozen=True)
class VectorSource:
    """One version of the vectors, to be indexed.

    digest: over what they were read from, and their model of performance.
    read: gives ids [n] and vectors float32 [n, d]; rows without direction are left out.
    model: writes the model of performance into a folder; figures: of its evaluation.
    """

    digest: str
    read: Callable[[], tuple[list[str], Vectors]]
    model: Callable[[Path], None] | None = None
    figures: dict[str, Any] | None = None


@dataclass(frozen=True)
class AppSource:
    """What an index of apps shall hold.

    digest: over what `apps` gives (INDEXED_SCHEMA, unique ids). versions: the vectors by name.
    predicts: the version that predicts unless one is asked for.
    encode, text_model: what reads the labelled texts of new apps, and its fingerprint.
    """

    digest: str
    apps: Callable[[], pa.Table]
    versions: Mapping[str, VectorSource]
    predicts: str | None
    encode: Encode
    text_model: str

    @property
    def content_digest(self) -> str:
        """Over everything: equal digests make equal indexes."""
        versions = sorted((name, each.digest) for name, each in self.versions.items())
        parts = (self.digest, versions, self.predicts, self.text_model)
        return digest_of("apps", APP_INDEX_CODE, NEWCOMER_CODE, *parts)


@dataclass(frozen=True)
class BuiltAppIndex:
    """The version that holds the apps now, whether it had to be made, and what was removed."""

    manifest: AppManifest
    new: bool
    removed: tuple[str, ...] = ()


def build_app_index(snapshots: Snapshots, source: AppSource, keep: int = 3) -> BuiltAppIndex:
    """Serve an index of exactly what `source` holds; when that is served already, it stays.

    Until the new version is complete the old one is served. keep: versions kept, the current one
    counted. Raises StoreLockedError, OutputError subclasses.
    """
    digest = source.content_digest
    with snapshots.locked():
        current = served_manifest(snapshots)
        if current is not None and current.digest == digest:
            return BuiltAppIndex(current, new=False)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-{digest[:8]}"
        with snapshots.building(name) as folder:
            manifest = _write(folder, name, digest, source)
        snapshots.publish(name)
        return BuiltAppIndex(manifest, True, tuple(snapshots.sweep(keep)))


@dataclass(frozen=True)
class AppVectors:
    """One version of the vectors, opened.

    index: the vectors, float32 [n, d]. rows: int64 [n], the app of each vector.
    places: int64 [apps], the vector of each app, -1 where it has none.
    known: the vectors with the metadata of their apps. projection: where new apps are placed by it.
    """

    entry: VectorsEntry
    index: VectorIndex
    rows: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    known: Known
    projection: Projection | None
    model: PerformanceModel | StoreVersionError | None

    @property
    def performance(self) -> PerformanceModel | None:
        """What predicts the performance of apps in this version; None without outcomes.

        Raises StoreVersionError when another release fitted it: similar apps are found all the
        same.
        """
        if isinstance(self.model, StoreVersionError):
            raise StoreVersionError(self.model.problem, self.model.mend)
        return self.model


@dataclass(frozen=True)
class AppIndex:
    """A version of the index, opened: immutable, memory-mapped, safe to share between threads.

    ids: of all apps by row; row_of: the row of each id. impressions: int64 [n], -1 unknown;
    rates: float64 [n], NaN unknown.
    """

    manifest: AppManifest
    ids: tuple[str, ...]
    row_of: dict[str, int]
    metadata: Metadata
    impressions: npt.NDArray[np.int64]
    rates: npt.NDArray[np.float64]
    versions: dict[str, AppVectors]

    @classmethod
    def open(cls, folder: Path) -> "AppIndex":
        """The version in `folder`; every file is checked against its hash.

        Raises FileNotFoundError when it is gone, StoreDamagedError when a part is missing or torn,
        StoreVersionError when another release built it.
        """
        manifest = read_app_manifest(folder)
        require_whole(folder, manifest.files, damaged)
        try:
            with pa.memory_map(str(folder / "apps.arrow")) as file:
                apps = pa.ipc.open_file(file).read_all()
            ids = tuple(apps["app_id"].to_pylist())
            metadata = Metadata.of(apps)
            versions = {
                name: _open_vectors(folder / file_name(name), entry, metadata)
                for name, entry in manifest.versions.items()
            }
        except _UNREADABLE as error:
            raise damaged(folder, str(error)) from error
        return cls(
            manifest,
            ids,
            {app_id: row for row, app_id in enumerate(ids)},
            metadata,
            apps["impressions"].fill_null(-1).to_numpy(),
            apps["rate"].fill_null(np.nan).to_numpy(),
            versions,
        )


def served_manifest(snapshots: Snapshots) -> AppManifest | None:
    """The manifest of what is served; None when there is nothing or it cannot be used."""
    try:
        folder = snapshots.path(snapshots.current())
        manifest = read_app_manifest(folder)
        require_whole(folder, manifest.files, damaged)
    except (NotFoundError, FileNotFoundError, StoreDamagedError, StoreVersionError):
        return None
    return manifest


def _write(folder: Path, name: str, digest: str, source: AppSource) -> AppManifest:
    started = time.perf_counter()
    held = {version: each.read() for version, each in source.versions.items()}
    apps = with_unlisted(source.apps(), [ids for ids, _ in held.values()])
    with pa.OSFile(str(folder / "apps.arrow"), "wb") as file:
        with pa.ipc.new_file(file, INDEXED_SCHEMA) as writer:
            writer.write_table(apps)
    entries = {
        version: _write_version(folder / file_name(version), source, version, apps, *vectors)
        for version, vectors in held.items()
    }
    manifest = AppManifest(
        version=name,
        code=APP_INDEX_CODE,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        digest=digest,
        apps=apps.num_rows,
        versions=entries,
        predicts=source.predicts,
        files=file_hashes(folder),
        seconds=round(time.perf_counter() - started, 3),
    )
    manifest.write(folder)
    return manifest


def _write_version(
    folder: Path, source: AppSource, version: str, apps: pa.Table, ids: list[str], vectors: Vectors
) -> VectorsEntry:
    folder.mkdir()
    row_of = {app_id: row for row, app_id in enumerate(apps["app_id"].to_pylist())}
    rows, usable = _in_order(np.array([row_of[each] for each in ids], np.int64), vectors)
    usable.tofile(folder / "vectors.f32")
    store_vectors(folder, usable, exact_up_to_rows=len(usable))
    np.save(folder / "rows.npy", rows)
    known = Known(usable, Metadata.of(apps.take(rows)))
    newcomers, projection = fit(known, source.encode, source.text_model)
    if projection is not None:
        np.savez(folder / "projection.npz", **asdict(projection))
    given = source.versions[version]
    if given.model is not None:
        (folder / "performance").mkdir()
        given.model(folder / "performance")
    return VectorsEntry(
        rows=len(rows),
        dimension=int(usable.shape[1]),
        digest=given.digest,
        recall=1.0,
        newcomers=newcomers,
        performance=given.figures,
    )


def _in_order(
    rows: npt.NDArray[np.int64], vectors: Vectors
) -> tuple[npt.NDArray[np.int64], Vectors]:
    """Rows and unit vectors in the order of the apps, those without direction left out."""
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
    kept = np.flatnonzero(np.isfinite(lengths) & (lengths > 0.0))
    order = kept[np.argsort(rows[kept], kind="stable")]
    turned = vectors[order] / lengths[order, None]
    return rows[order], np.ascontiguousarray(turned, dtype=np.float32)


def _open_vectors(folder: Path, entry: VectorsEntry, metadata: Metadata) -> AppVectors:
    index = VectorIndex.load(folder, entry.rows, entry.dimension)
    rows = np.load(folder / "rows.npy")
    places = np.full(len(metadata.shown), -1, dtype=np.int64)
    places[rows] = np.arange(len(rows))
    projection = None
    if (folder / "projection.npz").exists():
        with np.load(folder / "projection.npz") as stored:
            projection = Projection(stored["slope"], stored["offset"])
    own = metadata if len(rows) == len(places) else metadata.take(rows)
    return AppVectors(
        entry, index, rows, places, Known(index.vectors, own), projection, _model(folder)
    )


def _model(folder: Path) -> PerformanceModel | StoreVersionError | None:
    path = folder / "performance"
    try:
        return PerformanceModel.load(path) if path.is_dir() else None
    except StoreVersionError as error:
        return error
