"""What is kept of searches, so that drift is seen: vectors and figures, no texts unless asked for.

Each process has a file of its own for each day, so that none waits for another. Of a day at most
some hundreds of queries are kept, those with the smallest hash: files of several processes put
together are a fair sample of all distinct queries of that day. The hash is of the query alone, so
that what is asked on several days, or by several modes, is known as one query: that it comes again
is no evidence of anything.
"""

import heapq
import re
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b
from time import time
from typing import Any
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import structlog

from embedding_assets.errors import EmbeddingAssetsError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice

QUERIES = "search_queries"
"""What the table of searches is called."""
QUERY_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32(), nullable=False),
        pa.field("key", pa.uint64(), nullable=False),
        pa.field("mode", pa.string(), nullable=False),
        pa.field("hits", pa.int32(), nullable=False),
        pa.field("top_score", pa.float32()),
        pa.field("model", pa.string(), nullable=False),
        pa.field("fingerprint", pa.string(), nullable=False),
        pa.field("index", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("vector", pa.list_(pa.float32())),
    ]
)
"""key: of a query and a mode, see `unit_of`. vector: null where words alone were searched; text:
null unless the settings ask for it."""
COUNTS = "counts"
"""In a file's figures: how many searches there were in all, by mode, model and index."""
_WRITE_SECONDS = 15.0
_MOST_WAITING = 20_000
_MODES, _MODE_BITS = ("hybrid", "semantic", "keyword"), 2
_OF_A_DAY = re.compile(r"\d{4}-\d\d-\d\d\.")
_log = structlog.get_logger()


@dataclass(frozen=True)
class Asked:
    """A search that was answered. vector: float32 [d], None where words alone were searched.

    model: the version's name. top_score: None without a hit.
    """

    mode: str
    hits: int
    top_score: float | None
    model: str
    fingerprint: str
    index: str
    vector: npt.NDArray[np.float32] | None = None
    text: str | None = None


@dataclass(frozen=True)
class QueryLogStatus:
    """How the log is. dropped: searches that were not kept, as too many waited. problem: why the
    last writing failed."""

    waiting: int
    dropped: int
    problem: str | None


@dataclass
class _Day:
    """The searches of a day so far. kept: at most `most`, by key; counts: of all, and empty ones.

    largest: the keys of `kept`, negated, as a heap.
    """

    most: int
    kept: dict[int, Asked] = field(default_factory=dict)
    largest: list[int] = field(default_factory=list)
    counts: dict[tuple[str, ...], list[int]] = field(default_factory=dict)

    def add(self, key: int, asked: Asked) -> None:
        kind = (asked.mode, asked.model, asked.fingerprint, asked.index)
        count = self.counts.setdefault(kind, [0, 0])
        count[0] += 1
        count[1] += int(asked.hits == 0)
        if key in self.kept:
            return
        if len(self.kept) >= self.most:
            if key >= -self.largest[0]:
                return
            del self.kept[-heapq.heapreplace(self.largest, -key)]
        else:
            heapq.heappush(self.largest, -key)
        self.kept[key] = asked


