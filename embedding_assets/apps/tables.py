"""The tables of apps from the files that they come in: what can be used, and why the rest not."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.apps.delimited import Lines, read_delimited
from embedding_assets.apps.pickles import LIMITS, PickleLimits, load_pickle
from embedding_assets.apps.vector_matrix import VectorMatrix, vector_matrix
from embedding_assets.apps.vector_values import shown
from embedding_assets.errors import EmptyInputError, InputError, SchemaError

CATALOGUE_SCHEMA = pa.schema(
    [
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("app_name", pa.string()),
        pa.field("super_category", pa.string()),
        pa.field("app_platform", pa.string()),
    ]
)
VECTOR = pa.schema(
    [
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("vector", pa.list_(pa.float32()), nullable=False),
        pa.field("meta", pa.string()),
    ]
)
PERFORMANCE_SCHEMA = pa.schema(
    [
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("clicks", pa.int64(), nullable=False),
        pa.field("impressions", pa.int64(), nullable=False),
        pa.field("event_count", pa.int64()),
        pa.field("mmp_offer_default_revenue", pa.float64()),
    ]
)
REJECT_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string(), nullable=False),
        pa.field("line", pa.int64()),
        pa.field("app_id", pa.string()),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("value", pa.string()),
    ]
)

_MATRIX_MEND = "Save a dict of app_id and vector, or one row for each app in the apps file's order."
_NUMBER = r"^[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?$"
_LARGEST_COUNT = 10**11
"""Of one row, so that no sum over a file leaves int64."""
_SHOWN = 200
_NO_ID = "app_id is missing"


class UnmatchedMatrixError(InputError):
    """A bare matrix has another number of rows than there are apps."""


@dataclass(frozen=True)
class Read:
    """What a file holds. table: what can be used. rejects: the rest (REJECT_SCHEMA).

    notes: figures about the file by name.
    """

    table: pa.Table
    rejects: pa.Table
    notes: dict[str, int]


def read_catalogue(path: Path) -> Read:
    """The apps of a CSV file, one row each, in first-seen order (CATALOGUE_SCHEMA).

    Where an app has several rows, the first value of each column that is not missing wins; notes
    count the apps whose rows disagree. Missing is what is empty or says NaN, null, None or N/A.

    Raises InputNotFoundError, UnreadableInputError, EmptyInputError, SchemaError.
    """
    lines = read_delimited(path, CATALOGUE_SCHEMA.names)
    reason = _where(pc.is_null(lines.table["app_id"]), _NO_ID)
    good, rejects = _parted(path, lines, reason, _nothing(lines.table))
    columns = CATALOGUE_SCHEMA.names[1:]
    apps = good.group_by("app_id", use_threads=False).aggregate(
        [(name, how) for name in columns for how in ("first", "count_distinct")]
    )
    table = pa.table(
        [apps["app_id"], *(apps[f"{name}_first"] for name in columns)], CATALOGUE_SCHEMA
    )
    notes = {
        "rows": len(good) + len(rejects),
        "apps": len(table),
        "repeated_rows": len(good) - len(table),
    }
    for name in columns:
        differ = pc.greater(apps[f"{name}_count_distinct"], 1)
        notes |= {f"missing_{name}": table[name].null_count, f"conflicting_{name}": _count(differ)}
    return Read(table, rejects, notes)


def read_performance(path: Path) -> Read:
    """The sums of each app's rows in a CSV file, in first-seen order (PERFORMANCE_SCHEMA).

    An app without impressions stays, with 0 of both. What is optional and missing in all rows of
    an app is null. A row with any value that cannot be is left out whole.

    Raises InputNotFoundError, UnreadableInputError, EmptyInputError, SchemaError.
    """
    names = PERFORMANCE_SCHEMA.names
    lines = read_delimited(path, names[:3], names[3:])
    given, problems = lines.table, [_where(pc.is_null(lines.table["app_id"]), _NO_ID)]
    values = [_nothing(given)]
    for field in list(PERFORMANCE_SCHEMA)[1:]:
        texts = given[field.name] if field.name in given.column_names else _nothing(given)
        numbers, problem = _numbers(texts, field)
        problems.append(problem)
        values.append(pc.if_else(pc.is_valid(problem), texts, _TEXT_NULL))
        given = _with_column(given, field.name, numbers)
    too_many = pc.greater(given["clicks"], given["impressions"])
    problems.append(_where(too_many, "there are more clicks than impressions"))
    shown = [pc.cast(given[name], pa.string()) for name in ("clicks", "impressions")]
    values.append(pc.if_else(too_many, pc.binary_join_element_wise(*shown, " > "), _TEXT_NULL))
    good, rejects = _parted(
        path, Lines(given, lines.bad), pc.coalesce(*problems), pc.coalesce(*values)
    )
    return _summed(good, rejects)


def read_app_vectors(path: Path, catalogue: pa.Table, limits: PickleLimits = LIMITS) -> Read:
    """The vectors of a pickle, one for each app, in first-seen order (VECTOR), all of one size.

    The pickle is a dict of app_id and vector, or a bare matrix whose rows are those of `catalogue`
    (CATALOGUE_SCHEMA, as `read_catalogue` gives it). A vector is an array, a list, rows of either,
    which are averaged, or `{"vec": …, "meta": …}`. Of several dimensions the most frequent wins.

    Raises what `load_pickle` raises, UnmatchedMatrixError, SchemaError, EmptyInputError.
    """
    found = vector_matrix(_items(path, load_pickle(path, limits), catalogue["app_id"].to_pylist()))
    if not found.ids:
        reason = f"; {found.bad[0].app_id}: {found.bad[0].reason}" if found.bad else ""
        raise EmptyInputError(
            f"{path} holds no vector that can be used{reason}.",
            "Save a dict of app_id and vector, each a list or array of numbers.",
        )
    rejects = pa.Table.from_pylist(
        [{"file": path.name, **vars(bad)} for bad in found.bad], REJECT_SCHEMA
    )
    known = pc.is_in(pa.array(found.ids), catalogue["app_id"].combine_chunks())
    notes = {
        "apps": len(found.ids),
        "dimension": found.vectors.shape[1],
        "averaged_matrices": found.averaged,
        "averaged_repeats": found.repeated,
        "not_in_catalogue": len(found.ids) - _count(known),
        "without_vector": len(catalogue) - _count(known),
    }
    return Read(_vector_table(found), rejects, notes)


def _items(path: Path, value: Any, apps: list[str]) -> Iterable[tuple[Any, Any]]:
    """Each vector with its app."""
    if isinstance(value, dict):
        return value.items()
    rows = value if isinstance(value, list | tuple | np.ndarray) else None
    is_matrix = rows is not None and (
        rows.ndim > 1
        if isinstance(rows, np.ndarray)
        else all(isinstance(row, list | tuple | dict | np.ndarray) for row in rows)
    )
    if rows is None or not is_matrix:
        raise SchemaError(f"{path} holds {shown(value)}, not vectors.", _MATRIX_MEND)
    if len(rows) != len(apps):
        raise UnmatchedMatrixError(
            f"{path} holds a matrix of {len(rows):,} rows, and there are {len(apps):,} apps.",
            _MATRIX_MEND,
        )
    return zip(apps, rows, strict=True)


def _vector_table(found: VectorMatrix) -> pa.Table:
    count, dimension = found.vectors.shape
    # Offsets of a list column are int32; more numbers are spread over several chunks.
    step = max(1, (2**31 - 1) // dimension)
    parts = [
        pa.ListArray.from_arrays(
            np.arange(len(rows) + 1, dtype=np.int32) * dimension, rows.reshape(-1)
        )
        for rows in (found.vectors[at : at + step] for at in range(0, count, step))
    ]
    metas = pa.array(found.metas, pa.string())
    return pa.table([pa.array(found.ids, pa.string()), pa.chunked_array(parts), metas], VECTOR)


def _numbers(texts: pa.ChunkedArray, field: pa.Field) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The numbers, null where there is none that can be used; and what is wrong with those."""
    is_number = pc.match_substring_regex(texts, _NUMBER)
    numbers = pc.cast(pc.if_else(is_number, texts, _TEXT_NULL), pa.float64())
    problems = [_where(pc.invert(is_number), f"{field.name} is no number")]
    if not field.nullable:
        problems.append(_where(pc.is_null(texts), f"{field.name} is missing"))
    if pa.types.is_integer(field.type):
        problems += [
            _where(pc.less(numbers, 0), f"{field.name} is negative"),
            _where(pc.not_equal(pc.floor(numbers), numbers), f"{field.name} is no whole number"),
            _where(pc.greater(numbers, _LARGEST_COUNT), f"{field.name} is larger than 10^11"),
        ]
    problem = pc.coalesce(*problems)
    usable = pc.if_else(pc.is_null(problem), numbers, pa.scalar(None, pa.float64()))
    return pc.cast(usable, field.type), problem


