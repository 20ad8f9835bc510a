"""Tables kept in DuckDB, slice by slice, each slice replaced in one transaction."""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from embedding_assets.errors import NotFoundError, StoreDamagedError
from embedding_assets.storage.duck import identifier, query_engine, quoted
from embedding_assets.storage.files import named_errors, published
from embedding_assets.storage.guard import OPEN, Guard
from embedding_assets.storage.lock import locked
from embedding_assets.storage.slices import Footer, Slice, Written

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_BATCH_ROWS = 65_536
_SLICES = (
    "CREATE TABLE IF NOT EXISTS _slices (name VARCHAR, key VARCHAR, footer VARCHAR, rows BIGINT)"
)


@dataclass(frozen=True)
class DuckTables:
    """The writers' database. People and services open the copy that `Warehouse` publishes, so
    that a reader never blocks a run.

    stored_as: tables that have another name in the file than the one they are asked for by, so that
    those of several models stand side by side; such a name holds a @.
    """

    path: Path
    lock_path: Path
    lock_timeout_seconds: float = 300.0
    query_memory_mb: int = 384
    guard: Guard = field(default=OPEN, compare=False, repr=False)
    stored_as: Mapping[str, str] = field(default_factory=dict, compare=False)

    @classmethod
    def below(
        cls,
        data_dir: Path,
        lock_timeout_seconds: float = 300.0,
        query_memory_mb: int = 384,
        guard: Guard = OPEN,
    ) -> "DuckTables":
        """The tables of a data folder. guard: keeps out what was forgotten."""
        lock = data_dir / "locks" / "tables.lock"
        return cls(data_dir / "tables.duckdb", lock, lock_timeout_seconds, query_memory_mb, guard)

    @contextmanager
    def open(self) -> "Iterator[DuckDBPyConnection]":
        """The only open connection of any process, held under the operating system's lock.

        Raises StoreLockedError, StoreDamagedError.
        """
        with locked(self.lock_path, self.lock_timeout_seconds), self._connection() as connection:
            connection.execute(_SLICES)
            yield connection

    def write(self, name: str, part: Slice, slice_column: str | None = None) -> Written:
        """Replace one slice of a table, unless it holds the same already.

        `slice_column` is the column whose value is the slice's key; without it the slice is the
        whole table. Columns are matched by name; the transaction either happens whole or not.
        The rows are drawn before the lock is taken, so that no writer waits for a computation.
        """
        name = self.name(name)
        with self.open() as connection:
            stored = _footer(connection, name, part.key)
        if stored is not None and stored.digest == part.digest:
            return Written(stored, replaced=False)
        while True:
            seen = self.guard.state()
            with _drawn(part) as rows, self.open() as connection:
                if self.guard.state() == seen:
                    footer = _put(connection, name, part, self.guard.kept(rows), slice_column)
                    return Written(footer, replaced=True)

    def rewrite(
        self,
        name: str,
        edit: Callable[[Footer, pa.Table], Slice | None],
        slice_column: str | None = None,
    ) -> None:
        """Replace slices of a table by what `edit` makes of them, while nobody else writes; each
        in a transaction. A slice for which it gives None stays."""
        if not self.path.exists():
            return
        name = self.name(name)
        with self.open() as connection:
            for footer in slice_footers(connection, "_slices", name):
                rows = f"SELECT * FROM {identifier(name)}"
                if slice_column is not None:
                    rows += f" WHERE {identifier(slice_column)} = {quoted(footer.key or '')}"
                part = edit(footer, connection.sql(rows).to_arrow_table())
                if part is not None:
                    left = pa.Table.from_batches(part.batches(), part.schema)
                    _put(connection, name, part, left, slice_column)

    def compact(self) -> None:
        """Write the file anew, so that deleted rows are gone from its free blocks too.

        Raises StoreLockedError, OutputError subclasses; the old file then stays.
        """
        if not self.path.exists():
            return
        with locked(self.lock_path, self.lock_timeout_seconds), published(self.path) as staged:
            with self._connection() as connection:
                connection.execute("CHECKPOINT")
                [(own,)] = connection.execute("SELECT current_database()").fetchall()
                connection.execute(f"ATTACH {quoted(staged)} AS fresh")
                connection.execute(f"COPY FROM DATABASE {identifier(own)} TO fresh")
                connection.execute("DETACH fresh")
            self.path.with_name(f"{self.path.name}.wal").unlink(missing_ok=True)

    def keep_only(self, name: str, slice_column: str, keys: Iterable[str]) -> list[str]:
        """Remove the slices of a table that are not among `keys`; the keys that went away."""
        name = self.name(name)
        with self.open() as connection:
            present = connection.execute(
                "SELECT key FROM _slices WHERE name = ? AND key IS NOT NULL", [name]
            ).fetchall()
            gone = sorted({key for (key,) in present} - set(keys))
            rows = f"DELETE FROM {identifier(name)} WHERE {identifier(slice_column)} = ?"
            for key in gone:
                with _transaction(connection):
                    connection.execute(rows, [key])
                    connection.execute(
                        "DELETE FROM _slices WHERE (name, key) = (?, ?)", [name, key]
                    )
            return gone

    def forget_digests(self, name: str, keys: Iterable[str]) -> None:
        """Make those slices be written again although nothing they depend on has changed."""
        name = self.name(name)
        with self.open() as connection:
            for key in keys:
                connection.execute(
                    "UPDATE _slices SET footer = json_merge_patch(footer, '{\"digest\": \"\"}') "
                    "WHERE name = ? AND key = ?", [name, key]
                )  # fmt: skip

    def footers(self, name: str) -> list[Footer]:
        """What is known of the slices of a table."""
        if not self.path.exists():
            return []
        with self.open() as connection:
            return slice_footers(connection, "_slices", self.name(name))

    def drop(self, name: str) -> None:
        """Remove a table with all that is known of it."""
        if self.path.exists():
            name = self.name(name)
            with self.open() as connection, _transaction(connection):
                connection.execute(f"DROP TABLE IF EXISTS {identifier(name)}")
                connection.execute("DELETE FROM _slices WHERE name = ?", [name])

    def name(self, asked: str) -> str:
        """What a table is called in the file."""
        return self.stored_as.get(asked, asked)

    def read(self, name: str) -> pa.Table:
        """All rows of a table. Raises NotFoundError when it was never written."""
        if self.path.exists():
            with self.open() as connection:
                if _exists(connection, self.name(name)):
                    return connection.sql(f"FROM {identifier(self.name(name))}").to_arrow_table()
        raise NotFoundError(f"Nothing of {name} is stored in {self.path}.", "Materialize it first.")

    @contextmanager
    def _connection(self) -> "Iterator[DuckDBPyConnection]":
        import duckdb

        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with query_engine(self.query_memory_mb, self.path) as connection:
                yield connection
        except duckdb.IOException as error:
            if "not a valid DuckDB database" not in str(error) and "corrupt" not in str(error):
                raise
            raise StoreDamagedError(
                f"{self.path} cannot be opened: {error}.",
                "Delete it and materialize its tables again.",
            ) from error


