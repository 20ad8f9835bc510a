"""The units of an experiment that ran elsewhere, read from a CSV file of any size."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from embedding_assets.errors import (
    EmptyInputError,
    InputNotFoundError,
    SchemaError,
    UnreadableInputError,
)

_HEAD = 1 << 16
_BLOCK = 1 << 24
_MERGE_ROWS = 2_000_000
_MOST = 1e50  # fourth powers of sums must stay finite
_DELIMITERS = ",;\t|"
_SUMS = [("value", "sum"), ("x", "sum"), ("known", "sum"), ("order", "min")]


@dataclass(frozen=True)
class Columns:
    """Where a file holds what.

    metric: numbers; covariate: a number from before the experiment, may be empty; time: ISO times
    or numbers, by which units are ordered; without it the order is that of the file.
    """

    unit: str
    variant: str
    metric: str
    covariate: str | None = None
    time: str | None = None

    @property
    def names(self) -> list[str]:
        """All columns that are read."""
        named = (self.unit, self.variant, self.metric, self.covariate, self.time)
        return list(dict.fromkeys(name for name in named if name is not None))


@dataclass(frozen=True)
class Units:
    """One entry per unit, in order; all arrays have one length.

    variants: names; values: sums over the unit's rows; covariates: means over its rows, NaN where
    it has none. excluded: units that were seen in more than one variant and are left out.
    """

    variants: npt.NDArray[np.object_]
    values: npt.NDArray[np.float64]
    covariates: npt.NDArray[np.float64]
    rows: int
    excluded: int


def read_units(path: Path, columns: Columns) -> Units:
    """The units of a CSV file, plain or compressed, block by block.

    Memory grows with the number of units, not with the number of rows. Raises InputNotFoundError,
    UnreadableInputError, SchemaError for absent columns and for values that are no numbers, and
    EmptyInputError.
    """
    merged, rows = _merged(path, columns)
    if not rows:
        raise EmptyInputError(f"'{path}' holds no rows.", "Give a file with a row per unit.")
    seen = pc.value_counts(merged["unit"])
    twice = seen.field("values").filter(pc.greater(seen.field("counts"), 1))
    kept = merged.filter(pc.invert(pc.is_in(merged["unit"], twice)))
    if not kept.num_rows:
        raise EmptyInputError(
            f"Every unit of '{path}' was seen in more than one variant.",
            f"Check that '{columns.unit}' names units and '{columns.variant}' their variant.",
        )
    kept = kept.sort_by([("order_min", "ascending"), ("unit", "ascending")])
    known = kept["known_sum"].to_numpy().astype(np.float64)
    with np.errstate(invalid="ignore"):
        covariates = kept["x_sum"].to_numpy() / np.where(known > 0, known, np.nan)
    return Units(
        kept["variant"].to_numpy(), kept["value_sum"].to_numpy(), covariates, rows, len(twice)
    )


def _merged(path: Path, columns: Columns) -> tuple[pa.Table, int]:
    """One row per unit and variant, and the number of rows read."""
    parts: list[pa.Table] = []
    rows, waiting = 0, 0
    for batch in _batches(path, columns):
        parts.append(_summed(_Block(batch, columns, rows).table(), _SUMS))
        rows, waiting = rows + batch.num_rows, waiting + parts[-1].num_rows
        if waiting > _MERGE_ROWS:
            parts = [_again(parts)]
            waiting = 0
    return (_again(parts) if parts else pa.table({}), rows)


def _again(parts: list[pa.Table]) -> pa.Table:
    table = pa.concat_tables(parts)
    names = {f"{name}_{how}": name for name, how in _SUMS}
    return _summed(table.rename_columns([names.get(n, n) for n in table.column_names]), _SUMS)


def _summed(table: pa.Table, sums: list[tuple[str, str]]) -> pa.Table:
    return table.group_by(["unit", "variant"], use_threads=False).aggregate(sums)


def _batches(path: Path, columns: Columns) -> Iterator[pa.RecordBatch]:
    """The needed columns as text. No thread is used, so equal files give equal sums."""
    delimiter = _delimiter(path, columns)
    try:
        reader = pyarrow.csv.open_csv(
            pa.input_stream(path, compression="detect"),
            read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=_BLOCK),
            parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=columns.names,
                column_types={name: pa.string() for name in columns.names},
                strings_can_be_null=False,
            ),
        )
        yield from reader
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, str(error)) from error


def _delimiter(path: Path, columns: Columns) -> str:
    """What stands between the columns, once the header is found to name each of them once."""
    head = _head(path)
    if not head.strip():
        raise EmptyInputError(f"'{path}' is empty.", "Give a file with a header and rows.")
    delimiter = max(_DELIMITERS, key=head.splitlines()[0].count)
    header = next(csv.reader(io.StringIO(head), delimiter=delimiter))
    absent = [name for name in columns.names if header.count(name) != 1]
    if absent:
        state = "twice" if absent[0] in header else "not"
        raise SchemaError(
            f"The column '{absent[0]}' is {state} in '{path}', which has {', '.join(header[:20])}.",
            "Name a column of the file.",
        )
    return delimiter


def _head(path: Path) -> str:
    if not path.exists():
        raise InputNotFoundError(f"'{path}' does not exist.", "Check the path.")
    try:
        with pa.input_stream(path, compression="detect") as stream:
            return bytes(stream.read(_HEAD)).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, why: str) -> UnreadableInputError:
    return UnreadableInputError(
        f"'{path}' cannot be read as CSV: {why.splitlines()[0]}.",
        "Give a CSV file in UTF-8, with a header, plain or compressed.",
    )


@dataclass(frozen=True)
class _Block:
    """Some rows of the file as text, after `start` others."""

    batch: pa.RecordBatch
    columns: Columns
    start: int

    def table(self) -> pa.Table:
        """Unit, variant, value, covariate x (0 where there is none), known (0 or 1), order."""
        rows = self.batch.num_rows
        known, x = np.zeros(rows, dtype=np.int64), np.zeros(rows)
        if self.columns.covariate is not None:
            x = self._numbers(self.columns.covariate, may_be_empty=True)
            known = np.isfinite(x).astype(np.int64)
        return pa.table(
            {
                "unit": self._names(self.columns.unit),
                "variant": self._names(self.columns.variant),
                "value": self._numbers(self.columns.metric, may_be_empty=False),
                "x": np.nan_to_num(x),
                "known": known,
                "order": self._order(),
            }
        )

    def _names(self, column: str) -> pa.Array:
        names = pc.utf8_trim_whitespace(self.batch[column])
        empty = pc.index(names, "").as_py()
        if empty >= 0:
            raise self._bad(column, empty, "is empty", "Give each row its unit and its variant.")
        return names

    def _numbers(self, column: str, *, may_be_empty: bool) -> npt.NDArray[np.float64]:
        texts = pc.utf8_trim_whitespace(self.batch[column])
        if may_be_empty:
            texts = pc.if_else(pc.equal(texts, ""), "nan", texts)
        try:
            numbers = np.asarray(pc.cast(texts, pa.float64()))
        except pa.ArrowInvalid:
            numbers = np.array([_number(text) for text in texts.to_pylist()])
        bad = ~(np.abs(numbers) <= _MOST) & ~(may_be_empty & np.isnan(numbers))
        if bad.any():
            row = int(bad.argmax())
            what = f"holds {self.batch[column][row].as_py()!r}, which is no number of usual size"
            raise self._bad(column, row, what, "Write a number; 0 where nothing happened.")
        return numbers

    def _order(self) -> npt.NDArray[np.float64]:
        if self.columns.time is None:
            return np.arange(self.start, self.start + self.batch.num_rows, dtype=np.float64)
        texts = pc.utf8_trim_whitespace(self.batch[self.columns.time])
        for kind in (pa.float64(), pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                times = pc.cast(texts, kind)
            except pa.ArrowInvalid:
                continue
            numbers = times if kind == pa.float64() else times.cast(pa.int64())
            return np.asarray(numbers).astype(np.float64)
        first = texts[0].as_py()
        raise SchemaError(
            f"The column '{self.columns.time}' holds times that cannot be read, such as {first!r}.",
            "Write ISO 8601 times, all with or all without zone, or numbers.",
        )

    def _bad(self, column: str, row: int, what: str, mend: str) -> SchemaError:
        line = self.start + row + 1
        return SchemaError(f"Row {line:,}: the column '{column}' {what}.", mend)


def _number(text: str) -> float:
    """The number, infinite where it is none."""
    try:
        return float(text)
    except ValueError:
        return float("inf")
