"""The published passages nearest to a vector."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.errors import InputError, NotFoundError
from embedding_assets.search.postgres_server import (
    Connection,
    PostgresTarget,
    connected,
    transaction,
)
from embedding_assets.search.postgres_tables import COLUMNS, extension_schema, has_models

if TYPE_CHECKING:
    from psycopg.sql import Composed

Vector: TypeAlias = npt.NDArray[np.float32]

_CANDIDATES = 200
_MOST_CANDIDATES = 1_000
_FIELDS = COLUMNS[:-2]
_SELECT = """
SELECT {fields}, -(embedding OPERATOR({extension}.<#>) %(vector)s::{extension}.vector) AS score
FROM {table} WHERE %(doc_ids)s::text[] IS NULL OR doc_id = ANY(%(doc_ids)s)
ORDER BY """
# By the score itself, of which no index knows: so every passage is looked at.
_EXACTLY = "score DESC, doc_id, position LIMIT %(k)s"
_BY_INDEX = "embedding OPERATOR({extension}.<#>) %(vector)s::{extension}.vector LIMIT %(k)s"

_MODEL = """
SELECT table_name, dimension FROM models
WHERE CASE WHEN %(fingerprint)s::text IS NULL THEN live ELSE fingerprint = %(fingerprint)s END"""


@dataclass(frozen=True)
class PublishedPassage:
    """A published passage that was found.

    pages: ascending. boxes: page, left, top, right, bottom in points. score: the cosine.
    """

    doc_id: str
    chunk_id: str
    position: int
    text: str
    heading_path: list[str]
    kind: str
    pages: list[int]
    boxes: list[dict[str, float]]
    score: float


@dataclass(frozen=True)
class Query:
    """What is asked for: the `k` passages nearest to `vector`.

    vector: float32 [d], unit length.
    doc_ids: only in these documents; None is all.
    fingerprint: of the model that made the vector; None is the live one.
    """

    vector: Vector
    k: int = 10
    doc_ids: Sequence[str] | None = None
    fingerprint: str | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise InputError(f"k is {self.k}.", "Ask for at least one passage.")
        if self.vector.ndim != 1 or not np.isfinite(self.vector).all():
            raise InputError("The query is no vector of finite numbers.", "Give float32 [d].")


def search_postgres(
    target: PostgresTarget, query: Query, *, exact: bool = True
) -> list[PublishedPassage]:
    """The published passages with the highest cosine, best first; among equal ones the order is
    that of document and position.

    exact: False may use the index, where there is one, and so miss some; it never returns fewer
    than there are. The model's `index_recall` says what share it found when it was built.
    Raises what `connected` raises, NotFoundError when nothing is published (or nothing of that
    model), InputError when the vector has not the model's dimension.
    """
    with connected(target) as connection, transaction(connection, target.schema):
        searcher = open_searcher(connection, query.fingerprint)
        return searcher.search(query) if exact else searcher.search_index(query)


@dataclass(frozen=True)
class Searcher:
    """One model's table, inside a transaction.

    names: what the statements leave open. iterative: whether pgvector goes on in its index until
    it has enough (since 0.8.0).
    """

    connection: Connection
    names: dict[str, "Composed"]
    dimension: int
    iterative: bool

    def search(self, query: Query) -> list[PublishedPassage]:
        """The passages nearest to the query, all of them looked at."""
        return self._search(_EXACTLY, query)

    def search_index(self, query: Query) -> list[PublishedPassage]:
        """The passages nearest to the query, as the index has them."""
        if not self.iterative:
            return self.search(query)
        candidates = str(min(max(_CANDIDATES, 2 * query.k), _MOST_CANDIDATES))
        for name, value in (("ef_search", candidates), ("iterative_scan", "strict_order")):
            self.connection.execute("SELECT set_config(%s, %s, true)", [f"hnsw.{name}", value])
        found = self._search(_BY_INDEX, query)
        # Under a filter it gives up after a while; that must not look as if there were no more.
        return found if len(found) == query.k else self.search(query)

    def _search(self, order: str, query: Query) -> list[PublishedPassage]:
        from psycopg.sql import SQL

        if len(query.vector) != self.dimension:
            raise InputError(
                f"The query has {len(query.vector)} components, the published vectors have "
                f"{self.dimension}.",
                "Encode it with the model that was published.",
            )
        values = {
            "vector": str(query.vector.tolist()),
            "doc_ids": None if query.doc_ids is None else list(query.doc_ids),
            "k": query.k,
        }
        statement = SQL(_SELECT + order).format(**self.names)
        return [PublishedPassage(*row) for row in self.connection.execute(statement, values)]


def open_searcher(connection: Connection, fingerprint: str | None = None) -> Searcher:
    """What searches the table of a model, or of the live one, inside a transaction.

    Raises NotFoundError when it was not published.
    """
    from psycopg.sql import SQL, Identifier

    table, dimension = _table(connection, fingerprint)
    names = {
        "fields": SQL(", ").join(Identifier(name) for name in _FIELDS),
        "extension": extension_schema(connection),
        "table": SQL("{}").format(Identifier(table)),
    }
    query = "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    version = connection.execute(query).fetchall()[0][0]
    major, minor = (int(number) for number in version.split(".")[:2])
    return Searcher(connection, names, dimension, iterative=(major, minor) >= (0, 8))


def _table(connection: Connection, fingerprint: str | None) -> tuple[str, int]:
    if has_models(connection):
        for table, dimension in connection.execute(_MODEL, {"fingerprint": fingerprint}):
            return table, dimension
    what = "Nothing" if fingerprint is None else f"Nothing of the model {fingerprint[:12]}"
    raise NotFoundError(f"{what} is published.", "Publish doc_vectors first.")
