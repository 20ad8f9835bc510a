"""The tables of apps as slices: read only when their files, or what they rest on, have changed."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

import pyarrow as pa
import structlog

from embedding_assets.apps.outcomes import AppOutcomes
from embedding_assets.apps.performance import PERFORMANCE_CODE, PerformanceModel
from embedding_assets.apps.tables import (
    CATALOGUE_SCHEMA,
    PERFORMANCE_SCHEMA,
    REJECT_SCHEMA,
    VECTOR,
    Read,
    read_app_vectors,
    read_catalogue,
    read_performance,
)
from embedding_assets.errors import InputError, InputNotFoundError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Stats, digest_of

READER_CODE = "1"
"""Changes whenever the same files would be read otherwise."""
APP_VECTOR_SCHEMA = VECTOR.append(pa.field("version", pa.string(), nullable=False))
MODEL_SCHEMA = pa.schema(
    [
        pa.field("version", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("content", pa.large_binary(), nullable=False),
    ]
)
"""A model of performance: its files, whole."""
_BATCH_ROWS = 8_192
_SETTLED_SECONDS = 5.0
_HASHES: dict[Path, tuple[tuple[int, ...], str]] = {}
"""By file: its state, and its hash in that state."""
_log = structlog.get_logger()


@dataclass(frozen=True)
class AppFiles:
    """The files of apps in a folder: the catalogue, one of vectors per version, what was observed,
    and what was observed since."""

    folder: Path

    @property
    def catalogue(self) -> Path:
        """The apps' names, categories and platforms."""
        return self.folder / "sample_apps.csv"

    def vectors(self, version: str) -> Path:
        """The vectors of a version."""
        return self.folder / f"mock_embeddings_{version}.pkl"

    @property
    def performance(self) -> list[Path]:
        """Clicks and impressions: the history, then each file of `outcomes/`, by name."""
        later = sorted((self.folder / "outcomes").glob("*.csv"))
        return [self.folder / "historical_performance.csv", *later]

    def all(self, versions: Iterable[str]) -> list[Path]:
        """Every file, whether it exists or not."""
        return [self.catalogue, *map(self.vectors, versions), *self.performance]

    def name(self, path: Path) -> str:
        """A file as people know it, below the folder."""
        return path.relative_to(self.folder).as_posix()


def last_good(table: ParquetTable, key: str | None, make: Callable[[], Slice]) -> Slice:
    """The slice that `make` gives, its rows read already; or, where its file cannot be read, what
    `table` has stored of it.

    Raises InputError when it cannot be read and nothing is stored of it, InputNotFoundError when
    it is not there.
    """
    stored = table.footer(key)
    try:
        part = make()
        if stored is not None and stored.digest == part.digest:
            return part
        batches = list(part.batches())
    except InputError as error:
        if stored is None or isinstance(error, InputNotFoundError):
            raise
        _log.warning("app_file_unreadable", asset=table.name, key=key, problem=error.problem)
        return Slice(key, stored.digest, table.dataset([key] if key else None).schema, list, {})
    return replace(part, batches=lambda: batches)


def catalogue_slice(files: AppFiles) -> Slice:
    """The apps, one row each. Raises InputNotFoundError."""
    return _read_slice(None, CATALOGUE_SCHEMA, [files.catalogue], [read_catalogue])


def vectors_slice(files: AppFiles, version: str, catalogue: ParquetTable) -> Slice:
    """The vectors of a version. Raises InputNotFoundError."""
    path = files.vectors(version)

    def read(path: Path) -> Read:
        found = read_app_vectors(path, catalogue.read())
        versions = pa.array([version] * len(found.table), pa.string())
        return Read(
            found.table.append_column(APP_VECTOR_SCHEMA.field("version"), versions),
            found.rejects,
            found.notes,
        )

    return _read_slice(version, APP_VECTOR_SCHEMA, [path], [read], _digest(catalogue))


def performance_slice(files: AppFiles) -> Slice:
    """Clicks and impressions of each app, summed over all files. Raises InputNotFoundError."""
    paths = files.performance
    return _read_slice(None, PERFORMANCE_SCHEMA, paths, [read_performance] * len(paths))


def reject_slices(
    files: AppFiles, versions: Iterable[str], catalogue: ParquetTable
) -> Iterator[Slice]:
    """What could not be used of each file that exists."""
    readers: dict[Path, Callable[[Path], Read]] = {files.catalogue: read_catalogue}
    readers |= {
        files.vectors(each): lambda path: read_app_vectors(path, catalogue.read())
        for each in versions
    }
    readers |= dict.fromkeys(files.performance, read_performance)
    for path, read in readers.items():
        if path.exists():
            yield _reject_slice(files.name(path), path, read, _digest(catalogue))


