"""The names that a pickle may use, each with the code of this package that stands in for it."""

from collections.abc import Iterable
from typing import Any

from embedding_assets.apps import pickle_arrays as arrays
from embedding_assets.apps.pickle_arrays import Build, Name
from embedding_assets.apps.pickle_ledger import Ledger, NotPlainError, UnfitError

SET_ITEM_BYTES = 96
DICT_ITEM_BYTES = 64
_OLD_AND_NEW = (("builtins", "__builtin__"), ("numpy._core", "numpy.core"))


def find_name(module: Any, name: Any) -> Name:
    """The stand-in for `module.name`. Raises NotPlainError when there is none."""
    if not isinstance(module, str) or not isinstance(name, str):
        raise UnfitError("a name is no text")
    found = _NAMES.get((module, name))
    if found is None:
        raise NotPlainError(f"{module}.{name}"[:200])
    return found


def _set(arguments: tuple[Any, ...], ledger: Ledger) -> set[Any]:
    return set(_items(arguments, ledger))


def _frozenset(arguments: tuple[Any, ...], ledger: Ledger) -> frozenset[Any]:
    return frozenset(_items(arguments, ledger))


def _items(arguments: tuple[Any, ...], ledger: Ledger) -> Iterable[Any]:
    items = arguments[0] if len(arguments) == 1 else arguments
    if len(arguments) > 1 or not isinstance(items, list | tuple | set | frozenset):
        raise UnfitError("a set is made of something other than a list")
    ledger.charge(SET_ITEM_BYTES * (2 + len(items)))
    for item in items:
        ledger.require_key(item)
    return items


def _ordered_dict(arguments: tuple[Any, ...], ledger: Ledger) -> dict[Any, Any]:
    """Python 2 gives the items as a list of pairs, Python 3 adds them afterwards."""
    pairs = arguments[0] if len(arguments) == 1 else []
    if len(arguments) > 1 or not isinstance(pairs, list):
        raise UnfitError("an OrderedDict is made of something other than a list")
    ledger.charge(DICT_ITEM_BYTES * (4 + 2 * len(pairs)))
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise UnfitError("an item of an OrderedDict is no pair")
        ledger.require_key(pair[0])
    return dict(pairs)


def _complex(arguments: tuple[Any, ...], _: Ledger) -> complex:
    if len(arguments) != 2 or not all(type(part) in (float, int) for part in arguments):
        raise UnfitError("a complex number is made of something other than two numbers")
    return complex(*arguments)


def _no_bytes(arguments: tuple[Any, ...], _: Ledger) -> bytes:
    """Old protocols write only empty bytes in this way; bytes(10**10) would be 10 GB."""
    if arguments:
        raise NotPlainError("a call of builtins.bytes with arguments")
    return b""


def _bytearray(arguments: tuple[Any, ...], ledger: Ledger) -> bytearray:
    content = arguments[0] if arguments else b""
    if len(arguments) == 2:
        content = arrays.encode(arguments, ledger)
    if len(arguments) > 2 or not isinstance(content, bytes):
        raise UnfitError("a bytearray is made of something other than bytes")
    ledger.charge(len(content))
    return bytearray(content)


_BUILDS: dict[tuple[str, str], Build | None] = {
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("builtins", "complex"): _complex,
    ("builtins", "bytes"): _no_bytes,
    ("builtins", "bytearray"): _bytearray,
    ("collections", "OrderedDict"): _ordered_dict,
    ("_codecs", "encode"): arrays.encode,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): arrays.dtype_of,
    ("numpy._core.multiarray", "_reconstruct"): arrays.blank,
    ("numpy._core.multiarray", "scalar"): arrays.scalar,
    ("numpy._core.numeric", "_frombuffer"): arrays.from_buffer,
}


def _names() -> dict[tuple[str, str], Name]:
    """By module and name; in the modules' earlier names too (Python 2, NumPy 1)."""
    names = {}
    for (module, name), build in _BUILDS.items():
        stand_in = Name(f"{module}.{name}", build)
        names[module, name] = stand_in
        for new, old in _OLD_AND_NEW:
            names[module.replace(new, old), name] = stand_in
    return names


_NAMES = _names()
