"""Tables kept as one Parquet file per partition, each replaced whole or not at all."""

import errno
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from upath import UPath

from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.storage.files import file_name, published
from embedding_assets.storage.slices import Footer, Slice, Written

_FOOTER = b"embedding_assets"
_ROW_GROUP = 16_384


@dataclass(frozen=True)
class ParquetTable:
    """A table in its own folder: `<folder>/<partition>.parquet`, or `<folder>/<name>.parquet`."""

    folder: UPath

    @classmethod
    def at(cls, folder: Path | str) -> "ParquetTable":
        """The table in `folder`: a local path, or a URL such as `s3://bucket/raw_records`."""
        return cls(UPath(folder))

    @property
    def name(self) -> str:
        """What the table is called."""
        return self.folder.name

    def path(self, key: str | None = None) -> UPath:
        """Where the rows of a partition stand, whether they exist or not."""
        return self.folder / f"{file_name(key or self.name)}.parquet"

    def write(self, part: Slice) -> Written:
        """Replace a partition by the rows of `part`, unless it holds them already.

        Raises OutputError subclasses and whatever the slice's batches raise; the stored
        partition is then as it was.
        """
        stored = self.footer(part.key)
        if stored is not None and stored.digest == part.digest:
            return Written(stored, replaced=False)
        rows = 0
        with published(self.path(part.key)) as staged:
            with pq.ParquetWriter(staged, part.schema, compression="zstd") as writer:
                for batch in part.batches():
                    rows += batch.num_rows
                    writer.write_batch(batch, row_group_size=_ROW_GROUP)
                footer = Footer(part.key, part.digest, rows, part.stats)
                writer.add_key_value_metadata({_FOOTER: footer.to_json().encode()})
        return Written(footer, replaced=True)

    def footer(self, key: str | None = None) -> Footer | None:
        """What is known of a partition; None when it was never written.

        Raises StoreDamagedError when the file is there but was not written by this class.
        """
        return self._read_footer(self.path(key))

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

    def remove(self, key: str) -> None:
        """Forget a partition."""
        self.path(key).unlink(missing_ok=True)

    def _read_footer(self, path: UPath) -> Footer | None:
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


def is_damage(error: Exception) -> bool:
    """Whether a Parquet file was found torn or altered, and not merely out of reach."""
    if isinstance(error, OSError):
        return error.errno in (None, errno.EISDIR)
    return isinstance(error, pa.ArrowInvalid)


def _filesystem(folder: UPath) -> object:
    return None if folder.protocol in ("", "file", "local") else folder.fs
