"""NumPy's part of a pickle, built by checked code: NumPy's own reconstructors are never called."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.apps.pickle_ledger import Ledger, NotPlainError, UnfitError

Build: TypeAlias = Callable[[tuple[Any, ...], Ledger], Any]
Order: TypeAlias = Literal["C", "F"]

_CODE = re.compile(r"b1|[iu][1248]|f[248]|c8|c16|[SU][0-9]{0,8}")
_LATIN = {"latin1", "latin-1", "iso-8859-1"}
_MOST_AXES = 32
_MOST_ELEMENTS = 2**40
_ARRAY_BYTES = 256
_LAST_CODE_POINT = 0x10FFFF


@dataclass(frozen=True)
class Name:
    """Stands where a pickle names something; `build` makes what calling it would have made."""

    name: str
    build: Build | None = None


@dataclass(eq=False)
class DType:
    """Stands for a NumPy dtype. code: kind and size, as in `f4`. order: `<` or `>`."""

    code: str
    order: str = "<"

    def fill(self, state: Any) -> None:
        """Sets the byte order, which stands in the second half of a dtype's pickle."""
        if not isinstance(state, tuple) or len(state) < 8:
            raise UnfitError("a NumPy dtype has a state that no NumPy writes")
        if state[2:5] != (None, None, None):
            raise NotPlainError("numpy.dtype with fields")
        order = _text(state[1])
        if order not in ("<", ">", "|", "="):
            raise UnfitError("a NumPy dtype has no byte order")
        self.order = ">" if order == ">" else "<"

    @property
    def numpy(self) -> np.dtype[Any]:
        """The dtype itself."""
        return np.dtype(self.order + self.code)


@dataclass(eq=False)
class Blank:
    """Stands for an array until its state was read."""

    array: npt.NDArray[Any] | None = None

    def fill(self, state: Any, ledger: Ledger) -> npt.NDArray[Any]:
        """The array: state is version, shape, dtype, whether in Fortran's order, bytes."""
        if not isinstance(state, tuple) or len(state) != 5:
            raise UnfitError("a NumPy array has a state that no NumPy writes")
        _, shape, dtype, is_fortran, content = state
        self.array = _array(_bytes(content), dtype, shape, ledger, "F" if is_fortran else "C")
        return self.array


def blank(arguments: tuple[Any, ...], _: Ledger) -> Blank:
    """In place of `numpy.core.multiarray._reconstruct(ndarray, (0,), b"b")`."""
    if len(arguments) != 3 or not isinstance(arguments[0], Name):
        raise UnfitError("numpy's _reconstruct has other arguments than NumPy writes")
    if arguments[0].name != "numpy.ndarray":
        raise NotPlainError(arguments[0].name)
    return Blank()


def dtype_of(arguments: tuple[Any, ...], _: Ledger) -> DType:
    """In place of `numpy.dtype("f4", False, True)`."""
    code = _text(arguments[0]) if arguments else ""
    if not _CODE.fullmatch(code):
        raise NotPlainError(f"numpy.dtype({code[:40]!r})")
    return DType(code)


def scalar(arguments: tuple[Any, ...], ledger: Ledger) -> np.generic:
    """In place of `numpy.core.multiarray.scalar(dtype, bytes)`."""
    if len(arguments) != 2:
        raise UnfitError("numpy's scalar has other arguments than NumPy writes")
    kind, content = arguments
    if isinstance(kind, DType) and kind.numpy.itemsize == 0:
        empty: np.generic = kind.numpy.type()
        return empty
    only: list[np.generic] = [*_array(_bytes(content), kind, (), ledger).reshape(1)]
    return only[0]


