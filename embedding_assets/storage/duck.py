"""DuckDB connections that keep to a memory limit and spill to disk beyond it."""

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.storage.files import named_errors

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def connect(
    database: Path | str = ":memory:",
    *,
    read_only: bool = False,
    limits: Mapping[str, str] | None = None,
) -> "DuckDBPyConnection":
    """A connection that draws no progress bar of its own: DuckDB draws one on standard output,
    into whatever is printed there, once a query takes two seconds."""
    import duckdb

    connection = duckdb.connect(str(database), read_only, dict(limits or {}))
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def query_engine(
    memory_mb: int = 384, database: Path | None = None
) -> "Iterator[DuckDBPyConnection]":
    """A connection, in memory or on a file, that is always closed; its clock is UTC.

    Raises NotEnoughMemoryError or DiskFullError when a query outgrows its limits.
    """
    with tempfile.TemporaryDirectory(prefix="embedding_assets-") as spill:
        limits = {"memory_limit": f"{memory_mb}MB", "temp_directory": spill}
        connection = connect(database or ":memory:", limits=limits)
        try:
            with named_errors(database or "a query"):
                connection.execute("LOAD icu")
                connection.execute("SET TimeZone = 'UTC'")
                connection.execute("SET preserve_insertion_order = false")
                yield connection
        finally:
            connection.close()


def quoted(name: str | Path) -> str:
    """`name` as an SQL string literal."""
    return "'" + str(name).replace("'", "''") + "'"


def only(path: Path) -> str:
    """`path` as a glob pattern that matches nothing else."""
    return re.sub(r"[*?\[]", r"[\g<0>]", str(path))


def identifier(name: str) -> str:
    """`name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'
