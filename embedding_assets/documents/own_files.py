"""Files of labels and names that people keep: which ones are meant, and how they are read."""

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from embedding_assets.errors import UnreadableInputError

_ABOUT = {"README", "LICENSE", "LICENCE"}


def own_files(folder: Path) -> list[Path]:
    """The files of a folder by name: none that are hidden, none that tell about it as a README
    does, and neither folders nor links that lead nowhere. Raises UnreadableInputError."""
    with readable(folder):
        found = sorted(folder.iterdir())
    return [each for each in found if is_own(each) and os.path.isfile(each)]


def is_own(path: Path) -> bool:
    """Whether a file or folder is meant by its name."""
    return not path.name.startswith(".") and not is_about(path)


def is_about(path: Path) -> bool:
    """Whether a file tells about those beside it."""
    return path.stem.upper() in _ABOUT and not os.path.isdir(path)


def label_in(path: Path) -> str:
    """The label that a file is called by. Raises UnreadableInputError for what is no text."""
    label = path.name if os.path.isdir(path) else path.stem
    if not is_whole(label):
        raise UnreadableInputError(f"The name of {str(path)!r} is no UTF-8 text.", "Rename it.")
    return label


def is_whole(text: str) -> bool:
    """Whether a text can be stored: JSON and names of files may hold halves of letters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Raises UnreadableInputError for what the operating system refuses."""
    try:
        yield
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror or error}.",
            "Give this process the right to read it, or name another.",
        ) from error


def csv_rows(file: TextIO, path: Path, delimiter: str = ",") -> Iterator[list[str]]:
    """The rows of an open CSV file, its head first; empty ones are left out.

    Raises UnreadableInputError for a row of more fields than the head, and for quotes that are not
    closed, which would take the rows behind them for one text.
    """
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    width, before = 0, 0
    try:
        for fields in reader:
            width = width or len(fields)
            if len(fields) > width:
                raise UnreadableInputError(
                    f"Line {reader.line_num} of {path} has {len(fields)} fields, not {width}.",
                    f"Put quotes around texts with {delimiter!r}.",
                )
            before = reader.line_num
            if fields:
                yield fields
    except csv.Error as error:
        first, last = before + 1, reader.line_num
        where = f"line {first}" if last <= first else f"lines {first} to {last}"
        raise UnreadableInputError(
            f"{path} cannot be read, {where}: {error}.",
            'Close each quote at the end of its field, and write `""` for one inside.',
        ) from None
