"""Files that are made once: one that is moved away for a while is not begun anew meanwhile."""

import os
from pathlib import Path

from embedding_assets.storage.files import flush


class FileGoneError(OSError):
    """A file that was made is not where it was."""


def marker_of(path: Path) -> Path:
    """The file beside `path` that says that it was made."""
    return path.with_name(f"{path.name}.made")


def is_made(path: Path) -> bool:
    """Whether a file was made at that path, wherever it is now."""
    # The marker first: whoever makes the file at this moment sets it after the file.
    return any(each.exists() for each in _signs(path)) or path.exists()


def make_once(path: Path, mode: int) -> None:
    """Make an empty file, where none was ever made; returns when `mark` may follow.

    Raises FileGoneError when one was made and is gone, or stands there without any content; other
    OSErrors when it cannot be made.
    """
    was_made = any(each.exists() for each in _signs(path))
    try:
        os.close(os.open(path, os.O_RDWR | (0 if was_made else os.O_CREAT), mode))
    except FileNotFoundError:
        if was_made:
            raise FileGoneError(f"{path.name} was made here and is gone") from None
        raise
    if marker_of(path).exists() and not path.stat().st_size:
        raise FileGoneError(f"{path.name} is empty, which it was not")


def mark(path: Path) -> None:
    """Note, so that it outlives the machine's power, that the file was made and has content."""
    marker = marker_of(path)
    if marker.exists():
        return
    marker.touch(mode=0o600)
    flush(marker)
    flush(marker.parent)


def _signs(path: Path) -> tuple[Path, ...]:
    """What only stands there when the file was made: its marker, and journals of SQLite, which
    would be written into whatever file stands beside them."""
    return (marker_of(path), *(path.with_name(path.name + end) for end in ("-wal", "-shm")))
