"""Plain data from pickles that nobody vouches for."""

import os
import stat
import struct
from pathlib import Path
from typing import Any

import numpy as np

from embedding_assets.apps.pickle_arrays import Name
from embedding_assets.apps.pickle_ledger import Ledger, NotPlainError, OverdrawnError
from embedding_assets.apps.pickle_machine import Machine
from embedding_assets.apps.untrusted import (
    LIMITS,
    MEGABYTE,
    MEND,
    DamagedPickleError,
    LargePickleError,
    PickleError,
    PickleLimits,
    RefusedPickleError,
)
from embedding_assets.errors import (
    EmptyInputError,
    InputNotFoundError,
    NotEnoughMemoryError,
    UnreadableInputError,
)

__all__ = [
    "LIMITS",
    "DamagedPickleError",
    "LargePickleError",
    "PickleError",
    "PickleLimits",
    "RefusedPickleError",
    "load_pickle",
    "plain_data",
]

_SLOT = 8
_LONGEST_NUMBER = 8
_OPEN = -1
_SMALL = {bool, int, float, complex, type(None)}
_SIZED = (str, bytes, bytearray)
_CONTAINERS = (dict, list, tuple, set, frozenset)
_MAGIC = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first."),
    (b"PK\x03\x04", "a zip archive, as PyTorch saves it", f"Load it where it comes from. {MEND}"),
    (b"\x93NUMPY", "a NumPy .npy file", MEND),
    (b"PAR1", "a Parquet file", MEND),
    (b"version https://git-lfs", "a Git LFS pointer", "Run `git lfs pull` where it comes from."),
)


def load_pickle(path: Path, limits: PickleLimits = LIMITS) -> Any:
    """What a pickle holds: dict, list, tuple, set, str, bytes, numbers, bool, None, NumPy arrays.

    Nothing that it names is imported or called, and sizes are bounded before anything is
    allocated. An OrderedDict comes as a dict; arrays may be read-only.

    Raises InputNotFoundError, UnreadableInputError, EmptyInputError, RefusedPickleError with the
    name of what is not plain, DamagedPickleError, LargePickleError.
    """
    try:
        return plain_data(_content(path, limits), str(path), limits)
    except MemoryError as error:
        raise NotEnoughMemoryError(
            f"{path} needs more memory than there is.", "Split it, or use a larger machine."
        ) from error


def plain_data(content: bytes, source: str = "pickle", limits: PickleLimits = LIMITS) -> Any:
    """What the pickle `content` holds, as `load_pickle` reads it. source: its name in errors."""
    value = _carried_out(content, source, limits)
    _require_plain(value, source, limits)
    return value


def _carried_out(content: bytes, source: str, limits: PickleLimits) -> Any:
    """Stand-ins are still in it."""
    machine = Machine(content, Ledger(limits.memory_mb * MEGABYTE))
    try:
        return machine.run(limits.opcodes)
    except NotPlainError as error:
        raise RefusedPickleError(
            f"{source}, byte {machine.start:,}: it asks for {error}. Only plain data and NumPy "
            "arrays of numbers or texts are read; nothing of it was run.",
            MEND,
        ) from error
    except OverdrawnError as error:
        raise LargePickleError(
            f"{source}, byte {machine.start:,}: {error}.", "Split it, or raise the limits."
        ) from error
    except (ValueError, IndexError, KeyError, OverflowError, struct.error) as error:
        raise DamagedPickleError(
            f"{source}, byte {machine.start:,}: {_damage(error, machine)}.",
            "Copy it again, or save it again.",
        ) from error


def _damage(error: Exception, machine: Machine) -> str:
    match error:
        case KeyError():
            return "it recalls what it never stored"
        case IndexError() | struct.error() if machine.at + _LONGEST_NUMBER > len(machine.content):
            return "it is cut off"
        case IndexError():
            return "an instruction takes more than is there"
        case _:
            return str(error)


def _content(path: Path, limits: PickleLimits) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise UnreadableInputError(f"{path} is not a file.", "Name one pickle.")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > limits.file_mb * MEGABYTE:
                raise LargePickleError(
                    f"{path} has {size / MEGABYTE:,.0f} MB, {limits.file_mb:,} MB are allowed.",
                    "Split it, or save its vectors as float32 arrays.",
                )
            content = file.read(size)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path} does not exist.", "Check the path.") from error
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror or error}.", "Check its permissions."
        ) from error
    if not content:
        raise EmptyInputError(f"{path} has no byte.", "Copy it again.")
    for magic, kind, mend in _MAGIC:
        if content.startswith(magic):
            raise UnreadableInputError(f"{path} is {kind}, not a pickle.", mend)
    return content


def _require_plain(root: Any, source: str, limits: PickleLimits) -> None:
    """Refuses stand-ins, circles, towers, and little that unfolds to much, without recursion."""
    sizes: dict[int, int] = {}
    heights: dict[int, int] = {}
    pending = [root]
    while pending:
        top = pending[-1]
        if id(top) not in sizes:
            sizes[id(top)] = _OPEN
            below = [each for each in _children(top) if isinstance(each, _CONTAINERS)]
            if any(sizes.get(id(each)) == _OPEN for each in below):
                raise RefusedPickleError(f"{source} holds a container that holds itself.", MEND)
            pending += [each for each in below if id(each) not in sizes]
        elif sizes[id(pending.pop())] == _OPEN:
            children = _children(top)
            heights[id(top)] = 1 + max((heights.get(id(each), 0) for each in children), default=0)
            sizes[id(top)] = _size(top, children, sizes, source)
            _require_bounds(sizes[id(top)], heights[id(top)], source, limits)


def _require_bounds(size: int, height: int, source: str, limits: PickleLimits) -> None:
    if height > limits.depth:
        raise LargePickleError(
            f"{source} nests containers more than {limits.depth} deep.", "Save it flatter."
        )
    if size > limits.memory_mb * MEGABYTE:
        raise LargePickleError(
            f"{source} names the same data over and over: it unfolds to more than "
            f"{limits.memory_mb:,} MB.",
            MEND,
        )


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return [*value] if isinstance(value, _CONTAINERS) else []


def _size(value: Any, children: list[Any], sizes: dict[int, int], source: str) -> int:
    """What it unfolds to (bytes)."""
    if {*map(type, children)} <= _SMALL and isinstance(value, _CONTAINERS):
        return _SLOT * (1 + len(children))
    if isinstance(value, _CONTAINERS):
        return _SLOT + sum(
            sizes[id(each)] if isinstance(each, _CONTAINERS) else _size(each, [], sizes, source)
            for each in children
        )
    if isinstance(value, np.ndarray | np.generic):
        return _SLOT + value.nbytes
    if isinstance(value, _SIZED):
        return _SLOT + len(value)
    if type(value) in _SMALL:
        return _SLOT
    raise RefusedPickleError(f"{source} holds {_refused(value)}, which is no plain data.", MEND)


def _refused(value: Any) -> str:
    return value.name if isinstance(value, Name) else "part of a NumPy array"