class QueryLog:
    """Notes searches, and writes them a few times a minute by a thread of its own.

    Nobody who searches waits for it: what cannot be written goes on waiting, and what is too much
    is counted as dropped. Texts are kept only with `texts`; files older than `keep_days` go.
    """

    def __init__(
        self,
        table: ParquetTable,
        *,
        most_per_day: int = 1_000,
        keep_days: int = 120,
        texts: bool = False,
        clock: Callable[[], float] = time,
    ) -> None:
        """Call `start` to have it written. clock: seconds since 1970."""
        self._table = table
        self._most, self._keep_days, self._texts = most_per_day, keep_days, texts
        self._clock = clock
        self._name = uuid4().hex[:12]
        self._waiting: deque[tuple[float, Asked]] = deque()
        self._dropped = 0
        self._days: dict[date, _Day] = {}
        self._unwritten: set[date] = set()
        self._swept: date | None = None
        self._problem: str | None = None
        self._writing = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_up, name="query log", daemon=True)

    def start(self) -> None:
        """Write from now on, until `close`."""
        self._thread.start()

    def close(self) -> None:
        """Stop, and write what waits."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def note(self, asked: Asked) -> None:
        """Keep that a search was answered now; never waits."""
        if len(self._waiting) >= _MOST_WAITING:
            self._dropped += 1
            return
        self._waiting.append((self._clock(), asked))

    def status(self) -> QueryLogStatus:
        """How it is."""
        return QueryLogStatus(len(self._waiting), self._dropped, self._problem)

    def flush(self) -> None:
        """Write what waits now; if that fails it goes on waiting."""
        with self._writing:
            self._take()
            try:
                for day in sorted(self._unwritten):
                    self._write(day)
                self._leave_old_days()
                self._sweep()
            except EmbeddingAssetsError as error:
                if self._problem is None:
                    _log.warning("query_log_not_written", problem=error.problem)
                self._problem = error.problem
                return
            self._problem = None

    def _take(self) -> None:
        while self._waiting:
            at, asked = self._waiting.popleft()
            day = datetime.fromtimestamp(at, UTC).date()
            self._days.setdefault(day, _Day(self._most)).add(_key(asked), asked)
            self._unwritten.add(day)

    def _write(self, day: date) -> None:
        found = self._days[day]
        counts = [[*kind, *numbers] for kind, numbers in sorted(found.counts.items())]
        part = Slice(
            f"{day.isoformat()}.{self._name}",
            str(sum(searches for searches, _ in found.counts.values())),
            QUERY_SCHEMA,
            lambda: [_batch(day, found.kept, texts=self._texts)],
            {COUNTS: counts},
        )
        self._table.replace(part)
        self._unwritten.discard(day)

    def _leave_old_days(self) -> None:
        """Of a day before yesterday nothing is noted any more."""
        if self._days:
            first = max(self._days) - timedelta(days=1)
            self._days = {day: found for day, found in self._days.items() if day >= first}

    def _sweep(self) -> None:
        """Once a day: files that are too old go, whoever wrote them."""
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        if self._swept != today:
            drop_old_queries(self._table, today - timedelta(days=self._keep_days))
            self._swept = today

    def _keep_up(self) -> None:
        while not self._closing.wait(_WRITE_SECONDS):
            try:
                self.flush()
            except Exception as error:  # noqa: BLE001  nobody would begin this thread again
                _log.exception("query_log_broke", error=type(error).__name__)


def drop_old_queries(table: ParquetTable, oldest: date) -> None:
    """Remove the files of the days before `oldest`, whoever wrote them and whatever they hold; what
    cannot be removed is said in the log and left."""
    if not table.folder.is_dir():
        return
    for path in table.folder.iterdir():
        if _OF_A_DAY.match(path.name) and path.name[:10] < oldest.isoformat():
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                _log.warning("old_queries_not_removed", file=path.name, reason=str(error))


@dataclass(frozen=True)
class SearchCount:
    """How many searches there were of a kind on a day, and how many of them found nothing."""

    day: date
    mode: str
    model: str
    fingerprint: str
    index: str
    searches: int
    empty: int


def search_counts(table: ParquetTable, first: date, last: date) -> list[SearchCount]:
    """All searches of some days, summed over processes."""
    totals: dict[tuple[date, str, str, str, str], list[int]] = {}
    keys = query_keys(table, first, last)
    for key, footer in table.footers(keys).items():
        day = date.fromisoformat(key[:10])
        for mode, model, fingerprint, index, searches, empty in footer.stats.get(COUNTS, []):
            total = totals.setdefault((day, mode, model, fingerprint, index), [0, 0])
            total[0] += searches
            total[1] += empty
    return [SearchCount(*kind, *total) for kind, total in sorted(totals.items())]


def read_queries(
    table: ParquetTable,
    days: Collection[date],
    most: int,
    *,
    columns: Sequence[str] = QUERY_SCHEMA.names,
    where: Mapping[str, str] | None = None,
    with_vector: bool = False,
    counts: Callable[[npt.NDArray[np.uint64], date], npt.NDArray[np.bool_]] | None = None,
) -> pa.Table:
    """At most `most` distinct queries of some days, those with the smallest keys, each once by mode
    as it was asked last.

    columns: of QUERY_SCHEMA; where: values that columns must have; with_vector: only queries that
    have one; counts: which of the units (see `unit_of`) of a day do. Read file by file.
    """
    import pyarrow.compute as pc

    needed = list(dict.fromkeys([*columns, "key", *(where or ()), *["vector"] * with_vector]))
    found = pa.schema([QUERY_SCHEMA.field(name) for name in needed]).empty_table()
    wanted = set(days)
    keys = query_keys(table, min(wanted), max(wanted)) if wanted else []
    for key in reversed(keys):
        day = date.fromisoformat(key[:10])
        if day not in wanted:
            continue
        rows = table.dataset([key]).to_table(columns=needed)
        for name, value in (where or {}).items():
            rows = rows.filter(pc.equal(rows[name], value))
        if with_vector:
            rows = rows.filter(pc.is_valid(rows["vector"]))
        if counts:
            rows = rows.filter(pa.array(counts(rows["key"].to_numpy() >> _MODE_BITS, day)))
        found = pa.concat_tables([found, rows.cast(found.schema)])
        _, once = np.unique(found["key"].to_numpy(), return_index=True)
        found = found.take(once[:most])
    return found.select([*dict.fromkeys([*columns, "key"])])


def query_keys(table: ParquetTable, first: date, last: date) -> list[str]:
    """The files of some days."""
    return [key for key in table.keys() if str(first) <= key[:10] <= str(last)]


_AS_THEY_ARE = ("mode", "hits", "top_score", "model", "fingerprint", "index")


def _batch(day: date, kept: dict[int, Asked], *, texts: bool) -> pa.RecordBatch:
    keys, asked = [*kept], [*kept.values()]
    sizes = [None if each.vector is None else len(each.vector) for each in asked]
    ends = np.cumsum([0, *(size or 0 for size in sizes)]).tolist()
    known = [each.vector for each in asked if each.vector is not None]
    values = np.concatenate(known) if known else np.empty(0, dtype=np.float32)
    offsets = [None if size is None else at for size, at in zip(sizes, ends, strict=False)]
    columns: dict[str, Any] = {
        "day": [day] * len(keys),
        "key": keys,
        **{name: [getattr(each, name) for each in asked] for name in _AS_THEY_ARE},
        "text": [each.text if texts else None for each in asked],
    }
    arrays = [pa.array(columns[name], QUERY_SCHEMA.field(name).type) for name in columns]
    vectors = pa.ListArray.from_arrays(
        pa.array([*offsets, ends[-1]], pa.int32()), pa.array(values, pa.float32())
    )
    return pa.RecordBatch.from_arrays([*arrays, vectors], schema=QUERY_SCHEMA)


def unit_of(key: int) -> str:
    """The query that a key is of, whatever the day and the mode."""
    return str(key >> _MODE_BITS)


def _key(asked: Asked) -> int:
    """A hash of the query, in whose last bits stands the mode.

    The query is its vector or, where words alone were searched, its text; without either, chance.
    """
    content = asked.text.encode() if asked.text else uuid4().bytes
    if asked.vector is not None:
        content = asked.vector.tobytes()
    digest = blake2b(asked.fingerprint.encode() + b" " + content, digest_size=8).digest()
    mode = _MODES.index(asked.mode) if asked.mode in _MODES else len(_MODES)
    return int.from_bytes(digest, "big") >> _MODE_BITS << _MODE_BITS | mode


def vectors_in(table: pa.Table) -> tuple[list[int], npt.NDArray[np.float32]]:
    """The rows that have a vector, and the vectors, float32 [n, d]; all of one dimension."""
    column: Any = table["vector"]
    rows = np.flatnonzero(column.is_valid().to_numpy())
    if not len(rows):
        return [], np.empty((0, 0), dtype=np.float32)
    flat = column.take(rows).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return rows.tolist(), np.asarray(flat, dtype=np.float32).reshape(len(rows), -1)
