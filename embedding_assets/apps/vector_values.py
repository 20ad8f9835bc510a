"""Vectors in the shapes in which they are pickled."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vector: TypeAlias = npt.NDArray[np.float64] | npt.NDArray[np.float32]
_NUMBERS = "iuf"
_SHOWN = 120


class UnusableVectorError(ValueError):
    """No vector can be made of a value; the text says why."""


@dataclass(frozen=True)
class VectorValue:
    """A vector [d] as it was pickled, maybe not finite. meta: JSON. rows: averaged into it."""

    vector: Vector
    meta: str | None = None
    rows: int = 1


def vector_value(value: Any) -> VectorValue:
    """The vector in an array, a list, rows of either (their mean), or `{"vec": …, "meta": …}`.

    Raises UnusableVectorError.
    """
    if isinstance(value, dict):
        if "vec" not in value:
            raise UnusableVectorError("it is a dict without vec")
        inner = value["vec"]
        if isinstance(inner, dict):
            raise UnusableVectorError("vec is a dict")
        found = vector_value(inner)
        return VectorValue(found.vector, meta_json(value.get("meta")), found.rows)
    array = _array(value)
    if array.ndim == 1 and array.size:
        return VectorValue(array)
    if array.ndim == 2 and array.size:
        with np.errstate(over="ignore", invalid="ignore"):
            return VectorValue(array.mean(axis=0, dtype=np.float64), rows=len(array))
    if array.ndim in (1, 2):
        raise UnusableVectorError("it has no number")
    raise UnusableVectorError(f"it has {array.ndim} dimensions, not 1 or 2")


def _array(value: Any) -> Vector:
    if isinstance(value, np.ndarray):
        array = value
    elif isinstance(value, list | tuple):
        array = _array_of(value)
    else:
        raise UnusableVectorError(f"it is {_kind(value)}, not a vector")
    if array.dtype.kind not in _NUMBERS:
        raise UnusableVectorError(f"it holds {array.dtype.name}, not numbers")
    if array.dtype in (np.float32, np.float64):
        return array
    return array.astype(np.float64)


def _array_of(values: list[Any] | tuple[Any, ...]) -> npt.NDArray[Any]:
    kinds = {*map(type, values)}
    if bool in kinds or np.bool_ in kinds:
        raise UnusableVectorError("it holds bool, not numbers")
    try:
        if kinds <= {list, tuple, np.ndarray} and kinds:
            return np.stack([_array(row) for row in values])
        if not all(issubclass(kind, int | float | np.integer | np.floating) for kind in kinds):
            odd = next(each for each in values if not isinstance(each, int | float | np.generic))
            raise UnusableVectorError(f"it holds {_kind(odd)} among its numbers")
        return np.array(values, np.float64)
    except UnusableVectorError:
        raise
    except (ValueError, OverflowError, StopIteration) as error:
        raise UnusableVectorError(
            "its rows have different lengths or its numbers no size"
        ) from error


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def shown(value: Any) -> str:
    """What a value is, in few words: never its whole content."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype.name} array of shape {value.shape}"
    if isinstance(value, list | tuple | set | dict):
        return f"{type(value).__name__} of {len(value):,}"
    if isinstance(value, str | bytes):
        value = value[:_SHOWN]
    return repr(value)[:_SHOWN]


def meta_json(meta: Any) -> str | None:
    """What stands beside a vector, as JSON with sorted keys; None where nothing does.

    Arrays, tuples and sets become lists, bytes hexadecimal text, numbers that JSON lacks null.
    """
    if meta is None:
        return None
    return json.dumps(_json(meta), ensure_ascii=False, sort_keys=True)


def _json(value: Any) -> Any:
    match value:
        case Mapping():
            return {_key(key): _json(each) for key, each in value.items()}
        case list() | tuple():
            return [_json(each) for each in value]
        case set() | frozenset():
            return sorted((_json(each) for each in value), key=repr)
        case np.ndarray() | np.generic():
            return _json(value.tolist())
        case bytes() | bytearray():
            return value.hex()
        case float():
            return value if np.isfinite(value) else None
        case complex():
            return [_json(value.real), _json(value.imag)]
        case str():
            return value.encode("utf-8", "replace").decode()
        case _:
            return value


def _key(key: Any) -> str:
    ready = _json(key)
    return ready if isinstance(ready, str) else json.dumps(ready)
