"""Which days each record file touches, so that a change makes just those days stale."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from embedding_assets.errors import InputError, UnreadableInputError
from embedding_assets.records.source import (
    RECORD_COLUMNS,
    RecordFile,
    list_record_files,
    raw_records_sql,
    readable,
)
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.slices import digest_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

INVENTORY_SCHEMA = pa.schema(
    [
        pa.field("file", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("modified_ns", pa.int64()),
        pa.field("day", pa.date32()),
        pa.field("rows", pa.int64()),
        pa.field("digest", pa.string()),
        pa.field("error", pa.string()),
    ]
)


@dataclass(frozen=True)
class FileDay:
    """The rows of one file that fall on one UTC day, or on none (`day` is None).

    digest: hash of those rows, whatever their order. error: why the file cannot be read now; the
    other fields then tell what it held when it last could be.
    """

    file: str
    size: int
    modified_ns: int
    day: date | None
    rows: int
    digest: str
    error: str | None = None


@dataclass(frozen=True)
class Inventory:
    """What the record files hold, by file and day."""

    entries: tuple[FileDay, ...] = ()

    @classmethod
    def from_table(cls, table: pa.Table) -> "Inventory":
        """The inventory that `to_table` gave."""
        return cls(tuple(FileDay(**row) for row in table.to_pylist()))

    def to_table(self) -> pa.Table:
        """The same with INVENTORY_SCHEMA."""
        return pa.Table.from_pylist([vars(entry) for entry in self.entries], INVENTORY_SCHEMA)

    @property
    def digest(self) -> str:
        """Changes whenever a file is touched, so that it is not read again, or its rows change."""
        stamps = ((e.size, e.modified_ns, e.error, *_content(e)) for e in self.entries)
        return digest_of("record_files", sorted(stamps, key=str))

    def days(self) -> set[date]:
        """The days on which any file has rows."""
        return set(self._by_day)

    def files(self) -> dict[str, list[FileDay]]:
        """The entries by file."""
        found: dict[str, list[FileDay]] = {}
        for entry in self.entries:
            found.setdefault(entry.file, []).append(entry)
        return found

    def of_day(self, day: date) -> list[FileDay]:
        """The entries of one day."""
        return self._by_day.get(day, [])

    @cached_property
    def _by_day(self) -> dict[date, list[FileDay]]:
        found: dict[date, list[FileDay]] = {}
        for entry in self.entries:
            if entry.day is not None:
                found.setdefault(entry.day, []).append(entry)
        return found

    def day_digest(self, day: date) -> str:
        """Changes whenever the rows of that day change in any file."""
        return digest_of("raw_records", sorted(map(_content, self.of_day(day))))

    def changed_days(self, other: "Inventory") -> set[date]:
        """The days whose rows differ between two inventories."""
        both = self.days() | other.days()
        return {day for day in both if self.day_digest(day) != other.day_digest(day)}

    @property
    def errors(self) -> dict[str, str]:
        """The files that cannot be read, with the reason."""
        return {entry.file: entry.error for entry in self.entries if entry.error}

    @property
    def unreadable_days(self) -> dict[date, str]:
        """The days of which a file held rows that cannot be read now, with the reason."""
        return {
            day: "; ".join(
                f"{entry.file} held {entry.rows} records of {day} and cannot be read now: "
                f"{entry.error}"
                for entry in entries
                if entry.error
            )
            for day, entries in self._by_day.items()
            if any(entry.error for entry in entries)
        }


def take_inventory(
    source: str, previous: Inventory, query_memory_mb: int = 384, retry: Iterable[str] = ()
) -> Inventory:
    """What the record files of `source` hold now; files that could be read and did not change
    since `previous` are not read again, unless they are named in `retry`.

    A file that cannot be read is listed with its error beside what it held before, so that one
    bad file neither stops the others nor takes rows away. It is tried at each look, as access to
    it comes back without a change of its size and date.

    Raises InputNotFoundError when the source does not exist.
    """
    known, again = previous.files(), set(retry)
    entries: list[FileDay] = []
    with query_engine(query_memory_mb) as connection:
        for file in list_record_files(source):
            before = known.get(file.name, [])
            if before and file.name not in again and _is_known(file, before[0]):
                entries += before
            else:
                entries += _read(connection, file, before)
    return Inventory(tuple(entries))


def require_readable(days: Iterable[date], unreadable: Mapping[date, str]) -> None:
    """Refuse to build days from files of which one cannot be read any more.

    unreadable: `Inventory.unreadable_days`, or those of them that matter, with the reason.

    Raises UnreadableInputError, which names the files, so that the days stay as they were built.
    """
    if found := dict.fromkeys(unreadable[day] for day in sorted(days) if day in unreadable):
        raise UnreadableInputError(
            " ".join(found), "Restore the file, or delete it to give up its records."
        )


def raw_digest(inventory: Inventory, day: date) -> str:
    """The digest of a day's raw records."""
    return digest_of("raw_records", inventory.day_digest(day))


def _is_known(file: RecordFile, entry: FileDay) -> bool:
    is_unchanged = (file.size, file.modified_ns) == (entry.size, entry.modified_ns)
    return is_unchanged and not entry.error


def _read(
    connection: "DuckDBPyConnection", file: RecordFile, before: list[FileDay]
) -> list[FileDay]:
    empty = FileDay(file.name, file.size, file.modified_ns, day=None, rows=0, digest="")
    try:
        found = _days(connection, file)
    except InputError as error:
        return [
            replace(entry, size=file.size, modified_ns=file.modified_ns, error=str(error))
            for entry in before or [empty]
        ]
    return [replace(empty, day=day, rows=n, digest=digest) for day, n, digest in found] or [empty]


def _days(connection: "DuckDBPyConnection", file: RecordFile) -> list[tuple[date | None, int, str]]:
    text = ", ".join(f"coalesce({name}, chr(30))" for name in RECORD_COLUMNS)
    query = f"""
        SELECT day, count(*), sum(CAST(md5_number_lower(concat_ws(chr(31), {text})) AS HUGEINT))
        FROM ({raw_records_sql(file.path, file.name)}) GROUP BY day ORDER BY day"""
    with readable(file.path):
        rows = connection.execute(query).fetchall()
    return [(day, n, f"{total:x}") for day, n, total in rows]


def _content(entry: FileDay) -> tuple[str, str, int, str]:
    return entry.file, str(entry.day), entry.rows, entry.digest
