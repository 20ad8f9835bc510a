"""The one DuckDB file that shows every asset: a published copy of the tables, with views over the
Parquet files. It is replaced by rename, so that an open reader never blocks a run."""

import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import structlog

from embedding_assets.errors import NotFoundError, StoreLockedError
from embedding_assets.storage.duck import connect, identifier, only, query_engine, quoted
from embedding_assets.storage.files import named_errors, published
from embedding_assets.storage.lock import hold, holder
from embedding_assets.storage.slices import Footer
from embedding_assets.storage.tables import DuckTables, slice_footers

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_LOOKS = 5
_log = structlog.get_logger()


@dataclass
class Change:
    """Whether there is anything to publish; whoever replaces something sets it."""

    is_due: bool


@dataclass(frozen=True)
class Warehouse:
    """`path` shows each asset by its own name.

    parquet, duckdb: the assets by name, with the columns to show while none was made; of Parquet
    ones the folder too.
    """

    path: Path
    tables: DuckTables
    parquet: Mapping[str, tuple[Path, pa.Schema]]
    duckdb: Mapping[str, pa.Schema]

    @contextmanager
    def following(self, publish: Callable[[], None] | None = None) -> Iterator["Change"]:
        """Publish at the block's end what was replaced in it, and what a run that died before it
        did so replaced; nothing when nothing was. publish: does it in place of `publish`."""
        change = Change(not self.path.exists() or bool(self._left_marks()))
        with self.changing() as mark:
            yield change  # an error leaves the mark
            if change.is_due:
                (publish or self.publish)()
        mark.unlink(missing_ok=True)

    @contextmanager
    def changing(self) -> Iterator[Path]:
        """A mark that the next run publishes by, whatever becomes of who changes something in the
        block; who publishes during the block leaves it there. Raises OutputError subclasses."""
        mark = self._marks / uuid.uuid4().hex
        with named_errors(mark):
            held = hold(mark)
        try:
            yield mark
        finally:
            os.close(held)

    @property
    def _marks(self) -> Path:
        """Whoever changes something has a file here, locked while at work."""
        return self.path.parent / "locks" / "unpublished"

    def _left_marks(self) -> list[Path]:
        """Of changes that have ended, and that the file may not show."""
        marks = self._marks.iterdir() if self._marks.exists() else ()
        return [mark for mark in marks if holder(mark) is None]

    def publish(self) -> None:
        """Replace the file by one that shows what is stored now.

        Raises StoreLockedError, OutputError subclasses; the old file then stays.
        """
        with self.tables.open() as source:
            shown = self._left_marks()
            source.execute("CHECKPOINT")
            with published(self.path) as staged:
                source.execute(f"ATTACH {quoted(staged)} AS warehouse")
                try:
                    copied = self._copy_tables(source)
                    for name, (folder, schema) in self.parquet.items():
                        _make_view(source, name, folder, schema)
                    for name, schema in self.duckdb.items():
                        if name not in copied:
                            source.execute(_empty_view(name, schema))
                    source.execute("CHECKPOINT warehouse")
                finally:
                    source.execute("DETACH warehouse")
            # Left by whoever opened the old file for writing; it would make the new one unreadable.
            self.path.with_name(f"{self.path.name}.wal").unlink(missing_ok=True)
            for mark in shown:
                if holder(mark) is None:  # else it was just being made
                    mark.unlink(missing_ok=True)

    def read(self, name: str) -> pa.Table:
        """All rows of an asset as last published, without waiting for any writer.

        Raises NotFoundError when nothing was published yet, StoreLockedError while somebody has the
        file open for writing.
        """
        if not self.path.exists():
            raise NotFoundError(f"{self.path} does not exist yet.", "Materialize an asset first.")
        with self._reader() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            return connection.sql(f"FROM {identifier(name)}").to_arrow_table()

    def footers(self, name: str) -> list[Footer]:
        """What is known of the slices of a table as last published, without waiting for any
        writer; nothing when nothing was published. Raises StoreLockedError as `read` does."""
        import duckdb

        if not self.path.exists():
            return []
        with self._reader() as connection:
            try:
                return slice_footers(connection, "stored.slices", name)
            except duckdb.CatalogException:  # published by a release that kept no slices there
                return []

    @contextmanager
    def _reader(self) -> "Iterator[DuckDBPyConnection]":
        import duckdb

        try:
            connection = connect(self.path, read_only=True)
        except duckdb.IOException as error:
            if "Could not set lock" not in str(error):
                raise
            raise StoreLockedError(
                f"{self.path} is open for writing elsewhere: {error}.",
                "Close it there, and open it to read: `duckdb -readonly`, or read_only=True.",
            ) from error
        with connection:
            yield connection

    def _copy_tables(self, connection: "DuckDBPyConnection") -> set[str]:
        """Copy the tables under the names by which they are asked for, and what is known of their
        slices; other models' tables stay away. The names."""
        query = "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database()"
        asked = {stored: name for name, stored in self.tables.stored_as.items()}
        shown = {
            stored: asked.get(stored, stored)
            for (stored,) in connection.execute(query).fetchall()
            if stored in asked
            or not (stored[0] == "_" or "@" in stored or stored in self.tables.stored_as)
        }
        connection.execute("CREATE SCHEMA warehouse.stored")
        connection.execute("CREATE TABLE warehouse.stored.slices AS FROM _slices LIMIT 0")
        for stored, name in shown.items():
            connection.execute(
                f"CREATE TABLE warehouse.{identifier(name)} AS FROM {identifier(stored)}"
            )
            connection.execute(
                "INSERT INTO warehouse.stored.slices "
                "SELECT * REPLACE (? AS name) FROM _slices WHERE name = ?", [name, stored]
            )  # fmt: skip
        return {*shown.values()}


def _make_view(
    connection: "DuckDBPyConnection", name: str, folder: Path, schema: pa.Schema
) -> None:
    """A damaged file keeps nobody from the other assets: who asks for its own is told of it. One
    that is removed between the look at its folder and the look into it is looked for anew."""
    import duckdb

    for left in reversed(range(_LOOKS)):
        try:
            connection.execute(_view(name, folder, schema))
        except (duckdb.InvalidInputException, duckdb.IOException) as error:
            if left and isinstance(error, duckdb.IOException):
                continue
            _log.warning("asset_not_shown", asset=name, error=str(error))
            connection.execute(f"{_empty_view(name, schema)} OR error({quoted(str(error))})")
        return


def _view(name: str, folder: Path, schema: pa.Schema) -> str:
    folder = folder.resolve()
    if not any(folder.glob("*.parquet")):
        return _empty_view(name, schema)
    files = Path(only(folder)) / "*.parquet"
    rows = f"read_parquet({quoted(files)}, union_by_name = true)"
    return f"CREATE VIEW warehouse.{identifier(name)} AS FROM {rows}"


def _empty_view(name: str, schema: pa.Schema) -> str:
    columns = ", ".join(_empty_columns(schema))
    return f"CREATE VIEW warehouse.{identifier(name)} AS SELECT {columns} WHERE false"


@cache
def _empty_columns(schema: pa.Schema) -> list[str]:
    """The columns of a table without rows; kept, since each asset that is written asks for those
    of all that were never made."""
    with query_engine() as connection:
        connection.register("empty", schema.empty_table())
        described = connection.execute("DESCRIBE FROM empty").fetchall()
    return [f"CAST(NULL AS {kind}) AS {identifier(column)}" for column, kind, *_ in described]
