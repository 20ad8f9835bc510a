"""The apps that the settings name: files, what is stored of them, the index and its service."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.apps.index import (
    AppIndex,
    AppSource,
    BuiltAppIndex,
    VectorSource,
    build_app_index,
    served_manifest,
)
from embedding_assets.apps.listing import listed_apps
from embedding_assets.apps.manifest import AppManifest, read_app_manifest
from embedding_assets.apps.slices import (
    AppFiles,
    catalogue_slice,
    last_good,
    model_slice,
    performance_slice,
    reject_slices,
    vectors_slice,
    write_model,
)
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError, InputNotFoundError, NotFoundError
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of

if TYPE_CHECKING:
    from embedding_assets.apps.service import SimilarityService
    from embedding_assets.workspace import Workspace

APP_ASSETS = (
    "app_catalogue", "app_vectors", "app_performance", "performance_model", "quarantined_app_rows",
)  # fmt: skip
"""Parquet assets of apps."""


class Catalogue:
    """The apps of a workspace."""

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self.versions = workspace.settings.apps.versions
        self.files = AppFiles(Path(workspace.settings.apps.source).expanduser())

    def table(self, asset: str) -> ParquetTable:
        """The Parquet files of an asset."""
        return self._workspace.table(asset)

    @property
    def snapshots(self) -> Snapshots:
        """The versions of the app index."""
        folder = app_index_folder(self._workspace.seat_dir)
        return Snapshots(folder, self._workspace.settings.storage.lock_timeout_seconds)

    @cached_property
    def service(self) -> "SimilarityService":
        """Similar apps and predictions from the current version of the index; new apps are read by
        the model that the index was built with, loaded with the first that needs it."""
        from embedding_assets.apps.service import SimilarityService

        return SimilarityService(self.snapshots, self._workspace.encoder_of)

    def signature(self) -> str:
        """Changes whenever a file appears, changes or goes; no file is read for it."""
        stamps = [(self.files.name(path), *_stamp(path)) for path in self._all_files()]
        return digest_of(*stamps)

    def missing(self) -> list[Path]:
        """The files that a run needs and that are not there."""
        return [path for path in self._all_files() if not path.is_file()]

    def catalogue_slice(self) -> Slice:
        """The apps; what is stored of them while their file cannot be read."""
        return last_good(self.table("app_catalogue"), None, self._catalogue_slice)

    def vector_slices(self, versions: Iterable[str]) -> Iterator[Slice]:
        """The vectors of some versions; what is stored of one whose file cannot be read.

        Raises InputError, after the others, for one that is missing, and when nothing can be read
        nor is stored.
        """
        table, refused, given = self.table("app_vectors"), [], 0
        for version in sorted(versions):
            try:
                part = last_good(table, version, partial(self._vectors_slice, version))
            except InputError as error:
                refused.append(error)
                continue
            given += 1
            yield part
        absent = [error for error in refused if isinstance(error, InputNotFoundError)]
        if absent or (refused and not given):
            raise [*absent, *refused][0]

    def performance_slice(self) -> Slice:
        """What came of showing the apps; what is stored of it while a file cannot be read."""
        return last_good(self.table("app_performance"), None, self._performance_slice)

    def model_slices(self, versions: Iterable[str]) -> Iterator[Slice]:
        """What predicts performance from the vectors of some versions, where any are stored."""
        catalogue, performance = self.table("app_catalogue"), self.table("app_performance")
        for version in sorted(set(versions) & set(self.table("app_vectors").keys())):
            yield model_slice(version, catalogue, self.table("app_vectors"), performance)

    def reject_slices(self) -> list[Slice]:
        """What could not be used of each file; what was kept of files that are gone goes away."""
        slices = list(reject_slices(self.files, self.versions, self.table("app_catalogue")))
        table = self.table("quarantined_app_rows")
        for key in set(table.keys()) - {each.key for each in slices}:
            table.remove(key)
        return slices

    def is_stale(self) -> bool:
        """Whether a run would change what is stored or served."""
        slices = [
            ("app_catalogue", self._catalogue_slice()),
            ("app_performance", self._performance_slice()),
            *(("app_vectors", self._vectors_slice(each)) for each in self.versions),
            *(("performance_model", each) for each in self.model_slices(self.versions)),
        ]
        stored = ((self.table(asset).footer(each.key), each) for asset, each in slices)
        if any(footer is None or footer.digest != each.digest for footer, each in stored):
            return True
        served = served_manifest(self.snapshots)
        return served is None or served.digest != self._source().content_digest

    def build_index(self) -> BuiltAppIndex:
        """Serve an index of exactly what is stored of the apps.

        Raises NotFoundError while nothing is stored.
        """
        return build_app_index(
            self.snapshots, self._source(), self._workspace.settings.search.keep_versions
        )

    def served(self) -> AppManifest | None:
        """The manifest of the version that answers; None before the first."""
        try:
            return read_app_manifest(self.snapshots.path(self.snapshots.current()))
        except NotFoundError:
            return None

    def kept(self) -> list[AppManifest]:
        """The manifests of the versions of the index that are kept, oldest first."""
        return [read_app_manifest(self.snapshots.path(name)) for name in self.snapshots.names()]

    def roll_back(self) -> AppManifest:
        """Serve the version of the index before the current one.

        Raises NotFoundError when there is none, StoreDamagedError when it cannot be served.
        """
        return read_app_manifest(self.snapshots.path(self.snapshots.rollback(AppIndex.open)))

    def _catalogue_slice(self) -> Slice:
        return catalogue_slice(self.files)

    def _vectors_slice(self, version: str) -> Slice:
        return vectors_slice(self.files, version, self.table("app_catalogue"))

    def _performance_slice(self) -> Slice:
        return performance_slice(self.files)

    def _source(self) -> AppSource:
        stored = [each for each in self.versions if self.table("app_vectors").footer(each)]
        versions = {version: self._vector_source(version) for version in stored}
        figures = {name: each.figures or {} for name, each in versions.items() if each.model}
        catalogue, performance = self.table("app_catalogue"), self.table("app_performance")
        if not versions:
            raise NotFoundError(
                "No vectors of apps are stored.", "Materialize app_catalogue and app_vectors."
            )
        return AppSource(
            digest=digest_of(*(_digest(each) for each in (catalogue, performance))),
            apps=lambda: listed_apps(catalogue.read(), performance.read()),
            versions=versions,
            predicts=_best(figures),
            encode=self._encode,
            text_model=self._workspace.fingerprint,
        )

    def _vector_source(self, version: str) -> VectorSource:
        vectors, models = self.table("app_vectors"), self.table("performance_model")
        model = models.footer(version)
        return VectorSource(
            digest=digest_of(_digest(vectors, version), model.digest if model else None),
            read=lambda: _read_vectors(vectors, version),
            model=(lambda folder: write_model(models, version, folder)) if model else None,
            figures=dict(model.stats) if model else None,
        )

    def _encode(self, texts: Sequence[str]) -> Vectors:
        workspace = self._workspace
        return workspace.vectors.encode(texts, workspace.encoder).encoding.vectors

    def _all_files(self) -> list[Path]:
        return self.files.all(self.versions)


def app_index_folder(folder: Path) -> Path:
    """Where the versions of a model's app index are, below its seat's folder."""
    return folder / "indexes" / "apps"


def _best(figures: dict[str, dict[str, float]]) -> str | None:
    """The version whose model expects the clicks of unseen apps best; the first where it was not
    measured."""
    return min(figures, key=lambda name: figures[name].get("log_loss_best", np.inf), default=None)


def _read_vectors(table: ParquetTable, version: str) -> tuple[list[str], Vectors]:
    rows = table.read(version)
    ids: list[str] = rows["app_id"].to_pylist()
    flat = rows["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors: Vectors = flat.astype(np.float32, copy=False).reshape(len(ids), -1 if len(ids) else 0)
    return ids, vectors


def _digest(table: ParquetTable, key: str | None = None) -> str:
    footer = table.footer(key)
    return footer.digest if footer else ""


def _stamp(path: Path) -> tuple[int, int, int] | tuple[()]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
