"""Every vector ever computed, under the hash of its model fingerprint and exact text.

Append-only Parquet segments: written beside, flushed and renamed, so that readers and concurrent
writers need no lock and a crash leaves nothing half done.
"""

import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from embedding_assets.embedding.encoder import Counts, Encoder, Encoding, Vectors
from embedding_assets.errors import ModelDamagedError, ModelError, StoreDamagedError
from embedding_assets.storage.files import published
from embedding_assets.storage.parquet import is_damage

_KEY_BYTES = 32
_ROW_GROUP = 2_048
_FULL_BYTES = 128_000_000
"""Segments of this size are not merged again, so that the oldest vectors can be dropped alone."""
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
    """The vectors of n texts; `computed` of them were computed, the others reused one."""

    encoding: Encoding
    computed: int
    reused: int
    computed_tokens: int
    seconds: float


@dataclass(frozen=True)
class _Segment:
    """The keys of a segment, sorted, and the row of each."""

    keys: Keys
    rows: npt.NDArray[np.int64]

    def find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """int64 [n]: the row of each key, -1 where it is not in this segment."""
        if not len(self.keys):
            return np.full(len(keys), -1, dtype=np.int64)
        at = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[at] == keys, self.rows[at], -1)


class VectorStore:
    """The vectors of one model fingerprint below `root`, shared by all assets and runs."""

    def __init__(self, root: Path, fingerprint: str, dimension: int) -> None:
        self.folder = root / fingerprint
        self.fingerprint = fingerprint
        self.dimension = dimension
        self._segments: dict[str, _Segment] = {}
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
        """The store of the vectors that `encoder` makes."""
        return cls(root, encoder.fingerprint, encoder.dimension)

    def contains(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """bool [n]: which keys are stored, by any process."""
        self.refresh()
        return self._find(keys)[:, 0] >= 0

    def get(self, keys: Keys) -> tuple[npt.NDArray[np.bool_], Encoding]:
        """Which keys are stored, and the encoding of those that are, in the order of `keys`.

        Raises StoreDamagedError when a segment cannot be read.
        """
        self.refresh()
        for _ in range(3):
            places = self._find(keys)
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

        Raises ModelDamagedError and OutputError subclasses, with nothing stored.
        """
        if not len(keys):
            return
        if encoding.vectors.shape != (len(keys), self.dimension):
            raise ModelError(
                f"{len(keys)} keys of dimension {self.dimension} "
                f"but vectors of shape {encoding.vectors.shape}.",
                "Use the store of the encoder that made the vectors.",
            )
        if not np.isfinite(encoding.vectors).all():
            raise ModelDamagedError(
                "The model gave vectors that are not numbers; none of them was stored.",
                "Copy the model again; its weights may be damaged.",
            )
        self._publish([self._batch(keys, encoding)], self._schema)

    def encode(
        self,
        texts: Sequence[str],
        encoder: Encoder,
        on_progress: Callable[[int], None] | None = None,
    ) -> Reuse:
        """The vectors of `texts` in their order: stored ones are reused, each other distinct text
        is computed once and stored before this returns.

        Raises ModelError for another encoder than the store's own.
        """
        if encoder.fingerprint != self.fingerprint:
            raise ModelError(
                f"The store holds vectors of {self.fingerprint[:12]}, the encoder makes those of "
                f"{encoder.fingerprint[:12]}.",
                "Use the store of the encoder: VectorStore.of(root, encoder).",
            )
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
        found = ((name, self._segments.get(name) or self._open(name)) for name in present)
        self._segments = {name: segment for name, segment in found if segment is not None}

    def compact(self) -> int:
        """Merge small segments, without duplicates, into as few as may be; how many went away.

        Readers in other processes find the merged ones when theirs are gone.
        """
        self.refresh()
        places = self._distinct_places()
        small = [
            number
            for number, name in enumerate(self._segments)
            if (self.folder / name).stat().st_size < _FULL_BYTES
        ]
        moved = places[np.isin(places[:, 0], small)]
        full = self._full_rows()
        parts = [moved[start : start + full] for start in range(0, len(moved), full)]
        if len(small) <= len(parts):
            return 0
        for part in parts:
            rows = pa.Table.from_batches(self._rows_at(part)).combine_chunks()
            self._publish(rows.to_batches(), rows.schema)
        for number, name in enumerate(list(self._segments)):
            if number in small:
                (self.folder / name).unlink(missing_ok=True)
        self.refresh()
        return len(small) - len(parts)

    def remove(self, keys: Keys) -> int:
        """Rewrite the segments that hold any of `keys` without them; how many vectors went.

        The caller keeps `compact` away. Raises OutputError subclasses, StoreDamagedError.
        """
        self.refresh()
        wanted = np.unique(keys)
        removed = 0
        for number, (name, segment) in enumerate([*self._segments.items()]):
            left = segment.rows[~np.isin(segment.keys, wanted)]
            if len(left) == len(segment.rows):
                continue
            removed += len(segment.rows) - len(left)
            if len(left):
                places = np.stack([np.full_like(left, number), np.sort(left)], axis=1)
                with self._reader(name) as file:
                    schema = file.schema_arrow
                self._publish(self._rows_at(places), schema, made=name.partition("-")[0])
            (self.folder / name).unlink(missing_ok=True)
        self.refresh()
        return removed

    def __len__(self) -> int:
        self.refresh()
        return len(self._distinct_places())

    def _find(self, keys: Keys) -> npt.NDArray[np.int64]:
        """int64 [n, 2]: segment and row of each key, (-1, -1) where it is not stored."""
        places = np.full((len(keys), 2), -1, dtype=np.int64)
        for number, segment in enumerate(self._segments.values()):
            rows = segment.find(keys)
            places[rows >= 0] = np.stack([np.full_like(rows, number), rows], axis=1)[rows >= 0]
        return places

    def _distinct_places(self) -> npt.NDArray[np.int64]:
        """int64 [n, 2]: segment and row of each distinct key, in the order of writing."""
        if not self._segments:
            return np.empty((0, 2), dtype=np.int64)
        segments = list(self._segments.values())
        numbers = np.repeat(np.arange(len(segments)), [len(each.rows) for each in segments])
        places = np.stack([numbers, np.concatenate([each.rows for each in segments])], axis=1)
        keys = np.concatenate([each.keys for each in segments])
        distinct = places[np.unique(keys, return_index=True)[1]]
        return distinct[np.lexsort((distinct[:, 1], distinct[:, 0]))]

    def _open(self, name: str) -> _Segment | None:
        """A segment's keys, read from it; None when it was just removed."""
        try:
            with self._reader(name) as file:
                column = file.read(columns=["key"])["key"]
        except FileNotFoundError:
            return None
        keys = np.array(column.to_pylist(), dtype=f"S{_KEY_BYTES}")
        order = np.argsort(keys, kind="stable")
        return _Segment(keys[order], order)

    @contextmanager
    def _reader(self, name: str) -> Iterator[pq.ParquetFile]:
        """The open segment. Raises FileNotFoundError, and StoreDamagedError while it is read."""
        try:
            with pq.ParquetFile(self.folder / name, page_checksum_verification=True) as file:
                yield file
        except (pa.ArrowInvalid, OSError) as error:
            if is_damage(error):
                raise self._damaged(name, error) from error
            raise

    def _full_rows(self) -> int:
        """How many rows fill a segment, by what is stored."""
        if not self._segments:
            return 1
        name, segment = next(iter(self._segments.items()))
        bytes_per_row = (self.folder / name).stat().st_size / max(1, len(segment.rows))
        return max(1, int(_FULL_BYTES / bytes_per_row))

    def _damaged(self, name: str, error: Exception) -> StoreDamagedError:
        return StoreDamagedError(
            f"The segment {self.folder / name} cannot be read: {error}.",
            "Delete that file; its vectors are computed again when they are needed.",
        )

    def _read(self, places: npt.NDArray[np.int64]) -> Encoding:
        vectors = np.empty((len(places), self.dimension), dtype=np.float32)
        tokens = np.empty(len(places), dtype=np.int32)
        windows = np.empty(len(places), dtype=np.int32)
        names = list(self._segments)
        for segment in np.unique(places[:, 0]):
            at = np.flatnonzero(places[:, 0] == segment)
            table = self._rows(names[segment], places[at, 1])
            vectors[at] = _matrix(table["vector"], self.dimension)
            tokens[at] = table["tokens"].to_numpy()
            windows[at] = table["windows"].to_numpy()
        return Encoding(vectors, tokens, windows)

    def _rows(self, name: str, rows: npt.NDArray[np.int64]) -> pa.Table:
        """The given rows of a segment, reading only the row groups they lie in."""
        with self._reader(name) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            groups, group_of = np.unique(
                np.searchsorted(starts, rows, side="right") - 1, return_inverse=True
            )
            table = file.read_row_groups(groups.tolist(), ["tokens", "windows", "vector"])
        read = np.take(sizes, groups)
        begins = np.cumsum(read) - read - starts[groups]
        return table.take(pa.array(begins[group_of] + rows))

    def _rows_at(self, places: npt.NDArray[np.int64]) -> Iterator[pa.RecordBatch]:
        """The stored rows at `places`, segment by segment."""
        names = list(self._segments)
        for number in np.unique(places[:, 0]):
            start = 0
            with self._reader(names[number]) as file:
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

    def _publish(
        self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, made: str | None = None
    ) -> None:
        """made: the time in the name of the segment whose place it takes."""
        name = f"{made or f'{time.time_ns():020d}'}-{uuid.uuid4().hex[:12]}.parquet"
        with (
            published(self.folder / name) as staged,
            pq.ParquetWriter(
                staged, schema, compression="none", use_dictionary=False, write_page_checksum=True
            ) as writer,
        ):
            for batch in batches:
                writer.write_batch(batch, row_group_size=_ROW_GROUP)


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
    flat: Vectors = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, dimension)
