"""Any model of Sentence Transformers, on any device, behind the same windows as the bert one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.windows import Ids
from embedding_assets.errors import ModelLoadError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


class SentenceNetwork:
    """Any model of Sentence Transformers as a network, in float32."""

    step = 16

    def __init__(self, model: "SentenceTransformer") -> None:
        self._model = model
        self._pad = int(model.tokenizer.pad_token_id or 0)

    def __call__(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [n, d], unit length."""
        import torch

        lengths = np.array([len(ids) for ids in windows])
        inside = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(inside.shape, self._pad, dtype=np.int64)
        ids[inside] = np.concatenate(windows)
        device = self._model.device
        features: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)).to(device),
        }
        with torch.inference_mode():
            pooled = self._model(features)["sentence_embedding"].float()
            unit: Vectors = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return unit


def best_device() -> str:
    """`cuda` or `mps` where torch finds one, else `cpu`."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_sentence_transformer(folder: Path, device: str) -> "SentenceTransformer":
    """The model of Sentence Transformers in `folder`, in float32, without a progress bar.

    Raises ModelLoadError.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelLoadError(
            f"Sentence Transformers cannot load {folder}: {error}.",
            "Copy the model again, or choose another one.",
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
    return model.float().eval()
