"""A PostgreSQL server with pgvector as the passages' store: how it is reached, and its refusals."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from embedding_assets.errors import EmbeddingAssetsError

if TYPE_CHECKING:
    import psycopg

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

DEFAULT_SCHEMA = "embedding_assets"
INDEX_ABOVE = 50_000
"""Passages. The exact search through 50,000 of 384 components takes about 60 ms on two busy cores,
the index 5 ms; to build it takes a minute."""

_FORM = (
    "Write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the password, @ is %40, "
    "/ is %2F, : is %3A, # is %23, ? is %3F and % is %25."
)
_LOCK_WAIT = "10min"


class PostgresError(EmbeddingAssetsError):
    """The PostgreSQL server did not do what it was asked for."""


class PostgresDriverError(PostgresError):
    """The library that speaks to PostgreSQL is not installed."""


class PostgresUrlError(PostgresError):
    """The URL of the server cannot be read."""


class PostgresUnreachableError(PostgresError):
    """No server answers, or the connection broke."""

    is_transient = True


class PostgresRefusedError(PostgresError):
    """The server answers, but not to this user, password or database."""


class PostgresExtensionError(PostgresError):
    """The database has no usable pgvector."""


class PostgresBusyError(PostgresError):
    """Another publisher, or a long query, did not let go in time."""

    is_transient = True


@dataclass(frozen=True)
class PostgresTarget:
    """Where passages are published: the tables of one schema of a database.

    url: as libpq reads it; it may hold a password, so it is in no text that this class makes.
    index_above: from how many passages on there is an index for approximate search.
    """

    url: str = field(repr=False)
    schema: str = DEFAULT_SCHEMA
    index_above: int = INDEX_ABOVE


@contextmanager
def connected(target: PostgresTarget) -> Iterator[Connection]:
    """A connection for the block; what fails on it is raised as a PostgresError.

    Raises PostgresDriverError, PostgresUrlError, PostgresUnreachableError, PostgresRefusedError,
    and for the statements of the block also PostgresBusyError and PostgresError.
    """
    psycopg = _driver()
    parameters = _parameters(target.url)
    with _connect(parameters) as connection:
        try:
            yield connection
        except psycopg.Error as error:
            raise _named(error, parameters) from None


@contextmanager
def transaction(connection: Connection, schema: str) -> Iterator[None]:
    """A transaction in which names without a schema are those of `schema`, and of no other."""
    with connection.transaction():
        connection.execute("SELECT set_config('search_path', quote_ident(%s), true)", [schema])
        yield


@contextmanager
def exclusive(connection: Connection, schema: str) -> Iterator[None]:
    """A transaction that waits for those of every other writer to `schema`, and they for it."""
    with transaction(connection, schema):
        connection.execute("SELECT set_config('lock_timeout', %s, true)", [_LOCK_WAIT])
        name = f"embedding_assets {schema}"
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [name])
        yield


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise PostgresDriverError(
            f"psycopg, which speaks to PostgreSQL, cannot be loaded ({error}).",
            "Run `pip install 'embedding-assets[postgres]'`.",
        ) from None
    return psycopg


def _parameters(url: str) -> dict[str, Any]:
    """The parts of the URL; one that breaks inside its password is not shown, not even in part."""
    psycopg = _driver()
    try:
        given = psycopg.conninfo.conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise PostgresUrlError("The URL of the PostgreSQL server cannot be read.", _FORM) from None
    names = f"{given.get('host', '')}{given.get('hostaddr', '')}{given.get('dbname', '')}"
    ports = str(given.get("port", "")).replace(",", "")
    if "@" in names or not (ports.isdecimal() or not ports):
        raise PostgresUrlError("The URL of the PostgreSQL server has parts out of place.", _FORM)
    defaults = {"connect_timeout": 10, "application_name": "embedding_assets"}
    return {**defaults, **given, "client_encoding": "utf8"}


def _connect(parameters: Mapping[str, Any]) -> Connection:
    psycopg = _driver()
    try:
        # No prepared statements: a pool before the server may give each transaction another one.
        connection: Connection = psycopg.connect(
            **parameters, autocommit=True, prepare_threshold=None
        )
    except psycopg.OperationalError as error:
        # Without its cause: the texts of libpq may repeat parts of a URL.
        raise _not_connected(error, parameters) from None
    # Under a stricter level a snapshot would be older than the lock that was waited for.
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    return connection


def _named(error: "psycopg.Error", parameters: Mapping[str, Any]) -> PostgresError:
    psycopg = _driver()
    words, where = _words(error, parameters), _where(parameters)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return PostgresBusyError(
            f"Another publisher or a long query kept PostgreSQL at {where} busy: {words}.",
            "Wait for it to end (pg_stat_activity shows it), then run this again.",
        )
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return PostgresRefusedError(
            f"PostgreSQL at {where} does not allow this user to publish: {words}.",
            "Grant the user CREATE on the database, or on the schema if that exists already.",
        )
    if isinstance(error, psycopg.OperationalError) and _is_loss(error.sqlstate):
        return PostgresUnreachableError(
            f"The connection to PostgreSQL at {where} broke: {words}.",
            "Run it again: what was written is whole, and is not written again.",
        )
    return PostgresError(
        f"PostgreSQL at {where} refused: {words}.", "The server's log may say more."
    )


def _not_connected(error: "psycopg.Error", parameters: Mapping[str, Any]) -> PostgresError:
    """Before a connection stands there is no error code, and the words are in any language."""
    words, where = _words(error, parameters), _where(parameters)
    asked = error.pgconn is not None and (error.pgconn.used_password or error.pgconn.needs_password)
    if asked or "FATAL" in words:
        return PostgresRefusedError(
            f"PostgreSQL at {where} did not let us in: {words}.",
            "Check the user, password and database of the URL.",
        )
    return PostgresUnreachableError(
        f"PostgreSQL at {where} cannot be reached: {words}.",
        "Check the URL's host and port, and that the server runs.",
    )


def _is_loss(sqlstate: str | None) -> bool:
    return sqlstate is None or sqlstate[:2] in ("08", "57")


def _words(error: "psycopg.Error", parameters: Mapping[str, Any]) -> str:
    words = " ".join(str(error).split()).removesuffix(".")
    password = parameters.get("password")
    return words.replace(str(password), "***") if password else words


def _where(parameters: Mapping[str, Any]) -> str:
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = f":{parameters['port']}" if parameters.get("port") else ""
    return f"{host}{port}/{parameters.get('dbname', '')}"
