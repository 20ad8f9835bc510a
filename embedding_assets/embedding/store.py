"""Every vector ever computed, under the hash of its model fingerprint and exact text.

Append-only Parquet segments: written beside, flushed and renamed, so that readers and concurrent
writers need no lock and a crash leaves nothing half done.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.embedding.encoder import Counts, Encoder, Encoding, Vectors
from embedding_assets.errors import ModelError, StoreDamagedError
from embedding_assets.storage.files import published

_KEY_BYTES = 32
_ROW_GROUP = 2_048
Keys = npt.NDArray[np.bytes_]


def text_keys(texts: Sequence[str], fingerprint: str) -> Keys:
    """bytes [n]: SHA-256 over model fingerprint and exact text, for each text."""
    prefix = hashlib.sha256(fingerprint.encode())
    digests = []
    for text in texts:
        state = prefix.copy()
        state.update(text.encode("utf-8", "surrogatepass"))
        digests.append(state.digest())
    return np.array(digests, dtype=f"S{_KEY_BYTES}")


@dataclass(frozen=True)
class Reuse:
    """The vectors of n texts, with how many distinct ones were computed and how many reused."""

    encoding: Encoding
    computed: int
    reused: int
    computed_tokens: int
    seconds: float


@dataclass
class _Index:
    """Where each stored key lies; sorted by key."""

    segments: list[str] = field(default_factory=list)
    keys: Keys = field(default_factory=lambda: np.empty(0, dtype=f"S{_KEY_BYTES}"))
    places: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 2), dtype=np.int64))

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """int64 [n, 2]: segment and row of each key, (-1, -1) where it is not stored."""
        found = np.full((len(keys), 2), -1, dtype=np.int64)
        if len(self.keys):
            at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            hit = self.keys[at] == keys
            found[hit] = self.places[at[hit]]
        return found


class VectorStore:
    """The vectors of one model fingerprint below `root`, shared by all assets and runs."""

    def __init__(self, root: Path, fingerprint: str, dimension: int) -> None:
        self.folder = root / fingerprint
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._index = _Index()
        self._schema = pa.schema(
            [
                pa.field("key", pa.binary(_KEY_BYTES), nullable=False),
                pa.field("tokens", pa.int32(), nullable=False),
                pa.field("windows", pa.int32(), nullable=False),
                pa.field("vector", pa.list_(pa.float32(), dimension), nullable=False),
            ]
        )

    @classmethod
    def of(cls, root: Path, encoder: Encoder) -> "VectorStore":
        return cls(root, encoder.fingerprint, encoder.dimension)

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """bool [n]: which keys are stored, by any process."""
        self.refresh()
        return self._index.find(keys)[:, 0] >= 0

    def get(self, keys: Keys) -> tuple[npt.NDArray[np.bool_], Encoding]:
        """Which keys are stored, and the encoding of those that are, in the order of `keys`.

        Raises StoreDamagedError when a segment cannot be read.
        """
        self.refresh()
        for _ in range(3):
            places = self._index.find(keys)
            try:
                return places[:, 0] >= 0, self._read(places[places[:, 0] >= 0])
            except FileNotFoundError:
                self.refresh()
        raise StoreDamagedError(
            f"Segments in {self.folder} vanish while they are read.",
            "Stop whatever else deletes files there.",
        )

    def put(self, keys: Keys, encoding: Encoding) -> None:
        """Store vectors durably; keys that are stored already do no harm.

        Raises OutputError subclasses, with nothing stored.
        """
        if not len(keys):
            return
        if encoding.vectors.shape != (len(keys), self.dimension):
            raise ModelError(
                f"{len(keys)} keys of dimension {self.dimension} "
                f"but vectors of shape {encoding.vectors.shape}.",
                "Use the store of the encoder that made the vectors.",
            )
        self._publish([self._batch(keys, encoding)], self._schema)

    def encode(
        self,
        texts: Sequence[str],
        encoder: Encoder,
        on_progress: Callable[[int], None] | None = None,
    ) -> Reuse:
        """The vectors of `texts` in their order: stored ones are reused, each other distinct text
        is computed once and stored before this returns."""
        keys, first, inverse = np.unique(
            text_keys(texts, self.fingerprint), return_index=True, return_inverse=True
        )
        stored, known = self.get(keys)
        missing = first[~stored]
        started = time.perf_counter()
        fresh = encoder.encode([texts[i] for i in missing])
        seconds = time.perf_counter() - started
        self.put(keys[~stored], fresh)
        if on_progress:
            on_progress(len(texts))
        return Reuse(
            encoding=_merged(stored, known, fresh, inverse),
            computed=len(missing),
            reused=len(texts) - len(missing),
            computed_tokens=int(fresh.tokens.sum()),
            seconds=seconds,
        )

    def refresh(self) -> None:
        """Take note of segments that any process has added or removed."""
        present = sorted(path.name for path in self.folder.glob("*.parquet"))
        if present == self._index.segments:
            return
        segments, keys, places = [], [], []
        for name in present:
            known = self._known_rows(name)
            rows = known if known is not None else self._segment_keys(name)
            if rows is None:
                continue
            numbers = np.arange(len(rows), dtype=np.int64)
            places.append(np.stack([np.full_like(numbers, len(segments)), numbers], axis=1))
            keys.append(rows)
            segments.append(name)
        self._index = _sorted_index(segments, keys, places)

    def compact(self) -> int:
        """Merge all segments into one without duplicates; how many segments went away.

        Readers in other processes find the merged one when theirs is gone.
        """
        self.refresh()
        old = list(self._index.segments)
        if len(old) < 2:
            return 0
        _, first = np.unique(self._index.keys, return_index=True)
        with pq.ParquetFile(self.folder / old[0]) as segment:
            schema = segment.schema_arrow
        self._publish(self._rows_at(self._index.places[first]), schema)
        for name in old:
            (self.folder / name).unlink(missing_ok=True)
        self.refresh()
        return len(old) - 1

    def __len__(self) -> int:
        self.refresh()
        return len(np.unique(self._index.keys))

    def _known_rows(self, name: str) -> Keys | None:
        """The keys of a segment in row order, when the index holds them already."""
        if name not in self._index.segments:
            return None
        mine = self._index.places[:, 0] == self._index.segments.index(name)
        return self._index.keys[mine][np.argsort(self._index.places[mine, 1])]

    def _segment_keys(self, name: str) -> Keys | None:
        """The keys of a segment in row order, read from it; None when it was just removed."""
        try:
            column = pq.read_table(self.folder / name, columns=["key"])["key"]
        except FileNotFoundError:
            return None
        except pa.ArrowInvalid as error:
            raise self._damaged(name, error) from error
        return np.array(column.to_pylist(), dtype=f"S{_KEY_BYTES}")

    def _damaged(self, name: str, error: Exception) -> StoreDamagedError:
        return StoreDamagedError(
            f"The segment {self.folder / name} cannot be read: {error}.",
            "Delete that file; its vectors are computed again when they are needed.",
        )

    def _read(self, places: npt.NDArray[np.int64]) -> Encoding:
        vectors = np.empty((len(places), self.dimension), dtype=np.float32)
        tokens = np.empty(len(places), dtype=np.int32)
        windows = np.empty(len(places), dtype=np.int32)
        for segment in np.unique(places[:, 0]):
            at = np.flatnonzero(places[:, 0] == segment)
            table = self._rows(self._index.segments[segment], places[at, 1])
            vectors[at] = _matrix(table["vector"], self.dimension)
            tokens[at] = table["tokens"].to_numpy()
            windows[at] = table["windows"].to_numpy()
        return Encoding(vectors, tokens, windows)

    def _rows(self, name: str, rows: npt.NDArray[np.int64]) -> pa.Table:
        """The given rows of a segment, reading only the row groups they lie in."""
        columns = ["tokens", "windows", "vector"]
        try:
            with pq.ParquetFile(self.folder / name) as file:
                groups, group_of = np.unique(rows // _ROW_GROUP, return_inverse=True)
                table = file.read_row_groups(groups.tolist(), columns=columns)
        except pa.ArrowInvalid as error:
            raise self._damaged(name, error) from error
        return table.take(pa.array(group_of * _ROW_GROUP + rows % _ROW_GROUP))

    def _rows_at(self, places: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """The stored rows at `places`, segment by segment."""
        for number, name in enumerate(self._index.segments):
            start = 0
            with pq.ParquetFile(self.folder / name) as file:
                wanted = np.zeros(file.metadata.num_rows, dtype=bool)
                wanted[places[places[:, 0] == number, 1]] = True
                for batch in file.iter_batches(_ROW_GROUP):
                    yield batch.filter(pa.array(wanted[start : start + len(batch)]))
                    start += len(batch)

    def _batch(self, keys: Keys, encoding: Encoding) -> pa.RecordBatch:
        flat = np.ascontiguousarray(encoding.vectors, dtype=np.float32).reshape(-1)
        return pa.RecordBatch.from_arrays(
            [
                pa.FixedSizeBinaryArray.from_buffers(
                    pa.binary(_KEY_BYTES), len(keys), [None, pa.py_buffer(keys.tobytes())]
                ),
                pa.array(encoding.tokens, pa.int32()),
                pa.array(encoding.windows, pa.int32()),
                pa.FixedSizeListArray.from_arrays(pa.array(flat), self.dimension),
            ],
            schema=self._schema,
        )

    def _publish(self, batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> None:
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:12]}.parquet"
        with (
            published(self.folder / name) as staged,
            pq.ParquetWriter(staged, schema, compression="none", use_dictionary=False) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch, row_group_size=_ROW_GROUP)


def _sorted_index(
    segments: list[str], keys: list[Keys], places: list[npt.NDArray[np.int64]]
) -> _Index:
    if not keys:
        return _Index(segments)
    joined = np.concatenate(keys)
    order = np.argsort(joined, kind="stable")
    return _Index(segments, joined[order], np.concatenate(places)[order])


def _merged(
    stored: npt.NDArray[np.bool_], known: Encoding, fresh: Encoding, inverse: npt.NDArray[np.intp]
) -> Encoding:
    """The encodings of distinct keys, some known and some fresh, spread over the texts."""
    n = len(stored)
    vectors = np.empty((n, fresh.vectors.shape[1]), dtype=np.float32)
    tokens: Counts = np.empty(n, dtype=np.int32)
    windows: Counts = np.empty(n, dtype=np.int32)
    for mask, part in ((stored, known), (~stored, fresh)):
        vectors[mask], tokens[mask], windows[mask] = part.vectors, part.tokens, part.windows
    return Encoding(vectors[inverse], tokens[inverse], windows[inverse])


def _matrix(column: pa.ChunkedArray, dimension: int) -> Vectors:
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dimension)


@dataclass(frozen=True)
class Upkeep:
    """What the upkeep of the store did, and what is left."""

    merged_segments: int
    dropped_models: int
    dropped_segments: int
    bytes: int


def keep_within_budget(root: Path, budget_bytes: int, live: str | None = None) -> Upkeep:
    """Merge the segments of every model below `root`, then drop until the budget holds: first
    whole models other than `live`, the longest unused first, then the oldest segments.

    Dropped vectors are computed again when they are needed; no asset loses a row.
    """
    folders = sorted((p for p in root.glob("*") if p.is_dir()), key=lambda p: p.stat().st_mtime)
    models = segments = 0
    for folder in folders:
        if folder.name != live and _size(root) > budget_bytes:
            for path in folder.glob("*.parquet"):
                path.unlink(missing_ok=True)
            models += 1
    for path in sorted(root.glob("*/*.parquet"), key=lambda path: path.name):
        if _size(root) > budget_bytes:
            path.unlink(missing_ok=True)
            segments += 1
    merged = sum(VectorStore(root, folder.name, 0).compact() for folder in folders)
    return Upkeep(merged, models, segments, _size(root))


def _size(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("*/*.parquet"))