def from_buffer(arguments: tuple[Any, ...], ledger: Ledger) -> npt.NDArray[Any]:
    """In place of `numpy.core.numeric._frombuffer(bytes, dtype, shape, order[, axes])`."""
    if len(arguments) not in (4, 5):
        raise UnfitError("numpy's _frombuffer has other arguments than NumPy writes")
    content, kind, shape, order = arguments[:4]
    axes = arguments[4] if len(arguments) == 5 else None
    if order not in ("C", "F", "K"):
        raise UnfitError("a NumPy array is in no order that NumPy writes")
    array = _array(_bytes(content), kind, shape, ledger, "F" if order == "F" else "C")
    if order != "K" or axes is None:
        return array
    if not isinstance(axes, tuple) or {*map(type, axes)} - {int}:
        raise UnfitError("a NumPy array has axes that are no numbers")
    if sorted(axes) != [*range(array.ndim)]:
        raise UnfitError(f"a NumPy array of {array.ndim} axes has {len(axes)} in its order")
    return array.transpose(axes)


def encode(arguments: tuple[Any, ...], ledger: Ledger) -> bytes:
    """In place of `_codecs.encode(text, "latin1")`, by which old protocols write bytes."""
    if len(arguments) != 2 or not all(isinstance(each, str) for each in arguments):
        raise UnfitError("_codecs.encode has other arguments than a text and a codec")
    text, codec = arguments
    if codec not in _LATIN:
        raise NotPlainError(f"_codecs.encode with {codec[:40]!r}")
    ledger.charge(len(text))
    return _bytes(text)


def _array(
    content: bytes, kind: Any, shape: Any, ledger: Ledger, order: Order = "C"
) -> npt.NDArray[Any]:
    """The array, of native byte order; no byte is allocated before all the numbers fit."""
    if not isinstance(kind, DType):
        raise UnfitError("a NumPy array has no dtype")
    dtype = kind.numpy
    needed = _elements(shape) * dtype.itemsize
    if not dtype.itemsize:
        raise UnfitError("a NumPy array of texts has no length")
    if needed != len(content):
        raise UnfitError(
            f"a NumPy array of shape {shape} and type {kind.code} needs {needed:,} bytes, "
            f"{len(content):,} are there"
        )
    ledger.charge(needed + _ARRAY_BYTES)
    if not content:
        return np.empty(shape, dtype.newbyteorder("="))
    if kind.code == "b1":
        bits: npt.NDArray[np.bool_] = np.frombuffer(content, np.uint8) != 0
        return bits.reshape(shape, order=order)
    if kind.code[0] == "U":
        last = np.frombuffer(content, np.dtype(f"{kind.order}u4")).max()
        if last > _LAST_CODE_POINT:
            raise UnfitError(f"a NumPy array of text holds the character {last:,}")
    array = np.frombuffer(content, dtype).reshape(shape, order=order)
    return array if dtype.isnative else array.astype(dtype.newbyteorder("="))


def _elements(shape: Any) -> int:
    if not isinstance(shape, tuple) or {*map(type, shape)} - {int} or len(shape) > _MOST_AXES:
        raise UnfitError("a NumPy array has a shape that is no short tuple of numbers")
    if any(not 0 <= axis <= _MOST_ELEMENTS for axis in shape):
        raise UnfitError(f"a NumPy array has the shape {shape}")
    if math.prod(max(axis, 1) for axis in shape) > _MOST_ELEMENTS:
        raise UnfitError(f"a NumPy array has the shape {shape}")
    return math.prod(shape)


def _bytes(content: Any) -> bytes:
    """Python 2 wrote bytes as text in which each character is one byte."""
    if isinstance(content, str):
        try:
            return content.encode("latin-1")
        except UnicodeEncodeError as error:
            raise UnfitError("a text that should be bytes has other characters") from error
    if not isinstance(content, bytes | bytearray):
        raise NotPlainError("a NumPy array of Python objects")
    return bytes(content)


def _text(content: Any) -> str:
    if isinstance(content, bytes):
        return content.decode("latin-1")
    return content if isinstance(content, str) else repr(type(content).__name__)