def model_slice(
    version: str, catalogue: ParquetTable, vectors: ParquetTable, performance: ParquetTable
) -> Slice:
    """The model of performance of a version: its files."""
    digests = [_digest(catalogue), _digest(vectors, version), _digest(performance)]
    stats: Stats = {}

    def batches() -> Iterator[pa.RecordBatch]:
        outcomes = AppOutcomes.from_tables(
            catalogue.read(), vectors.read(version), performance.read()
        )
        model = PerformanceModel.fit(outcomes)
        stats.update(model.evaluation.figures(), has_signal=model.has_signal)
        with tempfile.TemporaryDirectory(prefix="embedding_assets-") as name:
            folder = Path(name)
            model.save(folder)
            for path in sorted(folder.iterdir()):
                row = {"version": version, "file": path.name, "content": path.read_bytes()}
                yield pa.RecordBatch.from_pylist([row], MODEL_SCHEMA)

    digest = digest_of("performance_model", PERFORMANCE_CODE, *digests)
    return Slice(version, digest, MODEL_SCHEMA, batches, stats)


def write_model(table: ParquetTable, version: str, folder: Path) -> None:
    """Put the files of a stored model into `folder`."""
    for row in table.read(version).to_pylist():
        (folder / row["file"]).write_bytes(row["content"])


def summed(tables: list[pa.Table]) -> pa.Table:
    """The counts of each app over all tables (PERFORMANCE_SCHEMA), apps in first-seen order; what
    no table knows of an app stays unknown."""
    together = pa.concat_tables(tables)
    counts = [name for name in PERFORMANCE_SCHEMA.names if name != "app_id"]
    found = together.group_by("app_id", use_threads=False).aggregate(
        [(name, "sum") for name in counts]
    )
    columns = [found["app_id"], *(found[f"{name}_sum"] for name in counts)]
    return pa.table(columns, names=["app_id", *counts]).cast(PERFORMANCE_SCHEMA)


def _read_slice(
    key: str | None,
    schema: pa.Schema,
    paths: list[Path],
    readers: list[Callable[[Path], Read]],
    *parts: str,
) -> Slice:
    stats: Stats = {}

    def batches() -> list[pa.RecordBatch]:
        read = [one(path) for one, path in zip(readers, paths, strict=True)]
        for each in read:
            for name, value in each.notes.items():
                stats[name] = stats.get(name, 0) + value
        stats["rejected"] = sum(each.rejects.num_rows for each in read)
        table = read[0].table if len(read) == 1 else summed([each.table for each in read])
        found: list[pa.RecordBatch] = table.cast(schema).to_batches(max_chunksize=_BATCH_ROWS)
        return found

    return Slice(key, digest_of(READER_CODE, *map(_sha256, paths), *parts), schema, batches, stats)


def _reject_slice(name: str, path: Path, read: Callable[[Path], Read], *parts: str) -> Slice:
    def batches() -> list[pa.RecordBatch]:
        try:
            rejects = read(path).rejects
        except InputError as error:  # the file as a whole
            row = {"file": name, "reason": f"{error.problem} {error.mend}"}
            rejects = pa.Table.from_pylist([row], REJECT_SCHEMA)
        found: list[pa.RecordBatch] = rejects.cast(REJECT_SCHEMA).to_batches()
        return found

    return Slice(name, digest_of(READER_CODE, _sha256(path), *parts), REJECT_SCHEMA, batches)


def _digest(table: ParquetTable, key: str | None = None) -> str:
    """What is stored, by its digest; nothing has one too."""
    footer = table.footer(key)
    return footer.digest if footer else ""


def _sha256(path: Path) -> str:
    """Hashed once in this process while the file stays as it is; not where it was written just now,
    and could still change within the same moment."""
    try:
        found = path.stat()
        stamp = found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        known, digest = _HASHES.get(path, ((), ""))
        if known != stamp:
            with path.open("rb") as file:
                digest = file_digest(file, "sha256").hexdigest()
            if time.time() - found.st_ctime > _SETTLED_SECONDS:
                _HASHES[path] = stamp, digest
        return digest
    except FileNotFoundError:
        raise InputNotFoundError(
            f"{path} does not exist.",
            "Put it there, name another folder in apps.source, or other versions in "
            "apps.versions; `python data/generate_data.py --apps FOLDER` makes samples.",
        ) from None
