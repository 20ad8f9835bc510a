"""The rows that an index is built from, written by row and read again from an older version."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.errors import SchemaError
from embedding_assets.search.index import IndexVersion
from embedding_assets.search.passages import PASSAGE_SCHEMA

_BATCH_ROWS = 4_096

DOCUMENT_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("format", pa.string()),
        pa.field("title", pa.string()),
        pa.field("category", pa.string()),
        pa.field("modified", pa.timestamp("us", "UTC")),
    ]
)
_STORED_DOCUMENTS = pa.schema(
    [*DOCUMENT_SCHEMA, pa.field("digest", pa.string()), pa.field("rows", pa.int32())]
)


def row_schema(dimension: int) -> pa.Schema:
    """The columns of the rows that an index is built from: passage, document, vector."""
    vector = pa.field("vector", pa.list_(pa.float32(), dimension))
    return pa.schema([*PASSAGE_SCHEMA, *DOCUMENT_SCHEMA, vector])


class RowWriter:
    """Writes `vectors.f32` and `passages.arrow`, then `documents.arrow`, into a folder."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self.rows = 0
        self._folder = folder
        self._schema = row_schema(dimension)
        self._vectors = (folder / "vectors.f32").open("wb")
        self._passages = pa.ipc.new_file(str(folder / "passages.arrow"), PASSAGE_SCHEMA)
        self._waiting: list[pa.Table] = []
        self._documents: list[pa.Table] = []
        self._counts: dict[str, int] = {}
        self._last: str | None = None

    def __enter__(self) -> "RowWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._write_passages(0)
        self._passages.close()
        self._vectors.close()

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows (`row_schema`), each document's side by side.

        Raises SchemaError when a column is missing or of another type, when an id or text is
        null, or a vector is not finite.
        """
        rows = _typed(batch, self._schema)
        if rows.num_rows == 0:
            return
        vectors = rows["vector"].combine_chunks().flatten().to_numpy()
        if not np.isfinite(vectors).all():
            raise SchemaError(
                "A vector of the index holds a number that is not finite.",
                "Materialize doc_vectors again.",
            )
        self._vectors.write(np.ascontiguousarray(vectors).data)
        self._note_documents(rows.select(DOCUMENT_SCHEMA.names))
        self._waiting.append(rows.select(PASSAGE_SCHEMA.names))
        self.rows += rows.num_rows
        self._write_passages(_BATCH_ROWS)

    def finish(self, digests: Mapping[str, str]) -> pa.Table:
        """Write the documents with their `digests`, in the order of their rows, and return them.

        Those without any row come last.
        """
        empty = [doc_id for doc_id in digests if doc_id not in self._counts]
        nothing = {name: [None] * len(empty) for name in DOCUMENT_SCHEMA.names}
        self._documents.append(pa.table({**nothing, "doc_id": empty}, DOCUMENT_SCHEMA))
        table = pa.concat_tables(self._documents)
        ids = table["doc_id"].to_pylist()
        if unknown := [doc_id for doc_id in ids if doc_id not in digests]:
            raise ValueError(f"rows of documents that were not asked for: {unknown[:3]}")
        table = table.append_column("digest", pa.array([digests[i] for i in ids], pa.string()))
        counts = pa.array([self._counts.get(i, 0) for i in ids], pa.int32())
        table = table.append_column("rows", counts).cast(_STORED_DOCUMENTS)
        with pa.ipc.new_file(str(self._folder / "documents.arrow"), _STORED_DOCUMENTS) as file:
            file.write_table(table.combine_chunks())
        return table

    def _note_documents(self, rows: pa.Table) -> None:
        """Keep each document's first row, and count its rows."""
        ids = rows["doc_id"].to_numpy()
        starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
        counts = np.diff([*starts, len(ids)])
        first = []
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
            doc_id = ids[start]
            if doc_id != self._last:
                if doc_id in self._counts:
                    raise ValueError(f"the rows of document {doc_id!r} do not stand side by side")
                first.append(start)
            self._counts[doc_id] = self._counts.get(doc_id, 0) + count
            self._last = doc_id
        if first:
            self._documents.append(rows.take(first))

    def _write_passages(self, least: int) -> None:
        if self._waiting and sum(table.num_rows for table in self._waiting) >= least:
            table = pa.concat_tables(self._waiting)
            # A copy: written as it is, a slice carries the bytes of rows that it leaves out.
            compact = table.take(pa.array(np.arange(len(table)))).combine_chunks()
            self._passages.write_table(compact, max_chunksize=_BATCH_ROWS)
            self._waiting = []


def unchanged_documents(version: IndexVersion, digests: Mapping[str, str]) -> npt.NDArray[np.int64]:
    """The positions of the documents that `version` holds with just that digest."""
    ids, held = (version.documents[name].to_pylist() for name in ("doc_id", "digest"))
    pairs = enumerate(zip(ids, held, strict=True))
    return np.array([n for n, (doc_id, own) in pairs if digests.get(doc_id) == own], dtype=np.int64)


def rows_of(version: IndexVersion, documents: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
    """The rows (`row_schema`) of some documents of a version, in ascending order."""
    ends = version.doc_ends[documents]
    starts = ends - version.doc_rows[documents]
    breaks = np.flatnonzero(starts[1:] != ends[:-1]) + 1
    runs = zip(np.split(starts, breaks), np.split(ends, breaks), strict=True)
    for first, last in ((run[0][0], run[1][-1]) for run in runs if len(run[0])):
        for start in range(int(first), int(last), _BATCH_ROWS):
            yield _rows_between(version, start, min(int(last), start + _BATCH_ROWS))


def _rows_between(version: IndexVersion, start: int, end: int) -> pa.RecordBatch:
    rows = np.arange(start, end)
    passages = pa.Table.from_batches(version.passages.between(start, end)).combine_chunks()
    numbers = np.searchsorted(version.doc_ends, rows, side="right")
    documents = version.documents.select(DOCUMENT_SCHEMA.names).take(numbers)
    flat = pa.array(version.vectors.take(rows).reshape(-1))
    schema = row_schema(version.manifest.model.dimension)
    vectors = pa.FixedSizeListArray.from_arrays(flat, version.manifest.model.dimension)
    columns = [*passages.columns, *documents.columns, vectors]
    return pa.table(columns, schema=schema).combine_chunks().to_batches()[0]


def _typed(batch: pa.RecordBatch, schema: pa.Schema) -> pa.Table:
    missing = [name for name in schema.names if name not in batch.schema.names]
    if missing:
        raise SchemaError(
            f"The rows for the index lack {', '.join(missing)}.",
            f"They need the columns {', '.join(schema.names)}.",
        )
    try:
        table = pa.Table.from_batches([batch]).select(schema.names).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise SchemaError(
            f"The rows for the index have other types: {error}.", f"They need {schema}."
        ) from error
    for name in ("chunk_id", "doc_id", "text", "vector"):
        if table[name].null_count:
            raise SchemaError(
                f"The column {name} of the rows for the index holds nulls.", "Leave such rows out."
            )
    return table


def passage_texts(passages: list[pa.RecordBatch], documents: pa.Table) -> Iterator[str]:
    """What the keyword search reads of each row: title, headings and text."""
    titles = pc.fill_null(documents["title"], "").to_pylist()
    counts = documents["rows"].to_pylist()
    by_row = (title for title, count in zip(titles, counts, strict=True) for _ in range(count))
    for batch in passages:
        headings, texts = batch["heading_path"].to_pylist(), batch["text"].to_pylist()
        for path, text in zip(headings, texts, strict=True):
            yield "\n".join([next(by_row), *(path or ()), text])
