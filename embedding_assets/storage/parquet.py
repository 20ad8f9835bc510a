"""Tables kept as one Parquet file per partition, each replaced whole or not at all."""

import errno
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from upath import UPath

from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.storage.files import file_name, flush, is_local, published
from embedding_assets.storage.guard import OPEN, Guard
from embedding_assets.storage.slices import Footer, Slice, Written

_FOOTER = b"embedding_assets"
_ROW_GROUP = 16_384
_FOOTERS: dict[str, tuple[tuple[int, int, int], Footer]] = {}
"""By path: the file's state, and its footer as it was read in that state. A partition is replaced
by rename, so that another file has another state."""


@dataclass(frozen=True)
class ParquetTable:
    """A table in its own folder: `<folder>/<partition>.parquet`, or `<folder>/<name>.parquet`.

    guard: keeps out what was forgotten.
    """

    folder: UPath
    guard: Guard = field(default=OPEN, compare=False, repr=False)

    @classmethod
    def at(cls, folder: Path | str, guard: Guard = OPEN) -> "ParquetTable":
        """The table in `folder`: a local path, or a URL such as `s3://bucket/raw_records`."""
        return cls(UPath(folder), guard)

    @property
    def name(self) -> str:
        """What the table is called."""
        return self.folder.name

    def path(self, key: str | None = None) -> UPath:
        """Where the rows of a partition stand, whether they exist or not."""
        return self.folder / f"{file_name(key or self.name)}.parquet"

    def write(self, part: Slice, *, settle: bool = True) -> Written:
        """Replace a partition by the rows of `part`, unless it holds them already.

        settle: False leaves it to `settle` to make many small partitions durable at once.

        Raises OutputError subclasses and whatever the slice's batches raise; the stored
        partition is then as it was.
        """
        stored = self.footer(part.key)
        if stored is not None and stored.digest == part.digest:
            return Written(stored, replaced=False)
        return self.replace(part, settle=settle)

    def replace(self, part: Slice, *, settle: bool = True) -> Written:
        """Replace a partition by the rows of `part`, whatever it holds.

        Forgotten rows are left out, and nothing is written of a partition that was forgotten;
        the rows are drawn again when something was forgotten meanwhile. Raises what `write` does.
        """
        nothing = Written(Footer(part.key, part.digest, 0, part.stats), replaced=False)
        try:
            with ExitStack() as held, published(self.path(part.key), settle=settle) as staged:
                while True:
                    seen = self.guard.state()
                    self._require_remembered(part)
                    footer = self._fill(staged, part)
                    flush(staged)
                    held.enter_context(self.guard.held())
                    if self.guard.state() == seen:
                        break
                    held.close()
        except _ForgottenError:
            return nothing
        return Written(footer, replaced=True)

    def _require_remembered(self, part: Slice) -> None:
        if not self.guard.admits(part.key):
            raise _ForgottenError

    def _fill(self, staged: Path, part: Slice) -> Footer:
        rows = 0
        with pq.ParquetWriter(staged, part.schema, compression="zstd") as writer:
            for batch in map(self.guard.kept, part.batches()):
                rows += batch.num_rows
                writer.write_batch(batch, row_group_size=_ROW_GROUP)
            footer = Footer(part.key, part.digest, rows, part.stats)
            writer.add_key_value_metadata({_FOOTER: footer.to_json().encode()})
        return footer

    def settle(self) -> None:
        """Return only when every partition written so far is durable."""
        if is_local(self.folder) and self.folder.exists():
            flush(Path(self.folder.path))

    def footer(self, key: str | None = None) -> Footer | None:
        """What is known of a partition; None when it was never written.

        Raises StoreDamagedError when the file is there but was not written by this class.
        """
        if is_local(self.folder):  # without a path object: there may be tens of thousands
            return self._local_footer(f"{self.folder.path}/{file_name(key or self.name)}.parquet")
        return self._parsed_footer(self.path(key))

    def footers(self, keys: Iterable[str]) -> dict[str, Footer]:
        """The footers of those `keys` that were written."""
        found = ((key, self.footer(key)) for key in keys)
        return {key: footer for key, footer in found if footer is not None}

    def keys(self) -> list[str]:
        """The partitions that exist, sorted."""
        if not self.folder.exists():
            return []
        files = [path for path in self.folder.iterdir() if path.name.endswith(".parquet")]
        footers = (self._read_footer(path) for path in files)
        return sorted(footer.key for footer in footers if footer is not None and footer.key)

    def dataset(self, keys: Sequence[str] | None = None) -> ds.Dataset:
        """The rows of those `keys` that exist (all when None) as one lazily read dataset.

        Raises NotFoundError when none of them exists.
        """
        if keys is not None:
            names: Sequence[str | None] = keys
        else:
            names = [None] if self.path().exists() else self.keys()
        paths = [path for name in names if (path := self.path(name)).exists()]
        if not paths:
            raise NotFoundError(
                f"Nothing of {self.name} is stored in {self.folder}.", "Materialize it first."
            )
        return ds.dataset([p.path for p in paths], filesystem=_filesystem(self.folder))

    def batches(
        self, keys: Sequence[str] | None, batch_rows: int, columns: list[str] | None = None
    ) -> Iterator[pa.RecordBatch]:
        """The rows of those `keys` (see `dataset`) in batches, read only just ahead of their use.

        pyarrow's own default reads 16 batches of 4 files ahead: gigabytes of long vectors.
        """
        ahead = {"batch_readahead": 1, "fragment_readahead": 1}
        yield from self.dataset(keys).to_batches(columns=columns, batch_size=batch_rows, **ahead)

    def read(self, key: str | None = None) -> pa.Table:
        """All rows of one partition."""
        return self.dataset(None if key is None else [key]).to_table()

    def remove(self, key: str | None) -> bool:
        """Remove a partition; whether it was there."""
        try:
            self.path(key).unlink()
        except FileNotFoundError:
            return False
        return True

    def _read_footer(self, path: UPath) -> Footer | None:
        return self._local_footer(path.path) if is_local(path) else self._parsed_footer(path)

    def _local_footer(self, path: str) -> Footer | None:
        """The footer of a file, which is not opened again when it was read before."""
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return None
        state = (found.st_ino, found.st_mtime_ns, found.st_size)
        known = _FOOTERS.get(path)
        if known is None or known[0] != state:
            footer = self._parsed_footer(Path(path))
            if footer is None:
                return None
            known = _FOOTERS[path] = (state, footer)
        footer = known[1]
        return Footer(footer.key, footer.digest, footer.rows, dict(footer.stats))

    def _parsed_footer(self, path: UPath | Path) -> Footer | None:
        try:
            with path.open("rb") as file:
                metadata = pq.read_metadata(file)
            entry = json.loads((metadata.metadata or {})[_FOOTER])
        except FileNotFoundError:
            return None
        except (OSError, KeyError, ValueError) as error:
            if isinstance(error, OSError) and not is_damage(error):
                raise
            raise StoreDamagedError(
                f"{path} is not a partition of {self.name} as it was written.",
                "Delete the file and materialize the partition again.",
            ) from error
        return Footer(entry["key"], entry["digest"], metadata.num_rows, entry["stats"])


class _ForgottenError(Exception):
    """The partition was forgotten."""


def is_damage(error: Exception) -> bool:
    """Whether a Parquet file was found torn or altered, and not merely out of reach."""
    if isinstance(error, OSError):
        return error.errno in (None, errno.EISDIR)
    return isinstance(error, pa.ArrowInvalid)


def _filesystem(folder: UPath) -> object:
    return None if folder.protocol in ("", "file", "local") else folder.fs