def _summed(good: pa.Table, rejects: pa.Table) -> Read:
    columns = PERFORMANCE_SCHEMA.names[1:]
    apps = good.group_by("app_id", use_threads=False).aggregate([(name, "sum") for name in columns])
    sums = [apps["app_id"], *(apps[f"{name}_sum"] for name in columns)]
    table = pa.table(sums, PERFORMANCE_SCHEMA.names).cast(PERFORMANCE_SCHEMA)
    notes = {
        "rows": len(good) + len(rejects),
        "apps": len(table),
        "rows_without_impressions": _count(pc.equal(good["impressions"], 0)),
        "apps_without_impressions": _count(pc.equal(table["impressions"], 0)),
    }
    return Read(table, rejects, notes)


def _parted(
    path: Path, lines: Lines, reason: pa.ChunkedArray, value: pa.ChunkedArray
) -> tuple[pa.Table, pa.Table]:
    """The rows without a reason against them, and the others as rejects in the order of lines."""
    is_good, count = pc.is_null(reason), len(lines.table)
    bad = (
        pa.table(
            [
                pa.array([path.name] * count, pa.string()),
                lines.table["line"],
                lines.table["app_id"],
                reason,
                pc.utf8_slice_codeunits(value, 0, _SHOWN),
            ],
            REJECT_SCHEMA.names,
        )
        .filter(pc.invert(is_good))
        .cast(REJECT_SCHEMA)
    )
    torn = [
        {"file": path.name, "line": each.line, "reason": each.reason, "value": each.text[:_SHOWN]}
        for each in lines.bad
    ]
    together = pa.concat_tables([bad, pa.Table.from_pylist(torn, REJECT_SCHEMA)])
    rejects = together.sort_by("line")
    good = lines.table.filter(is_good)
    if not len(good):
        first = rejects.slice(0, 1).to_pylist()[0]
        raise EmptyInputError(
            f"{path}: none of its {len(rejects):,} rows can be used; line {first['line']}: "
            f"{first['reason']}.",
            "Mend these rows, or export them again.",
        )
    return good, rejects


_TEXT_NULL = pa.scalar(None, pa.string())


def _where(condition: pa.ChunkedArray, reason: str) -> pa.ChunkedArray:
    """`reason` where the condition holds, else null; what is unknown does not hold."""
    return pc.if_else(pc.fill_null(condition, False), reason, _TEXT_NULL)


def _nothing(table: pa.Table) -> pa.ChunkedArray:
    return pa.chunked_array([pa.nulls(len(table), pa.string())])


def _with_column(table: pa.Table, name: str, column: pa.ChunkedArray) -> pa.Table:
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def _count(conditions: pa.ChunkedArray | pa.Array) -> int:
    return int(pc.sum(conditions).as_py() or 0)