def slice_footers(connection: "DuckDBPyConnection", table: str, name: str) -> list[Footer]:
    """The footers, by key, that `table` holds of the slices of the table called `name`."""
    query = f"SELECT footer, rows FROM {table} WHERE name = ? ORDER BY key"
    return [_parsed(*row) for row in connection.execute(query, [name]).fetchall()]


@contextmanager
def _drawn(part: Slice) -> Iterator[pa.Table]:
    """The rows of a slice, computed and mapped from a temporary file."""
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as folder:
        path = Path(folder) / "rows.arrow"
        with named_errors(path), pa.OSFile(str(path), "wb") as file:
            with pa.ipc.new_file(file, part.schema) as writer:
                for batch in part.batches():
                    writer.write_batch(batch)
        with pa.memory_map(str(path)) as file:
            yield pa.ipc.open_file(file).read_all()


@contextmanager
def _transaction(connection: "DuckDBPyConnection") -> Iterator[None]:
    connection.begin()
    try:
        yield
    except BaseException:
        with suppress(Exception):  # a fatal error has ended the transaction already
            connection.rollback()
        raise
    connection.commit()


def _put(
    connection: "DuckDBPyConnection",
    name: str,
    part: Slice,
    rows: pa.Table,
    slice_column: str | None,
) -> Footer:
    """Replace a slice in one transaction."""
    footer = Footer(part.key, part.digest, len(rows), part.stats)
    with _transaction(connection):
        _replace(connection, name, part.key, rows, slice_column)
        _remember(connection, name, footer)
    return footer


def _replace(
    connection: "DuckDBPyConnection",
    name: str,
    key: str | None,
    rows: pa.Table,
    slice_column: str | None,
) -> None:
    table = identifier(name)
    connection.register("incoming", rows)
    connection.execute(f"CREATE TABLE IF NOT EXISTS {table} AS FROM incoming LIMIT 0")
    _add_new_columns(connection, table)
    if slice_column is None:
        connection.execute(f"DELETE FROM {table}")
    else:
        connection.execute(f"DELETE FROM {table} WHERE {identifier(slice_column)} = ?", [key])
    connection.execute(f"INSERT INTO {table} BY NAME FROM incoming")


def _add_new_columns(connection: "DuckDBPyConnection", table: str) -> None:
    stored = {row[0] for row in connection.execute(f"DESCRIBE {table}").fetchall()}
    for column, kind, *_ in connection.execute("DESCRIBE FROM incoming").fetchall():
        if column not in stored:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {identifier(column)} {kind}")


def _remember(connection: "DuckDBPyConnection", name: str, footer: Footer) -> None:
    connection.execute(
        "DELETE FROM _slices WHERE name = ? AND key IS NOT DISTINCT FROM ?", [name, footer.key]
    )
    connection.execute(
        "INSERT INTO _slices VALUES (?, ?, ?, ?)", [name, footer.key, footer.to_json(), footer.rows]
    )


def _footer(connection: "DuckDBPyConnection", name: str, key: str | None) -> Footer | None:
    rows = connection.execute(
        "SELECT footer, rows FROM _slices WHERE name = ? AND key IS NOT DISTINCT FROM ?",
        [name, key],
    ).fetchall()
    return _parsed(*rows[0]) if rows else None


def _exists(connection: "DuckDBPyConnection", name: str) -> bool:
    query = "SELECT 1 FROM duckdb_tables() WHERE table_name = ?"
    return bool(connection.execute(query, [name]).fetchall())


def _parsed(entry: str, rows: int) -> Footer:
    values = json.loads(entry)
    return Footer(values["key"], values["digest"], rows, values["stats"])
