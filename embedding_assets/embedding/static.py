"""A model that has one vector per token and reads a text as the mean of its tokens' vectors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.windows import Ids
from embedding_assets.errors import ModelLoadError

NAMES = ("embedding.weight", "embeddings")
"""What Sentence Transformers calls the vectors, and what Model2Vec does."""


class StaticNetwork:
    """The vectors of all tokens, behind the same windows as any network, in float32."""

    step = 256
    """Windows are not padded: short and long ones may share a batch."""

    def __init__(self, layout: Layout) -> None:
        import torch

        self._rows = torch.from_numpy(read_rows(layout.transformer / "model.safetensors"))

    def __call__(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [n, d], unit length; that of a window without tokens says nothing."""
        import torch

        starts = np.cumsum([0, *map(len, windows[:-1])])
        ids = torch.from_numpy(np.concatenate(windows).astype(np.int64))
        offsets = torch.from_numpy(starts.astype(np.int64))
        with torch.inference_mode():
            means = torch.nn.functional.embedding_bag(ids, self._rows, offsets, mode="mean")
            means[means.square().sum(dim=1) == 0] = 1.0
            unit: Vectors = torch.nn.functional.normalize(means, dim=1).numpy()
        return unit


def read_rows(path: Path) -> Vectors:
    """float32 [tokens, d]: the vector of each token. Raises ModelLoadError."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            [name] = set(NAMES) & set(file.keys())
            rows: Vectors = file.get_tensor(name).astype(np.float32)
    except (SafetensorError, OSError, ValueError) as error:
        raise ModelLoadError(
            f"The weights {path} cannot be read: {error}.", "Copy or unpack the model again."
        ) from error
    return rows
