"""Tables of labelled texts: CSV, TSV, Parquet and JSON Lines."""

import csv
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.documents.classify.labels import LabelledRow
from embedding_assets.documents.own_files import csv_rows, is_whole
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError

TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
_TEXT, _LABELS = "text", ("label", "category")
_LONGEST_FIELD = 2**24
_BATCH_ROWS = 2_048


def read_table(path: Path) -> Iterator[LabelledRow]:
    """The rows of a table, read just ahead of their use.

    Raises InputNotFoundError, UnreadableInputError, SchemaError naming the missing column.
    """
    readers = {
        ".parquet": _parquet_rows,
        ".jsonl": _json_rows,
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
    }
    if not os.path.exists(path):
        raise InputNotFoundError(f"{path} does not exist.", "Put it there, or name another file.")
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnreadableInputError(
            f"{path} is no table of labelled texts.",
            f"Name a file that ends in {', '.join(TABLES)}.",
        )
    try:
        yield from reader(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error}.", "Write it anew, as UTF-8 where it is text."
        ) from error


def _parquet_rows(path: Path) -> Iterator[LabelledRow]:
    with pq.ParquetFile(path) as file:
        label = _label_column(path, file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH_ROWS, columns=[_TEXT, label]):
            pairs = zip(batch[_TEXT].to_pylist(), batch[label].to_pylist(), strict=True)
            yield from (_row(text, name) for text, name in pairs)


def _json_rows(path: Path) -> Iterator[LabelledRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
                if not isinstance(entry, dict):
                    raise ValueError("it is no object")
                label = _label_column(path, [*entry], f" in line {number}")
                row = _row(entry[_TEXT], entry[label])
            except (ValueError, RecursionError) as error:
                raise ValueError(f"line {number}: {error}") from None
            yield row


def _csv_rows(path: Path) -> Iterator[LabelledRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        rows = csv_rows(file, path, max(",;\t|", key=head.count))
        names = [name.strip().lower() for name in next(rows, [])]
        label = names.index(_label_column(path, names))
        text = names.index(_TEXT)
        for fields in rows:
            yield LabelledRow(*(fields[at] if at < len(fields) else None for at in (text, label)))


def _row(text: Any, label: Any) -> LabelledRow:
    if label is not None and not is_whole(str(label)):
        raise ValueError(f"the label {str(label)[:80]!r} has half a letter")
    return LabelledRow(*(None if each is None else str(each) for each in (text, label)))


def _label_column(path: Path, names: Sequence[str], where: str = "") -> str:
    label = next((name for name in _LABELS if name in names), None)
    if _TEXT not in names or label is None:
        lacks = _TEXT if _TEXT not in names else "label"
        raise SchemaError(
            f'{path} has no column "{lacks}"{where}.',
            'It needs the columns "text" and "label" (or "category").',
        )
    return label
