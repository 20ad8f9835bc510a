"""Tables of nearest neighbours: for every account or item its most similar others."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import NotFoundError
from embedding_assets.search.exact import Neighbours, nearest_of_each
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, digest_of

SIMILAR_CODE = "1"
_BATCH_ROWS = 4_096


@dataclass(frozen=True)
class Neighbour:
    """One of the nearest rows: its rank from 1, its id and text, and the cosine."""

    rank: int
    id: str
    text: str
    score: float


def neighbours(
    found: Neighbours, ids: pa.Array, texts: pa.ChunkedArray, top: int, without: int
) -> list[Neighbour]:
    """The neighbours of one query in words, the row `without` left out."""
    rows, scores = found.rows[0], found.scores[0]
    kept = [(int(r), float(s)) for r, s in zip(rows, scores, strict=True) if r != without][:top]
    return [
        Neighbour(rank, ids[row].as_py(), texts[row].as_py(), score)
        for rank, (row, score) in enumerate(kept, 1)
    ]


def similar_schema(id_column: str) -> pa.Schema:
    """`id_column`, its neighbour's rank from 1, the neighbour, and their cosine."""
    return pa.schema(
        [
            pa.field(id_column, pa.string()),
            pa.field("rank", pa.int32()),
            pa.field(f"similar_{id_column}", pa.string()),
            pa.field("score", pa.float32()),
        ]
    )


def similar_digest(source_digest: str, top: int) -> str:
    """The digest of the neighbours within the slice with that digest."""
    return digest_of("similar", SIMILAR_CODE, source_digest, top)


def similar_slice(table: ParquetTable, id_column: str, top: int) -> Slice:
    """For each row of `table` its `top` nearest others by cosine, exact (`similar_schema`)."""
    footer = table.footer()
    digest = similar_digest(footer.digest if footer else "", top)
    schema = similar_schema(id_column)

    def batches() -> Iterator[pa.RecordBatch]:
        with matrix_of(table, id_column) as (ids, vectors):
            for start, found in nearest_of_each(vectors, top):
                yield _rows(ids, start, found, schema)

    return Slice(None, digest, schema, batches, {"top": top})


@contextmanager
def matrix_of(table: ParquetTable, id_column: str) -> Iterator[tuple[pa.Array, Vectors]]:
    """The ids and vectors of a table, as `rows_and_matrix` reads them: ([n], float32 [n, d])."""
    with rows_and_matrix(table, [id_column]) as (rows, matrix):
        yield rows[id_column].combine_chunks(), matrix


@contextmanager
def rows_and_matrix(table: ParquetTable, columns: list[str]) -> Iterator[tuple[pa.Table, Vectors]]:
    """Some columns of a table without partitions, and its vectors as a memory map, float32 [n, d].

    The vectors stand in a list column `embedding` or in `embedding_0` … `embedding_N`. All is of
    one file, though the table may be replaced meanwhile. Raises NotFoundError when none is stored.
    """
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as folder:
        with _opened(table) as file:
            found = _read(file, columns, Path(folder) / "vectors.f32")
        yield found


def _opened(table: ParquetTable) -> pq.ParquetFile:
    path = table.path()
    try:
        return pq.ParquetFile(path.path, filesystem=path.fs)
    except FileNotFoundError as error:
        raise NotFoundError(
            f"Nothing of {table.name} is stored in {table.folder}.", "Materialize it first."
        ) from error


def _read(file: pq.ParquetFile, columns: list[str], path: Path) -> tuple[pa.Table, Vectors]:
    schema, rows = file.schema_arrow, file.metadata.num_rows
    numbers = [n for n in schema.names if n == "embedding" or n.startswith("embedding_")]
    kind = schema.field(numbers[0]).type
    shape = (rows, kind.list_size if numbers == ["embedding"] else len(numbers))
    matrix: Vectors = (
        np.memmap(path, dtype=np.float32, mode="w+", shape=shape)
        if rows
        else np.empty(shape, dtype=np.float32)
    )
    kept: list[pa.RecordBatch] = []
    start = 0
    for batch in file.iter_batches(_BATCH_ROWS, columns=[*columns, *numbers]):
        matrix[start : start + len(batch)] = _vectors(batch, numbers)
        kept.append(batch.select(columns))
        start += len(batch)
    return pa.Table.from_batches(kept, pa.schema([schema.field(name) for name in columns])), matrix


def _vectors(batch: pa.RecordBatch, columns: list[str]) -> Vectors:
    if columns == ["embedding"]:
        flat: Vectors = batch["embedding"].flatten().to_numpy()
        return flat.reshape(len(batch), -1)
    return np.column_stack([batch[name].to_numpy() for name in columns])


def _rows(ids: pa.Array, start: int, found: Neighbours, schema: pa.Schema) -> pa.RecordBatch:
    n, k = found.rows.shape
    own = np.repeat(np.arange(start, start + n), k)
    ranks = np.tile(np.arange(1, k + 1, dtype=np.int32), n)
    others = found.rows.reshape(-1)
    columns = [ids.take(pa.array(own)), pa.array(ranks), ids.take(pa.array(others))]
    return pa.RecordBatch.from_arrays([*columns, pa.array(found.scores.reshape(-1))], schema=schema)
