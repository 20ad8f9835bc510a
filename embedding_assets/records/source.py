"""Order records as they come: Parquet files, read as strings with the instant they tell."""

import glob
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError
from embedding_assets.storage.duck import only, quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

RECORD_COLUMNS = (
    "account_id",
    "item_description",
    "vendor_name",
    "vendor_cuisines",
    "feature_timestamp",
)

RAW_SCHEMA = pa.schema(
    [
        *(pa.field(name, pa.string()) for name in RECORD_COLUMNS),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("day", pa.date32()),
        pa.field("source_file", pa.string()),
        pa.field("source_row", pa.int64()),
    ]
)

_ISO_DATE = r"^\s*\d{4}-\d{2}-\d{2}"
_FIRST = "TIMESTAMPTZ '0001-01-01 00:00:00+00'"
_LAST = "TIMESTAMPTZ '9999-12-31 23:59:59.999999+00'"
_BLANK = "' \t\r\n\u00a0'"


@dataclass(frozen=True, order=True)
class RecordFile:
    """One file of order records: its name below the source folder and what tells a change.

    changed_ns: when the system last saw its content, name or permissions change.
    """

    name: str
    path: Path
    size: int
    modified_ns: int
    changed_ns: int


def list_record_files(source: str) -> list[RecordFile]:
    """The Parquet files of a folder (searched in depth) or a glob, sorted by name; those whose
    own or whose folder's name begins with `.` or `_` are left out.

    Raises InputNotFoundError when the folder does not exist.
    """
    root = Path(source)
    if root.is_file():
        root, paths = root.parent, [root]
    elif root.is_dir():
        paths = list(root.rglob("*.parquet"))
    elif glob.has_magic(source) and (root := Path(*_before_magic(root.parts))).is_dir():
        paths = [Path(path) for path in glob.glob(source, recursive=True)]
    else:
        raise InputNotFoundError(
            f"The source of records, {source}, does not exist.",
            "Create the folder or set EMBEDDING_ASSETS_RECORDS__SOURCE.",
        )
    return sorted(_record_file(path, root) for path in paths if _is_record_file(path, root))


def raw_records_sql(path: Path, name: str | None = None) -> str:
    """SQL that yields a file's rows with the columns of RAW_SCHEMA, text as it stands.

    `recorded_at` is `feature_timestamp` in UTC (a timestamp without zone is UTC) and NULL when it
    is not ISO-8601 or lies outside the years 1 to 9999; `day` is its UTC date.

    Raises InputNotFoundError, UnreadableInputError, SchemaError.
    """
    schema = read_schema(path)
    columns = ", ".join(
        f"{_as_text(name, schema.field(name).type)} AS {name}" for name in RECORD_COLUMNS
    )
    return f"""
        SELECT *, CAST(recorded_at AS DATE) AS day FROM (
            SELECT *, {quoted(name or path.name)} AS source_file,
                CASE WHEN instant BETWEEN {_FIRST} AND {_LAST} THEN instant END AS recorded_at
            FROM (
                SELECT *, CASE WHEN regexp_matches(feature_timestamp, '{_ISO_DATE}')
                    THEN TRY_CAST(trim(feature_timestamp, {_BLANK}) AS TIMESTAMPTZ) END AS instant
                FROM (
                    SELECT {columns}, file_row_number AS source_row
                    FROM read_parquet({quoted(only(path))}, file_row_number = true)
                )
            )
        )"""


def read_raw(
    connection: "DuckDBPyConnection", file: RecordFile, day: date, batch_rows: int = 65_536
) -> Iterator[pa.RecordBatch]:
    """The rows of one file that belong to one UTC day, with RAW_SCHEMA, in file order.

    Raises UnreadableInputError when the file's data pages are damaged.
    """
    query = f"""
        SELECT {", ".join(RAW_SCHEMA.names)} FROM ({raw_records_sql(file.path, file.name)})
        WHERE day = DATE '{day}' ORDER BY source_row"""
    with readable(file.path):
        reader = connection.sql(query).to_arrow_reader(batch_rows)
        for batch in reader:
            yield batch.cast(RAW_SCHEMA)


def read_schema(path: Path) -> pa.Schema:
    """The columns of a record file, checked: all five are there and can be read as text.

    `feature_timestamp` may be a timestamp and `vendor_cuisines` a list of strings.

    Raises InputNotFoundError, UnreadableInputError, SchemaError.
    """
    if not path.exists():
        raise InputNotFoundError(f"{path} does not exist.", "Check the path.")
    if path.is_dir():
        raise UnreadableInputError(f"{path} is a folder.", "Name one Parquet file.")
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, error) from error
    missing = [name for name in RECORD_COLUMNS if name not in schema.names]
    if missing:
        raise SchemaError(
            f"{path} lacks the column {', '.join(missing)}; it has {', '.join(schema.names)}.",
            f"A record file has the columns {', '.join(RECORD_COLUMNS)}.",
        )
    for name in RECORD_COLUMNS:
        _as_text(name, schema.field(name).type)
    return schema


class readable:
    """Turns damage found while reading `path` into UnreadableInputError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import duckdb

        damage = (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException)
        # DuckDB's Parquet reader reports much of what it stumbles over as its plain base error.
        is_damage = isinstance(error, damage) or type(error) is duckdb.Error
        if error is not None and is_damage and "No space left" not in str(error):
            raise unreadable(self.path, error) from error


def unreadable(path: Path, error: BaseException) -> UnreadableInputError:
    """The error for a file that is damaged, truncated, of another format or out of reach."""
    reason = str(error).splitlines()[0].rstrip(".")
    is_out_of_reach = isinstance(error, OSError) and error.errno is not None
    return UnreadableInputError(
        f"{path} cannot be read as Parquet: {reason}.",
        "Let this process read it: check its permissions and its disk."
        if is_out_of_reach
        else "Write the file again; it may be truncated, damaged or of another format.",
    )


_TEXT = (pt.is_string, pt.is_large_string, pt.is_string_view, pt.is_dictionary, pt.is_null)


def _as_text(name: str, kind: pa.DataType) -> str:
    if any(is_text(kind) for is_text in _TEXT):
        return f"CAST({name} AS VARCHAR)"
    if name == "feature_timestamp" and (pt.is_timestamp(kind) or pt.is_date(kind)):
        return f"strftime(CAST({name} AS TIMESTAMPTZ), '%Y-%m-%dT%H:%M:%S.%f+00:00')"
    if name == "vendor_cuisines" and (pt.is_list(kind) or pt.is_large_list(kind)):
        return f"array_to_string({name}, ', ')"
    raise SchemaError(
        f"The column {name} has the type {kind}.",
        "All columns are strings; feature_timestamp may be a timestamp and vendor_cuisines a "
        "list of strings.",
    )


def _before_magic(parts: tuple[str, ...]) -> list[str]:
    fixed = []
    for part in parts:
        if glob.has_magic(part):
            break
        fixed.append(part)
    return fixed or ["."]


def _is_record_file(path: Path, root: Path) -> bool:
    """Not what other programs stage: `_temporary/`, `.part-0.parquet`."""
    inside = path.relative_to(root).parts
    return path.is_file() and not any(part.startswith((".", "_")) for part in inside)


def _record_file(path: Path, root: Path) -> RecordFile:
    status = path.stat()
    name = path.relative_to(root).as_posix()
    return RecordFile(name, path, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
