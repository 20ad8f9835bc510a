"""Parquet files that appear whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_whole(target: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Writes beside `target`, one row group for each batch, then takes its place.

    Raises OSError when that fails; what stood at `target` is then still there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with beside.open("wb") as file:
            with pq.ParquetWriter(
                file, schema, compression="zstd", dictionary_pagesize_limit=2**23
            ) as writer:
                for batch in batches:
                    writer.write_batch(batch)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
