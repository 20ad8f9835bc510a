"""Text columns of fixed width, written as bytes: no Python string for each row."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def digits(numbers: npt.NDArray[np.int64], width: int) -> npt.NDArray[np.uint8]:
    """ASCII digits, uint8 [n, width], with leading zeros."""
    powers = 10 ** np.arange(width - 1, -1, -1)
    return (numbers[:, None] // powers % 10 + ord("0")).astype(np.uint8)


def fixed_width(text: npt.NDArray[np.uint8]) -> pa.StringArray:
    """The rows of uint8 [n, width] as n strings."""
    rows, width = text.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(width)
    data = np.ascontiguousarray(text)
    return pa.StringArray.from_buffers(rows, pa.py_buffer(offsets), pa.py_buffer(data))
