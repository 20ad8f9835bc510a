"""The tables of published passages: one for each model, and a view of the one that is live."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedding_assets.search.postgres_server import (
    Connection,
    PostgresExtensionError,
    PostgresTarget,
    exclusive,
)

if TYPE_CHECKING:
    from psycopg.sql import Composed

COLUMNS = (
    "doc_id",
    "chunk_id",
    "position",
    "text",
    "heading_path",
    "kind",
    "pages",
    "boxes",
    "tokens",
    "embedding",
)
_MODELS = """
CREATE TABLE IF NOT EXISTS models (
    fingerprint text PRIMARY KEY,
    name text NOT NULL,
    version text NOT NULL,
    dimension int NOT NULL,
    table_name text NOT NULL UNIQUE,
    live boolean NOT NULL DEFAULT false,
    index_recall real,
    published_at timestamptz
)"""
_ONE_IS_LIVE = "CREATE UNIQUE INDEX IF NOT EXISTS models_live ON models (live) WHERE live"
_DOCUMENTS = """
CREATE TABLE IF NOT EXISTS documents (
    fingerprint text NOT NULL REFERENCES models,
    doc_id text NOT NULL,
    digest text NOT NULL,
    passages int NOT NULL,
    PRIMARY KEY (fingerprint, doc_id)
)"""
# MAIN keeps the vectors beside their rows: the exact search reads them all, and out of line, which
# is pgvector's default above 2 kB a row, each is a lookup of its own.
_PASSAGES = """
CREATE TABLE IF NOT EXISTS {table} (
    doc_id text NOT NULL,
    chunk_id text NOT NULL,
    position int NOT NULL,
    text text NOT NULL,
    heading_path text[] NOT NULL,
    kind text NOT NULL,
    pages int[] NOT NULL,
    boxes jsonb NOT NULL,
    tokens int NOT NULL,
    embedding {extension}.vector({dimension}) STORAGE MAIN NOT NULL,
    PRIMARY KEY (doc_id, chunk_id)
)"""
# Without the vector's length, which a replaced view could not change.
_VIEW = """
CREATE OR REPLACE VIEW chunks AS
SELECT {columns}, embedding::{extension}.vector AS embedding FROM {table}"""


@dataclass(frozen=True)
class PublishedModel:
    """The model that made the vectors which are published.

    fingerprint: of the encoder. dimension: the components of a vector.
    """

    name: str
    version: str
    fingerprint: str
    dimension: int

    @property
    def table(self) -> str:
        """The table of its passages: no two models share one."""
        return f"chunks_{self.fingerprint[:16]}"


def prepare(connection: Connection, target: PostgresTarget, model: PublishedModel) -> None:
    """Create what is not there yet: extension, schema, and the tables of `model`.

    Raises PostgresExtensionError.
    """
    from psycopg.sql import SQL, Identifier

    with exclusive(connection, target.schema):
        extension = _created_extension(connection)
        there = "SELECT 1 FROM pg_namespace WHERE nspname = %s"
        if not connection.execute(there, [target.schema]).fetchall():
            connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(target.schema)))
        for statement in (_MODELS, _ONE_IS_LIVE, _DOCUMENTS):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO models (fingerprint, name, version, dimension, table_name) "
            "VALUES (%s, %s, %s, %s, %s) ON CONFLICT (fingerprint) "
            "DO UPDATE SET name = excluded.name, version = excluded.version",
            [model.fingerprint, model.name, model.version, model.dimension, model.table],
        )
        connection.execute(
            SQL(_PASSAGES).format(
                table=Identifier(model.table), extension=extension, dimension=model.dimension
            )
        )


def make_live(connection: Connection, target: PostgresTarget, model: PublishedModel) -> None:
    """Let the view `chunks`, and every search that names no model, be of `model`."""
    from psycopg.sql import SQL, Identifier

    live = "SELECT 1 FROM models WHERE live AND fingerprint = %s"
    with exclusive(connection, target.schema):
        # Replacing the view waits for its readers, and lets later ones wait: only when it must be.
        if not connection.execute(live, [model.fingerprint]).fetchall():
            columns = SQL(", ").join(Identifier(name) for name in COLUMNS[:-1])
            connection.execute("UPDATE models SET live = false WHERE live")
            connection.execute(
                SQL(_VIEW).format(
                    columns=columns,
                    extension=extension_schema(connection),
                    table=Identifier(model.table),
                )
            )
        connection.execute(
            "UPDATE models SET live = true, published_at = now() WHERE fingerprint = %s",
            [model.fingerprint],
        )


def remove(connection: Connection, doc_ids: Sequence[str]) -> int:
    """Delete the documents under every model, inside a transaction; the passages that went."""
    from psycopg.sql import SQL, Identifier

    rows = 0
    for (table,) in connection.execute("SELECT table_name FROM models ORDER BY table_name"):
        query = SQL("DELETE FROM {} WHERE doc_id = ANY(%s)").format(Identifier(table))
        rows += connection.execute(query, [list(doc_ids)]).rowcount
    connection.execute("DELETE FROM documents WHERE doc_id = ANY(%s)", [list(doc_ids)])
    return rows


def has_models(connection: Connection) -> bool:
    """Whether anything was ever published, inside a transaction."""
    return connection.execute("SELECT to_regclass('models')").fetchall() != [(None,)]


def extension_schema(connection: Connection) -> "Composed":
    """The schema that pgvector's type and operators stand in, for use in a statement.

    Raises PostgresExtensionError.
    """
    found = _extension(connection)
    if found is None:
        raise PostgresExtensionError(
            "The pgvector extension was dropped from the database, and the vectors with it.",
            "Run `DROP SCHEMA ... CASCADE` for the schema of the passages, then publish again.",
        )
    return found


def _extension(connection: Connection) -> "Composed | None":
    from psycopg.sql import SQL, Identifier

    query = (
        "SELECT nspname FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace "
        "WHERE extname = 'vector'"
    )
    found = connection.execute(query).fetchone()
    return None if found is None else SQL("{}").format(Identifier(found[0]))


def _created_extension(connection: Connection) -> "Composed":
    from psycopg import errors

    found = _extension(connection)
    if found is not None or has_models(connection):
        return found or extension_schema(connection)
    # Publishers to other schemas of the database may be about to do the same.
    connection.execute("SELECT pg_advisory_xact_lock(hashtextextended('embedding_assets', 0))")
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public")
    except (errors.FeatureNotSupported, errors.UndefinedFile):
        raise PostgresExtensionError(
            "The PostgreSQL server has no pgvector.",
            "Install it there (Debian: `apt install postgresql-NN-pgvector` with the server's "
            "major version; Docker: the image pgvector/pgvector), then publish again.",
        ) from None
    except errors.InsufficientPrivilege:
        raise PostgresExtensionError(
            "pgvector is not enabled in this database, and this user may not enable it.",
            "Let an administrator run `CREATE EXTENSION vector` in it once.",
        ) from None
    return extension_schema(connection)
