"""When the vector of each app was first seen, so that new ones can be compared with those before.

App files hold no dates. Apps that stood there at the first look are older than any window.
"""

from datetime import date
from hashlib import blake2b

import pyarrow as pa

from embedding_assets.embedding.encoder import Vectors

SIGHTING_SCHEMA = pa.schema(
    [
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("vector", pa.uint64(), nullable=False),
        pa.field("first_seen", pa.date32(), nullable=False),
    ]
)
"""vector: a hash of it."""
LONG_AGO = date(1970, 1, 1)


def sighted(before: pa.Table | None, ids: list[str], vectors: Vectors, today: date) -> pa.Table:
    """The apps of a version with the day on which each vector was first seen (SIGHTING_SCHEMA).

    before: what the last look gave, None at the first. Where most of the apps that were known have
    other vectors, another model made them, and everything begins anew.
    """
    known = _known(before) if before is not None else {}
    keys = [_key(row.tobytes()) for row in vectors]
    changed = sum(known[app][0] != key for app, key in zip(ids, keys, strict=True) if app in known)
    is_new = not known or 2 * changed > sum(app in known for app in ids)
    days = [
        LONG_AGO if is_new else _day(known.get(app), key, today)
        for app, key in zip(ids, keys, strict=True)
    ]
    return pa.table([ids, keys, days], schema=SIGHTING_SCHEMA)


def _known(table: pa.Table) -> dict[str, tuple[int, date]]:
    rows = zip(*(table[name].to_pylist() for name in SIGHTING_SCHEMA.names), strict=True)
    return {app: (vector, day) for app, vector, day in rows}


def _day(known: tuple[int, date] | None, key: int, today: date) -> date:
    return known[1] if known is not None and known[0] == key else today


def _key(content: bytes) -> int:
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
