"""The database of the service: SQLite for one machine, PostgreSQL for many, by the same code.

A module that keeps tables here defines them on a `MetaData` of its own and creates them at start:

    TABLES = own_tables("experiments", version=1)
    exposures = Table("exposures", TABLES, Column(...), ...)
    create_tables(engine, TABLES)

and reads and writes only inside `reading(engine)` and `writing(engine)`, which turn whatever the
database does into the named errors of this project.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import (
    URL,
    Column,
    Connection,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    exc,
    func,
    make_url,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import PoolProxiedConnection

from embedding_assets.errors import (
    NotFoundError,
    SettingsError,
    StoreDamagedError,
    StoreError,
    StoreVersionError,
)
from embedding_assets.made_once import FileGoneError, is_made, make_once, mark, marker_of

BUSY_SECONDS = 5.0
"""How long to wait for another writer before a transaction is given up."""

_CONNECT_SECONDS = 3
_CREATION_LOCK = 0x656D6265
_NOT_ALLOWED = ("42501", "3F000")
"""SQLSTATEs: a right is lacking; there is no schema that the user may create in."""
_WRITES = "writes"
_VERSIONS = MetaData()
_versions = Table(
    "schema_versions",
    _VERSIONS,
    Column("part", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    sqlite_with_rowid=False,
)


class DatabaseUnavailableError(StoreError):
    """The database cannot be reached, or is held by others for too long: try again later."""

    is_transient = True


class DatabaseRefusedError(StoreError):
    """The database's user may not do what is needed."""


class DatabaseAbsentError(NotFoundError):
    """There is no database yet, so there is nothing in it."""


def open_engine(url: str, *, make: bool = True) -> Engine:
    """The engine of a database, whose tables are yet to be created.

    url: `sqlite:///FILE` (made with its folder when there never was one) or `postgresql://…`. A
    server need not be there yet. make: whether a file is made; for who only reads, False.

    Raises SettingsError for any other URL; DatabaseUnavailableError when the file cannot be made,
    or was made and is gone; DatabaseAbsentError when none was made and `make` is False.
    """
    try:
        parsed = make_url(url)
    except exc.ArgumentError:
        raise _wrong_url("it is no URL") from None
    if parsed.get_backend_name() == "sqlite":
        return _sqlite_engine(parsed, make=make)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return _postgres_engine(parsed.set(drivername="postgresql+psycopg"))
    raise _wrong_url(f"{parsed.drivername!r} is not known")


def sqlite_url(path: Path) -> str:
    """The URL of a database file, whatever characters its path has."""
    return URL.create("sqlite", database=str(path.absolute())).render_as_string()


def own_tables(part: str, version: int) -> MetaData:
    """Where a module defines its tables.

    version: to be raised by every change that code of the older version would misread.
    """
    return MetaData(info={"part": part, "version": version})


def create_tables(engine: Engine, tables: MetaData) -> None:
    """Create what is absent; any number of processes may do so at once.

    Raises StoreVersionError when the tables are there in another version, DatabaseRefusedError when
    the user may not create any.
    """
    part, version = tables.info["part"], tables.info["version"]
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(select(func.pg_advisory_xact_lock(_CREATION_LOCK)))
        _VERSIONS.create_all(connection)
        found = connection.scalar(select(_versions.c.version).where(_versions.c.part == part))
        if found is None:
            connection.execute(_versions.insert().values(part=part, version=version))
        elif found != version:
            raise StoreVersionError(
                f"The database's tables for {part} have version {found}, this program's {version}.",
                "Use the program that wrote them, or another database.",
            )
        tables.create_all(connection)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements see one state of the database.

    Raises DatabaseUnavailableError, DatabaseRefusedError, StoreDamagedError.
    """
    with _named_errors(engine), engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A connection whose statements are committed together at the block's end, or not at all.

    When the block ends without error, what was written is durable. SQLite admits one writer at a
    time. Raises DatabaseUnavailableError, DatabaseRefusedError, StoreDamagedError.
    """
    with _named_errors(engine), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


def hold(connection: Connection, tables: MetaData) -> None:
    """Keep every other writer that holds the same `tables` waiting until this one commits."""
    mine = _versions.c.part == tables.info["part"]
    connection.execute(select(_versions.c.version).where(mine).with_for_update())


def insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that knows `on_conflict_do_nothing` and `on_conflict_do_update`.

    Sort the rows by the primary key: PostgreSQL's writers deadlock on other orders.
    """
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table)
    return sqlite.insert(table)


def _wrong_url(reason: str) -> SettingsError:
    return SettingsError(
        f"The setting service.database_url cannot be used: {reason}.",
        "Give sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE.",
    )


def _postgres_engine(url: URL) -> Engine:
    timeouts = {
        "connect_timeout": _CONNECT_SECONDS,
        # A server that vanished without a word is noticed as soon as one that says so.
        "tcp_user_timeout": 10_000,
    }
    arguments = {name: value for name, value in timeouts.items() if name not in url.query}
    try:
        engine = create_engine(
            url, pool_pre_ping=True, pool_timeout=BUSY_SECONDS, connect_args=arguments
        )
    except ImportError:
        raise SettingsError(
            "PostgreSQL needs the package psycopg.",
            "Install embedding-assets[postgres].",
        ) from None

    @event.listens_for(engine, "connect")
    def set_up(connection: Any, _: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{BUSY_SECONDS:.0f}s"])
            # Acknowledged means durable, whatever the server's default.
            cursor.execute("SELECT set_config('synchronous_commit', 'on', false)")
        connection.commit()

    return engine


def _sqlite_engine(url: URL, *, make: bool) -> Engine:
    if not url.database or url.database == ":memory:" or url.query:
        raise _wrong_url("SQLite needs the path of a file, without options")
    path = Path(url.database).absolute()
    if not make and not is_made(path):
        raise DatabaseAbsentError(
            f"There is no database {path} yet.", "What is kept first makes it."
        )
    _make_file(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=lambda: _sqlite_connection(path),
        pool_timeout=BUSY_SECONDS,
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES)
        # A deferred writer that has read fails at its first write when another one was quicker.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    @event.listens_for(engine, "checkout")
    def require_same_file(
        connection: sqlite3.Connection, record: Any, _: PoolProxiedConnection
    ) -> None:
        # Written to a file that was removed, an acknowledged row would be gone.
        if record.info.setdefault("file", _identity(path)) != _identity(path):
            raise exc.DisconnectionError("the file was removed or replaced")

    return engine


def _make_file(path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # For its owner alone: it holds the hashes of keys. Its journals get the same mode.
        make_once(path, 0o600)
        connection = _sqlite_connection(path)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        finally:
            connection.close()
        mark(path)
    except FileGoneError as error:
        raise _gone(path, error) from error
    except (OSError, sqlite3.OperationalError) as error:
        raise _unavailable(str(path), error) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(str(path), error) from error


def _sqlite_connection(path: Path) -> sqlite3.Connection:
    """A connection to the file as it stands: only `open_engine` makes one."""
    connection = sqlite3.connect(
        f"file:{quote(str(path))}?mode=rw",
        uri=True,
        timeout=BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _named_errors(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (exc.TimeoutError, exc.DisconnectionError) as error:
        raise _unavailable(_name(engine.url), error) from error
    except exc.DBAPIError as error:
        if _is_missing_table(error):
            raise _damaged(_name(engine.url), error.orig) from error
        if error.connection_invalidated or isinstance(
            error, exc.OperationalError | exc.InterfaceError | exc.InternalError
        ):
            raise _unavailable(_name(engine.url), error.orig) from error
        if _sqlstate(error) in _NOT_ALLOWED:
            raise _refused(_name(engine.url), error.orig) from error
        # Without a state it is not the server's word, but a mistake of ours.
        is_said = isinstance(error, exc.ProgrammingError) and _sqlstate(error) is not None
        if is_said or type(error) is exc.DatabaseError:
            raise _damaged(_name(engine.url), error.orig) from error
        raise


def _is_missing_table(error: exc.DBAPIError) -> bool:
    return _sqlstate(error) == "42P01" or "no such table" in str(error.orig)


def _sqlstate(error: exc.DBAPIError) -> str | None:
    return getattr(error.orig, "sqlstate", None)


def _name(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return f"{url.database} on {url.host or url.query.get('host', 'this machine')}"


def _gone(path: Path, error: FileGoneError) -> DatabaseUnavailableError:
    # Begun anew, it would know no keys: what they keep shut would be open.
    return DatabaseUnavailableError(
        f"The database {path} does not answer: {error}.",
        f"Put it back. To begin anew, without keys and experiments, remove "
        f"{marker_of(path).name}, {path.name}, and its files -wal and -shm, if they are there.",
    )


def _unavailable(name: str, error: object) -> DatabaseUnavailableError:
    return DatabaseUnavailableError(
        f"The database {name} does not answer: {_first_line(error)}.",
        "Try again once it is back.",
    )


def _refused(name: str, error: object) -> DatabaseRefusedError:
    return DatabaseRefusedError(
        f"The database {name} refuses what is needed: {_first_line(error)}.",
        "Let its user own the database, or GRANT CREATE ON SCHEMA public TO that user.",
    )


def _damaged(name: str, error: object) -> StoreDamagedError:
    return StoreDamagedError(
        f"The database {name} is damaged or not ours: {_first_line(error)}.",
        "Restore it from a backup, or name another one.",
    )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
