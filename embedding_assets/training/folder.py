"""Model folders that appear whole or not at all."""

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.embedding.folder import Layout
from embedding_assets.errors import ModelLoadError
from embedding_assets.storage.files import flush, named_errors

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"


def publish_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """What `fill` writes into a folder beside `target` stands at `target` when it has ended well;
    nothing happens when something stands there already.

    Raises DiskFullError, NotWritableError, and what `fill` raises, with nothing at `target`.
    """
    if target.exists():
        return
    staged = target.with_name(f".{target.name}-{uuid.uuid4().hex}.tmp")
    with named_errors(target):
        staged.mkdir(parents=True)
        try:
            fill(staged)
            for path in staged.rglob("*"):
                flush(path)
            os.rename(staged, target)
            flush(target.parent)
        except OSError:
            if not target.exists():  # else another process was first
                raise
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def read_weights(layout: Layout) -> "dict[str, Tensor]":
    """The weights of the Transformer module, as they are stored.

    Raises ModelLoadError where they are not in one safetensors file.
    """
    from safetensors.torch import load_file

    path = layout.transformer / WEIGHTS
    if not path.exists():
        raise ModelLoadError(
            f"The weights of {layout.folder} are not in one {WEIGHTS}.",
            "Save the model again with safetensors, or choose another one.",
        )
    return load_file(path)


def copy_with(layout: Layout, weights: "dict[str, Tensor]", folder: Path) -> None:
    """The model of `layout` in `folder`, with other weights of its Transformer module."""
    from safetensors.torch import save_file

    inside = layout.transformer.relative_to(layout.folder) / WEIGHTS
    skipped = shutil.ignore_patterns("onnx", "openvino", ".git", "README.md")
    shutil.copytree(layout.folder, folder, ignore=skipped, dirs_exist_ok=True)
    save_file(weights, folder / inside, metadata={"format": "pt"})
