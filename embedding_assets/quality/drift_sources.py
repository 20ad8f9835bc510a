"""The vectors of a window and of the time before it, out of what is stored; few at a time."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.quality.drift import Drift, Sample, measure_drift
from embedding_assets.quality.drift_blocks import Blocks, common_limit
from embedding_assets.quality.drift_table import OTHER_MODEL, Span
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import digest_of

_BATCH_ROWS = 8_192
_NANOSECONDS = 10**9
_EPOCH = date(1970, 1, 1)
"""A file whose time no calendar holds is old."""
NOTHING = np.empty((0, 0), dtype=np.float32)


@dataclass(frozen=True)
class Compared:
    """The vectors of both sides, read when they are asked for.

    digest: of all that decides them. foreign: units whose vectors another model made, before and
    now; they are left out. too_short: why what was before is not looked at; None where it is.
    """

    digest: str
    read: Callable[[], tuple[Sample, Sample]]
    foreign: tuple[int, int] = (0, 0)
    named: bool = True
    too_short: str | None = None

    def drift(self, level: float, permutations: int) -> Drift:
        """How the vectors now differ from those before; never of two models."""
        before, now = self.read()
        found = measure_drift(before, now, permutations=permutations, level=level)
        if not self.named:
            found = replace(found, groups=tuple(replace(g, units=()) for g in found.groups))
        if self.too_short:
            found = replace(found, reason=self.too_short)
        if found.p_value is not None or not any(self.foreign):
            return found
        counts = f"{self.foreign[0]} before and {self.foreign[1]} now"
        reason = f"{OTHER_MODEL} made vectors that are not compared: {counts}; {found.reason}"
        return replace(found, reason=reason)


def chosen(ids: Iterable[str], most: int) -> list[str]:
    """At most `most` of the ids, always the same: those with the smallest hash."""
    every = np.array(sorted(set(ids)), dtype=object)
    found: list[str] = every[np.sort(np.argsort(_hashes(every), kind="stable")[:most])].tolist()
    return found


def document_days(
    entries: Iterable[DocumentEntry], hidden: Collection[str]
) -> dict[str, tuple[date, str]]:
    """When each document was changed last, and its path; of equal files only the first counts."""
    first: dict[str, DocumentEntry] = {}
    for entry in sorted(entries, key=lambda each: (each.modified_ns, each.doc_id)):
        if entry.doc_id not in hidden and entry.content_sha256:
            first.setdefault(entry.content_sha256, entry)
    return {
        entry.doc_id: (_day(entry.modified_ns), entry.path)
        for entry in first.values()
    }  # fmt: skip


def compare_documents(
    days: Mapping[str, tuple[date, str]],
    table: ParquetTable,
    fingerprint: str,
    span: Span,
    most: int,
) -> Compared:
    """Documents by the day of their last change; a document's vector is the mean of its chunks'."""
    sides = []
    for first, last in span.sides:
        names = chosen((name for name, (day, _) in days.items() if first <= day <= last), most)
        footers = table.footers(names)
        own = {k: f for k, f in footers.items() if f.stats.get("fingerprint") == fingerprint}
        sides.append((own, len(footers) - len(own)))
    digest = digest_of("documents", [[(k, f.digest) for k, f in own.items()] for own, _ in sides])

    def read() -> tuple[Sample, Sample]:
        before, now = (_documents(table, [*own], days) for own, _ in sides)
        return before, now

    return Compared(digest, read, (sides[0][1], sides[1][1]))


def _documents(
    table: ParquetTable, names: list[str], days: Mapping[str, tuple[date, str]]
) -> Sample:
    means = {}
    for name in names:
        column = table.dataset([name]).to_table(columns=["embedding"])["embedding"]
        if len(column):
            means[name] = matrix(column).mean(axis=0)
    vectors = np.stack([*means.values()]) if means else NOTHING
    return Sample([*means], vectors, [days[name][1] for name in means])


def compare_accounts(table: ParquetTable, fingerprint: str, span: Span, most: int) -> Compared:
    """Accounts by their newest embedding within the window, and within their block of days before
    it (see `Blocks`); one that was active in both is compared with itself. Of people only the
    cuisine is told."""
    keys = table.keys()
    sides = []
    for first, last in span.sides:
        footers = table.footers(key for key in keys if str(first) <= key <= str(last))
        filled = {key: footer for key, footer in footers.items() if footer.rows}
        own = {k: f for k, f in filled.items() if f.stats.get("fingerprint") == fingerprint}
        sides.append((own, sum(f.rows for k, f in filled.items() if k not in own)))
    digest = digest_of("accounts", [[(k, f.digest) for k, f in own.items()] for own, _ in sides])
    earlier, days = ([*map(date.fromisoformat, own)] for own, _ in sides)
    blocks = Blocks.before(earlier, days), Blocks.window(days)

    def read() -> tuple[Sample, Sample]:
        newest = [_newest(table, each, most) for each in blocks]
        limit = common_limit(most, *(each["hash"].to_numpy() for each in newest))
        before, now = (
            _accounts(table, each.filter(pc.less_equal(each["hash"], pa.scalar(limit))))
            for each in newest
        )
        return before, now

    foreign = sides[0][1], sides[1][1]
    return Compared(digest, read, foreign, named=False, too_short=blocks[0].reason)


def _accounts(table: ParquetTable, newest: pa.Table) -> Sample:
    """The newest vectors of accounts (`_newest`), the days read one after the other."""
    units: list[str] = []
    texts: list[str] = []
    parts: list[Vectors] = []
    for key in sorted(set(newest["day"].to_pylist())):
        wanted = newest["hash"].filter(pc.equal(newest["day"], key))
        for batch in table.batches([key], _BATCH_ROWS, ["account_id", "embedding", "main_cuisine"]):
            hashes = _hashes(batch["account_id"].to_numpy(zero_copy_only=False))
            rows = pa.Table.from_batches([batch]).filter(pc.is_in(pa.array(hashes), wanted))
            if len(rows):
                units += rows["account_id"].to_pylist()
                texts += [text or "" for text in rows["main_cuisine"].to_pylist()]
                parts.append(matrix(rows["embedding"]))
    return Sample(units, np.concatenate(parts) if parts else NOTHING, texts)


def _newest(table: ParquetTable, blocks: Blocks, most: int) -> pa.Table:
    """Of the accounts seen in their blocks those with the smallest hashes (`hash`), and the newest
    day of each (`day`)."""
    hashes, days = np.empty(0, dtype=np.uint64), np.empty(0, dtype=object)
    for day in reversed(blocks.days):
        for batch in table.batches([str(day)], _BATCH_ROWS, ["account_id"]):
            new = _hashes(batch["account_id"].to_numpy(zero_copy_only=False))
            new = new[blocks.seen(new, day)]
            hashes = np.concatenate([hashes, new])
            days = np.concatenate([days, np.full(len(new), str(day), dtype=object)])
            hashes, first = np.unique(hashes, return_index=True)  # the newer day stands first
            hashes, days = hashes[:most], days[first][:most]
    return pa.table({"hash": pa.array(hashes, pa.uint64()), "day": pa.array(days, pa.string())})


def matrix(column: pa.ChunkedArray) -> Vectors:
    """float32 [n, d]: a column of vectors of one length."""
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return np.asarray(flat, dtype=np.float32).reshape(len(column), -1 if len(column) else 0)


def _hashes(ids: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    from pandas.util import hash_array

    return np.asarray(hash_array(np.asarray(ids, dtype=object), categorize=False), dtype=np.uint64)


def _day(nanoseconds: int) -> date:
    try:
        return datetime.fromtimestamp(nanoseconds / _NANOSECONDS, UTC).date()
    except (OverflowError, ValueError, OSError):
        return _EPOCH
