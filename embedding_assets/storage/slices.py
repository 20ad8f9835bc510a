"""What an asset hands to storage: slices of a table, produced only while they are written."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

Stats: TypeAlias = dict[str, Any]


@dataclass(frozen=True)
class Slice:
    """One partition of a table: the whole of its rows, not yet computed.

    key: the partition, or None for a table that has none.
    digest: hash of everything the rows are computed from; equal digests mean equal rows.
    batches: called only when the stored slice has another digest.
    stats: filled while the batches are drawn, stored with the rows.
    """

    key: str | None
    digest: str
    schema: pa.Schema
    batches: Callable[[], Iterable[pa.RecordBatch]]
    stats: Stats = field(default_factory=dict)


@dataclass(frozen=True)
class Slices:
    """The slices of a table in the order in which they are computed and written.

    small: there are many small ones; they may become durable together, after the last one.
    """

    parts: Iterable[Slice]
    small: bool = False

    def __iter__(self) -> Iterator[Slice]:
        return iter(self.parts)


@dataclass(frozen=True)
class Footer:
    """What is known of a stored slice without reading its rows."""

    key: str | None
    digest: str
    rows: int
    stats: Stats

    def to_json(self) -> str:
        """The text that is stored beside the rows."""
        return json.dumps({"key": self.key, "digest": self.digest, "stats": self.stats})


@dataclass(frozen=True)
class Written:
    """What became of a slice: its footer, and whether its rows were replaced or found unchanged."""

    footer: Footer
    replaced: bool


def digest_of(*parts: object) -> str:
    """SHA-256 (hex) over `parts`, unambiguous in their number and order."""
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()


def table_slice(table: pa.Table, digest: str, key: str | None = None, **stats: Any) -> Slice:
    """A slice of rows that are at hand already."""
    return Slice(key, digest, table.schema, table.to_batches, dict(stats))
