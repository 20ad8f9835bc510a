"""Accounts that were forgotten: told by a hash of their id, so that no list names them."""

import hashlib
from collections.abc import Callable
from typing import TypeAlias, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.records.clean import folded
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.slices import digest_of

Accounts: TypeAlias = frozenset[str]
"""Forgotten accounts, each by its `account_key`."""
Rows = TypeVar("Rows", pa.RecordBatch, pa.Table)

_ID_COLUMNS = ("account_id", "similar_account_id")


def nobody() -> Accounts:
    """No account is forgotten."""
    return frozenset()


Forgotten: TypeAlias = Callable[[], Accounts]
"""Gives the accounts that are forgotten by now."""


def account_key(account_id: str) -> str | None:
    """SHA-256 (hex) of an account's id as clean records have it; None when nothing is left of it
    there."""
    with query_engine() as connection:
        query = f"SELECT {folded('id')} FROM (SELECT CAST(? AS VARCHAR) AS id)"
        [(clean_id,)] = connection.execute(query, [account_id]).fetchall()
    return hashlib.sha256(clean_id.encode()).hexdigest() if clean_id else None


def forgotten_ids(ids: pa.Array | pa.ChunkedArray, forgotten: Accounts) -> pa.Array:
    """Those of `ids`, each once and as it is written, that clean records would have as the id of
    a forgotten account."""
    with query_engine() as connection:
        connection.register("ids", pa.table({"id": pc.unique(ids)}))
        query = f"SELECT id FROM ids WHERE sha256({folded('id')}) IN (SELECT unnest(?))"
        found = connection.execute(query, [sorted(forgotten)]).fetchall()
    return pa.array([row[0] for row in found], pa.string())


def without_accounts(rows: Rows, forgotten: Accounts) -> Rows:
    """The rows, raw or clean, without those of forgotten accounts and those that name one as
    similar."""
    for name in _ID_COLUMNS:
        if forgotten and name in rows.schema.names:
            gone = forgotten_ids(rows[name], forgotten)
            if len(gone):
                rows = rows.filter(pc.invert(pc.is_in(rows[name], value_set=gone)))
    return rows


def remembered_sql(table: str, forgotten: Accounts) -> str:
    """SQL that yields the clean records in `table` without those of forgotten accounts."""
    if not forgotten:
        return f"FROM {table}"
    keys = ", ".join(f"'{key}'" for key in sorted(forgotten))
    return f"""
        FROM {table} WHERE account_id NOT IN (
            SELECT account_id FROM (SELECT DISTINCT account_id FROM {table})
            WHERE sha256(account_id) IN ({keys}))"""


def forgotten_digest(forgotten: Accounts) -> str:
    """Changes whenever another account is forgotten; "" while none is."""
    return digest_of("forgotten", sorted(forgotten)) if forgotten else ""
