"""A benchmark's rows as JSON: in a file, which is looked at before anything is measured."""

import os
from pathlib import Path

from embedding_assets.errors import NotWritableError
from embedding_assets.storage.files import named_errors


def require_writable(name: str | None) -> None:
    """Nothing, where rows can be written to a file of that name; None and "-" are no files.

    Raises NotWritableError.
    """
    if name is None or name == "-":
        return
    path = Path(name)
    if os.path.isdir(path):
        raise NotWritableError(f"{path} is a folder.", "Name a file for the rows.")
    place = path if os.path.exists(path) else path.parent
    if not os.path.exists(place) or not os.access(place, os.W_OK):
        raise NotWritableError(
            f"{path} cannot be written: {place} is absent or not writable.", "Name another file."
        )


def write_rows(name: str, content: str) -> None:
    """Write the rows. Raises OutputError subclasses."""
    with named_errors(name):
        Path(name).write_text(content + "\n", encoding="utf-8")
