"""The value in a JSON file, read within limits and without losing what JSON readers drop."""

import codecs
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from embedding_assets.documents.document import (
    DamagedDocumentError,
    EmptyDocumentError,
    RefusedDocumentError,
)
from embedding_assets.errors import InputNotFoundError

Json: TypeAlias = Any
"""A dict, list, str, Number, bool or None."""

MAX_DEPTH = 64
_MAX_BYTES = 256 << 20
_BLANK = re.compile(r"\s*")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u(?:0000|[dD][89abAB][0-9a-fA-F]{2})")


class Number(str):
    """A number as the file writes it: `1.10` stays `1.10`, and no size is too large."""


def load_json(path: Path) -> Json:
    """The value in the file at `path`; of JSON Lines a list of its values.

    UTF-8, UTF-16 and UTF-32, with or without byte order mark. The values of a key that an object
    repeats become one list. Characters that no store takes, NUL and halves of pairs, become `�`.
    Raises EmptyDocumentError; DamagedDocumentError with line and column; RefusedDocumentError for
    more than MAX_DEPTH levels or 256 MiB; InputNotFoundError.
    """
    text = _read(path)
    try:
        values = list(_values(text))
    except json.JSONDecodeError as error:
        raise DamagedDocumentError(
            f"{path.name} is no JSON: {error.msg} in line {error.lineno}, column {error.colno}.",
            "Correct the file there, or copy it again.",
        ) from error
    except RecursionError as error:
        raise _too_deep(path) from error
    value = values[0] if len(values) == 1 else values
    if _is_deep(value, bool(len(values) > 1)):
        raise _too_deep(path)
    return _storable(value) if _ESCAPED.search(text) else value


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            # Not more than is there: as many bytes as are asked for would be reserved.
            data = file.read(min(os.fstat(file.fileno()).st_size, _MAX_BYTES) + 1)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path} is not there.", "Name an existing file.") from error
    if len(data) > _MAX_BYTES:
        raise RefusedDocumentError(
            f"{path.name} has more than {_MAX_BYTES:,} bytes.", "Split it into several files."
        )
    try:
        text = data.decode(json.detect_encoding(data)).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DamagedDocumentError(
            f"{path.name} is not {error.encoding} text: {error.reason} at byte {error.start:,}.",
            "Save it as UTF-8.",
        ) from error
    if not text.strip():
        has = "0 bytes" if not data.strip(codecs.BOM_UTF8) else "nothing but blanks"
        raise EmptyDocumentError(f"{path.name} has {has}.", "Copy the file again.")
    return text


def _values(text: str) -> Iterator[Json]:
    """The values of the text: one, or one on each line."""
    decoder = json.JSONDecoder(
        object_pairs_hook=_object,
        parse_float=Number,
        parse_int=Number,
        parse_constant=Number,
        strict=False,
    )
    position = _after_blanks(text, 0)
    while position < len(text):
        value, end = decoder.raw_decode(text, position)
        yield value
        position = _after_blanks(text, end)
        if position < len(text) and "\n" not in text[end:position]:
            raise json.JSONDecodeError("Extra data", text, position)


def _after_blanks(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    return match.end() if match else position


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    unique = dict(pairs)
    if len(unique) == len(pairs):
        return unique
    values: dict[str, list[Json]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def _is_deep(value: Json, is_lines: bool) -> bool:
    """Whether containers are nested in more than MAX_DEPTH levels; those of lines in one more."""
    level = [value]
    for _ in range(MAX_DEPTH + is_lines):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: Json) -> list[Json]:
    children = value.values() if isinstance(value, dict) else value
    if not isinstance(value, dict | list):
        return []
    return [child for child in children if isinstance(child, dict | list)]


def _storable(value: Json) -> Json:
    if isinstance(value, dict):
        return {_storable(key): _storable(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_storable(child) for child in value]
    if isinstance(value, str) and not isinstance(value, Number):
        return _UNSTORABLE.sub("�", value)
    return value


def _too_deep(path: Path) -> RefusedDocumentError:
    return RefusedDocumentError(
        f"{path.name} is nested in more than {MAX_DEPTH} levels.", "Flatten the file."
    )


def text_of(value: Json) -> str:
    """The value if it is a text, stripped; else ""."""
    is_text = isinstance(value, str) and not isinstance(value, Number)
    return value.strip() if is_text else ""


def number_of(value: Json) -> float | None:
    """The value if it is a finite number, else None."""
    if not isinstance(value, Number):
        return None
    number = float(value)
    return number if abs(number) < float("inf") else None


def whole_of(value: Json) -> int | None:
    """The value if it is a whole number, else None."""
    number = number_of(value)
    return int(number) if number is not None and number == int(number) else None


def object_of(value: Json) -> dict[str, Json]:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def list_of(value: Json) -> list[Json]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []
