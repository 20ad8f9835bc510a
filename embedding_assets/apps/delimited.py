"""The rows of a delimited text file as columns of texts, each with its line."""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.errors import (
    EmptyInputError,
    InputNotFoundError,
    SchemaError,
    UnreadableInputError,
)

_DELIMITERS = (",", ";", "\t", "|")
_MOST_BYTES = 2**30
_BATCH_ROWS = 65_536
_SPACE = r"[\s\p{Z}\p{Cc}]+"
_MISSING = pa.array(["", "nan", "null", "none", "n/a", "na", "<na>", "#n/a"])


@dataclass(frozen=True)
class BadLine:
    """A row that could not be split into the fields that the header names."""

    line: int
    reason: str
    text: str


@dataclass(frozen=True)
class Lines:
    """What was read. table: `line` (int64), then the columns as strings, missing ones null.

    White space is folded to single spaces, text is NFC-normalized.
    """

    table: pa.Table
    bad: list[BadLine]


@dataclass(frozen=True)
class _Header:
    delimiter: str
    names: list[str]
    line: int


def read_delimited(path: Path, needed: Sequence[str], optional: Sequence[str] = ()) -> Lines:
    """The columns `needed`, and those of `optional` that are there; other ones are left out.

    The file is UTF-8, or UTF-16 with a byte order mark, its first row names the columns, and they
    are parted by commas, or by semicolons, tabs or bars if only so the header has the needed ones.

    Raises InputNotFoundError, UnreadableInputError, EmptyInputError, SchemaError.
    """
    lines = io.StringIO(_text(path), newline="").readlines()
    header = _header(path, lines, needed)
    found = [name for name in (*needed, *optional) if name in header.names]
    bad: list[BadLine] = []
    batches = [
        _batch(rows, [header.names.index(name) for name in found])
        for rows in _portions(_rows(lines, header, bad))
    ]
    columns = ["line", *found]
    if not batches:
        raise EmptyInputError(f"{path} has no row below its header.", "Export it again.")
    table = pa.Table.from_batches(batches).rename_columns(columns)
    for name in found:
        table = table.set_column(columns.index(name), name, _cleaned(table[name]))
    return Lines(table, bad)


def _text(path: Path) -> str:
    try:
        size = path.stat().st_size
        content = b"" if size > _MOST_BYTES else path.read_bytes()
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path} does not exist.", "Check the path.") from error
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror or error}.", "Name a readable file."
        ) from error
    if size > _MOST_BYTES:
        raise UnreadableInputError(
            f"{path} has {size / 2**20:,.0f} MB, {_MOST_BYTES // 2**20:,} MB are allowed.",
            "Split it.",
        )
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        return content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UnreadableInputError(
            f"{path}, line {line}: it is not text in UTF-8 ({error.reason}).", "Save it as UTF-8."
        ) from error


def _header(path: Path, lines: list[str], needed: Sequence[str]) -> _Header:
    number = next((number for number, line in enumerate(lines) if line.strip()), None)
    if number is None:
        raise EmptyInputError(f"{path} is empty.", "Export it again.")
    headers = [_Header(each, _names(lines[number], each), number) for each in _DELIMITERS]
    fitting = [header for header in headers if {*needed} <= {*header.names}]
    if not fitting:
        names = max((header.names for header in headers), key=len)
        missing = ", ".join(name for name in needed if name not in names)
        raise SchemaError(
            f"{path}, line {number + 1}: it has the columns {', '.join(names)[:200]}; "
            f"{missing} not among them.",
            f"Its first row must name the columns {', '.join(needed)}.",
        )
    header = fitting[0]
    twice = {name for name in needed if header.names.count(name) > 1}
    if twice:
        raise SchemaError(
            f"{path}, line {number + 1}: it has {', '.join(sorted(twice))} more than once.",
            "Keep one column of each name.",
        )
    return header


def _names(line: str, delimiter: str) -> list[str]:
    row = next(csv.reader([line], delimiter=delimiter), [])
    return [name.strip().lower() for name in row]


def _rows(lines: list[str], header: _Header, bad: list[BadLine]) -> Iterator[tuple[int, list[str]]]:
    """Each row with the line that it begins on (from 1); what cannot be split goes to `bad`.

    After a row with an unmatched quotation mark reading goes on at the next line: else the field
    that it opens would swallow all that follows.
    """
    at = header.line + 1
    while at < len(lines):
        start = at
        rest = map(lines.__getitem__, range(start, len(lines)))
        reader = csv.reader(rest, delimiter=header.delimiter, strict=True)
        try:
            for row in reader:
                line, at = at + 1, start + reader.line_num
                if len(row) == len(header.names):
                    yield line, row
                elif any(map(str.strip, row)):
                    reason = f"the row has {len(row)} fields, the header {len(header.names)}"
                    bad.append(BadLine(line, reason, lines[line - 1]))
        except csv.Error as error:
            bad.append(BadLine(at + 1, f"the row is malformed ({error})", lines[at]))
            at += 1


def _portions(
    rows: Iterator[tuple[int, list[str]]],
) -> Iterator[list[tuple[int, list[str]]]]:
    portion: list[tuple[int, list[str]]] = []
    for row in rows:
        portion.append(row)
        if len(portion) == _BATCH_ROWS:
            yield portion
            portion = []
    if portion:
        yield portion


def _batch(rows: list[tuple[int, list[str]]], columns: list[int]) -> pa.RecordBatch:
    lines = pa.array([line for line, _ in rows], pa.int64())
    # Arrow's own utf8_normalize (25) takes characters apart for NFC too.
    texts = [
        pa.array([normalize("NFC", row[column]) for _, row in rows], pa.string())
        for column in columns
    ]
    return pa.RecordBatch.from_arrays(
        [lines, *texts], [str(each) for each in range(-1, len(texts))]
    )


def _cleaned(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    folded = pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, _SPACE, " "))
    is_missing = pc.is_in(pc.utf8_lower(folded), _MISSING)
    return pc.if_else(is_missing, pa.scalar(None, pa.string()), folded)
