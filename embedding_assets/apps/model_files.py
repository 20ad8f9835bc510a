"""A model on disk: arrays and a description that belong together, or an error."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from embedding_assets.errors import StoreDamagedError, StoreVersionError

Arrays: TypeAlias = dict[str, npt.NDArray[Any]]
_AGAIN = "Fit the model again."


def write_files(folder: Path, name: str, about: Mapping[str, Any], arrays: Arrays) -> None:
    """Write `name`.npz and `name`.json into `folder`, which exists or is made; not atomic.

    about: for JSON; its "format" is what `read_files` asks for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    (folder / f"{name}.npz").write_bytes(content.getvalue())
    described = {**about, "digest": _digest(about, content.getvalue())}
    text = json.dumps(described, indent=1, allow_nan=False)
    (folder / f"{name}.json").write_text(text, encoding="utf-8")


def read_files(folder: Path, name: str, wanted: str) -> tuple[dict[str, Any], Arrays]:
    """What `write_files` wrote: the description, with lists for tuples, and the arrays.

    Raises StoreDamagedError when a file is missing, torn, changed, or belongs to another one;
    StoreVersionError when the format is not the wanted one.
    """
    try:
        content = (folder / f"{name}.npz").read_bytes()
        about = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        digest = about.pop("digest")
        if about["format"] != wanted:
            raise StoreVersionError(
                f"The model in {folder} has the format {about['format']!r}, not {wanted!r}.", _AGAIN
            )
        if digest != _digest(about, content):
            raise ValueError("its content is not what was written")
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            return about, dict(stored)
    except (
        OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, RecursionError,
        BadZipFile,
    ) as error:  # fmt: skip
        raise StoreDamagedError(
            f"The model in {folder} cannot be read: {error}.", _AGAIN
        ) from error


def _digest(about: Mapping[str, Any], content: bytes) -> str:
    described = json.dumps(about, sort_keys=True).encode()
    return hashlib.sha256(described + content).hexdigest()
