"""The passages of an index in a memory-mapped Arrow file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_SIDES = ("left", "top", "right", "bottom")
_BOX = pa.struct([("page", pa.int32()), *((side, pa.float32()) for side in _SIDES)])
ENTITY = pa.struct([("label", pa.string()), ("text", pa.string())])
PASSAGE_SCHEMA = pa.schema(
    [
        pa.field("chunk_id", pa.string()),
        pa.field("text", pa.string()),
        pa.field("heading_path", pa.list_(pa.string())),
        pa.field("kind", pa.string()),
        pa.field("pages", pa.list_(pa.int32())),
        pa.field("boxes", pa.list_(_BOX)),
        pa.field("entities", pa.list_(ENTITY)),
    ]
)


@dataclass(frozen=True)
class Passages:
    """The rows of an index in a memory-mapped Arrow file, read one by one."""

    batches: list[pa.RecordBatch]
    starts: npt.NDArray[np.int64]

    @classmethod
    def load(cls, path: Path) -> "Passages":
        """The rows in a file of PASSAGE_SCHEMA."""
        with pa.memory_map(str(path)) as file:
            reader = pa.ipc.open_file(file)
            batches = [reader.get_batch(n) for n in range(reader.num_record_batches)]
        return cls(batches, np.cumsum([0, *(batch.num_rows for batch in batches)]))

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, row: int) -> dict[str, Any]:
        batch = int(np.searchsorted(self.starts, row, side="right")) - 1
        found: list[dict[str, Any]] = (
            self.batches[batch].slice(row - int(self.starts[batch]), 1).to_pylist()
        )
        return found[0]

    def between(self, start: int, end: int) -> list[pa.RecordBatch]:
        """The rows from `start` up to `end`."""
        pieces = []
        for batch, first in zip(self.batches, self.starts.tolist(), strict=False):
            low, high = max(start, first), min(end, first + batch.num_rows)
            if low < high:
                pieces.append(batch.slice(low - first, high - low))
        return pieces
