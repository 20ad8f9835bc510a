"""The weights in a model's folder, and what a writer of weights can leave behind."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.embedding.folder import Layout
from embedding_assets.errors import ModelLoadError

if TYPE_CHECKING:
    from torch import Tensor

WEIGHTS = "model.safetensors"


def sweep_torn(folder: Path) -> None:
    """Remove what was left of weights whose writer was killed, from a folder in which nobody else
    writes.

    The library of safetensors writes to a file with a name of its own, and renames it then.
    """
    for path in folder.glob(".tmp??????"):
        path.unlink(missing_ok=True)


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
