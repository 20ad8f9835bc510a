"""Folders that appear whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from embedding_assets.storage.files import flush, is_alive, named_errors

_STAGED = ".staged-"


@contextmanager
def published_folder(target: Path) -> Iterator[Path]:
    """An empty folder to fill; it stands at `target` when the block ends well, in place of what
    stood there. On any error nothing changes.

    Raises DiskFullError, NotWritableError, NotEnoughMemoryError.
    """
    with named_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep_folders(target.parent)
        staged = _staged(target)
        replaced = staged.with_name(f"{staged.name}-replaced")
        staged.mkdir()
        try:
            yield staged
            for path in [*staged.rglob("*"), staged]:
                flush(path)
            if target.exists():
                os.rename(target, replaced)
            try:
                os.rename(staged, target)
            except OSError:
                if replaced.exists():
                    os.rename(replaced, target)
                raise
            flush(target.parent)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
            shutil.rmtree(replaced, ignore_errors=True)


def remove_folder(target: Path) -> None:
    """Remove a folder; at no time a part of it stands there.

    Raises NotWritableError.
    """
    with named_errors(target):
        sweep_folders(target.parent)
        going = _staged(target)
        os.rename(target, going)
        flush(target.parent)
        shutil.rmtree(going)


def _staged(target: Path) -> Path:
    return target.parent / f"{_STAGED}{os.getpid()}-{uuid.uuid4().hex}"


def sweep_folders(parent: Path) -> None:
    """Remove folders that a dead process of this machine was filling or removing."""
    for path in parent.glob(f"{_STAGED}*"):
        writer = path.name.removeprefix(_STAGED).partition("-")[0]
        if writer.isdigit() and not is_alive(int(writer)):
            shutil.rmtree(path, ignore_errors=True)
