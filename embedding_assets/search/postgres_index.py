"""An index over published vectors: made when there are many, its recall measured and kept."""

import json

import numpy as np

from embedding_assets.search.postgres_search import Query, Searcher, Vector, open_searcher
from embedding_assets.search.postgres_server import (
    Connection,
    PostgresTarget,
    exclusive,
    transaction,
)
from embedding_assets.search.postgres_tables import PublishedModel, extension_schema

_MOST_DIMENSIONS = 2_000
"""pgvector's limit of an index over float32."""
_SAMPLED_QUERIES = 50
_RECALL_AT = 10
# By the inner product: of unit vectors it is the cosine, for less arithmetic.
_CREATE = "CREATE INDEX {name} ON {table} USING hnsw (embedding {extension}.vector_ip_ops)"
_SAMPLE = "SELECT embedding::text FROM {table} ORDER BY md5(chunk_id), doc_id LIMIT %s"


def ensure_index(connection: Connection, target: PostgresTarget, model: PublishedModel) -> None:
    """Index a model's table when it has grown large and has no index, and keep the recall.

    Searches go on meanwhile; who writes waits.
    """
    if model.dimension > _MOST_DIMENSIONS or not _is_due(connection, target, model):
        return
    with exclusive(connection, target.schema):
        # Another publisher may have been first.
        if _exists(connection, model):
            return
        _create(connection, model)
        recall = _recall(connection, open_searcher(connection, model.fingerprint), model)
        connection.execute(
            "UPDATE models SET index_recall = %s WHERE fingerprint = %s",
            [recall, model.fingerprint],
        )


def _is_due(connection: Connection, target: PostgresTarget, model: PublishedModel) -> bool:
    query = "SELECT coalesce(sum(passages), 0) FROM documents WHERE fingerprint = %s"
    with transaction(connection, target.schema):
        passages = connection.execute(query, [model.fingerprint]).fetchall()[0][0]
        return passages >= target.index_above and not _exists(connection, model)


def _exists(connection: Connection, model: PublishedModel) -> bool:
    return connection.execute("SELECT to_regclass(%s)", [_name(model)]).fetchall() != [(None,)]


def _name(model: PublishedModel) -> str:
    return f"{model.table}_hnsw"


def _create(connection: Connection, model: PublishedModel) -> None:
    from psycopg.sql import SQL, Identifier

    names = {"name": Identifier(_name(model)), "table": Identifier(model.table)}
    connection.execute(SQL(_CREATE).format(**names, extension=extension_schema(connection)))


def _recall(connection: Connection, searcher: Searcher, model: PublishedModel) -> float:
    """The share of the exact nearest that the index finds, over queries that lie halfway between
    two passages each: a stored vector itself is found too easily."""
    from psycopg.sql import SQL, Identifier

    sample = SQL(_SAMPLE).format(table=Identifier(model.table))
    texts = connection.execute(sample, [2 * _SAMPLED_QUERIES]).fetchall()
    vectors: Vector = np.array([json.loads(text) for (text,) in texts], dtype=np.float32)
    between = vectors[::2] + vectors[1::2]
    between /= np.linalg.norm(between, axis=1, keepdims=True)
    shares = [_share(searcher, Query(vector, _RECALL_AT)) for vector in between]
    return float(np.mean(shares))


def _share(searcher: Searcher, query: Query) -> float:
    exact = {(found.doc_id, found.chunk_id) for found in searcher.search(query)}
    indexed = {(found.doc_id, found.chunk_id) for found in searcher.search_index(query)}
    return len(exact & indexed) / len(exact)
