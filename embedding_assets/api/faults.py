"""What the log says of something that broke."""

import traceback
from typing import Any

_FRAMES = 12


def fault_of(error: BaseException) -> dict[str, Any]:
    """Where it broke, without its message: that may quote what somebody asked for."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return {
        "error": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
