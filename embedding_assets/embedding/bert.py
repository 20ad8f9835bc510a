"""The forward pass of a BERT-family sentence encoder on a CPU, without transformers.

It reads the safetensors file itself, so that it loads in a fraction of a second, and computes
what `transformers.BertModel` with mean or CLS pooling computes (Devlin et al. 2019, BERT; Reimers
and Gurevych 2019, Sentence-BERT).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.windows import Ids
from embedding_assets.errors import ModelLoadError

if TYPE_CHECKING:
    from torch import Tensor, dtype

_STEPS = {"bfloat16": 16, "float32": 2}
"""What the lengths of windows are padded to a multiple of. In bfloat16 torch's softmax takes up to
five times longer off a multiple of 16 (its vector loop leaves the tail to scalar code); in float32
the products dominate, and each token of padding costs more than that."""

_GELU = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


def supports(layout: Layout) -> bool:
    """Whether this module computes what the layout describes; measuring has the last word."""
    config = layout.config
    return (
        config.get("model_type") == "bert"
        and config.get("hidden_act") in _GELU
        and config.get("position_embedding_type", "absolute") == "absolute"
        and layout.modules in (("Transformer", "Pooling"), ("Transformer", "Pooling", "Normalize"))
        and layout.pooling in ("mean", "cls")
        and not layout.lowercase
        and (layout.transformer / "model.safetensors").exists()
        and (layout.transformer / "tokenizer.json").exists()
    )


class Bert:
    """The network, its weights in one precision and laid out for this processor."""

    def __init__(self, layout: Layout, precision: str) -> None:
        import torch

        self._heads = int(layout.config["num_attention_heads"])
        self._eps = float(layout.config["layer_norm_eps"])
        self._pooling = layout.pooling
        self.step = _STEPS[precision]
        self._precision = torch.bfloat16 if precision == "bfloat16" else torch.float32
        weights = _read_weights(layout)
        self._words = weights["embeddings.word_embeddings.weight"].clone()
        positions = weights["embeddings.position_embeddings.weight"]
        positions = positions + weights["embeddings.token_type_embeddings.weight"][0]
        # Padding may reach beyond the last position.
        self._positions = torch.nn.functional.pad(positions, (0, 0, 0, self.step))
        self._norm = _Norm(weights, "embeddings.LayerNorm", torch.float32, self._eps)
        gelu = _GELU[layout.config["hidden_act"]]
        self._layers = [
            _Layer(weights, f"encoder.layer.{index}", self._precision, self._eps, self._heads, gelu)
            for index in range(int(layout.config["num_hidden_layers"]))
        ]

    def __call__(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [n, d], unit length: the vectors of n windows, special tokens in them."""
        import torch

        with torch.inference_mode():
            ids, inside = _padded(windows, self.step)
            x = self._words[ids].add_(self._positions[: ids.shape[1]])
            x = self._norm(x).to(self._precision)
            mask = torch.zeros(inside.shape, dtype=self._precision)
            mask = mask.masked_fill_(~inside, -torch.inf)[:, None, None, :]
            for layer in self._layers:
                x = layer(x, mask)
            x = x.float()
            pooled = x[:, 0] if self._pooling == "cls" else (x * inside[:, :, None]).sum(dim=1)
            return torch.nn.functional.normalize(pooled, dim=1).numpy()


class _Layer:
    def __init__(
        self,
        weights: "dict[str, Tensor]",
        name: str,
        precision: "dtype",
        eps: float,
        heads: int,
        gelu: str,
    ) -> None:
        attention = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
        self._heads = heads
        self._attend = _Linear(weights, attention, precision)
        self._attended = _Linear(weights, [f"{name}.attention.output.dense"], precision)
        self._norm = _Norm(weights, f"{name}.attention.output.LayerNorm", precision, eps)
        self._widen = _Linear(weights, [f"{name}.intermediate.dense"], precision, gelu)
        self._narrow = _Linear(weights, [f"{name}.output.dense"], precision)
        self._last_norm = _Norm(weights, f"{name}.output.LayerNorm", precision, eps)

    def __call__(self, x: "Tensor", mask: "Tensor") -> "Tensor":
        from torch.nn.functional import scaled_dot_product_attention

        n, length, width = x.shape
        heads = self._attend(x).view(n, length, 3, self._heads, width // self._heads)
        query, key, value = heads.permute(2, 0, 3, 1, 4).unbind(0)
        context = scaled_dot_product_attention(query, key, value, mask)
        context = context.transpose(1, 2).reshape(n, length, width)
        x = self._norm(self._attended(context).add_(x))
        return self._last_norm(self._narrow(self._widen(x)).add_(x))


class _Norm:
    def __init__(
        self, weights: "dict[str, Tensor]", name: str, precision: "dtype", eps: float
    ) -> None:
        self._weight = weights[f"{name}.weight"].to(precision, copy=True)
        self._bias = weights[f"{name}.bias"].to(precision, copy=True)
        self._eps = eps

    def __call__(self, x: "Tensor") -> "Tensor":
        from torch.nn.functional import layer_norm

        return layer_norm(x, self._weight.shape, self._weight, self._bias, self._eps)


class _Linear:
    """Linear layers that read the same input, as one, with what follows them fused where it can be.

    gelu: the kind of GELU behind it, or "". The weights are laid out in oneDNN's own order once;
    otherwise each call would do it again.
    """

    def __init__(
        self, weights: "dict[str, Tensor]", names: Sequence[str], precision: "dtype", gelu: str = ""
    ) -> None:
        import torch

        self._weight = torch.cat([weights[f"{name}.weight"] for name in names]).to(precision)
        self._bias = torch.cat([weights[f"{name}.bias"] for name in names]).to(precision)
        self._gelu = gelu
        self._onednn = None
        if _has_onednn(precision):
            self._weight = torch.ops.mkldnn._reorder_linear_weight(self._weight)
            self._onednn = torch.ops.mkldnn._linear_pointwise

    def __call__(self, x: "Tensor") -> "Tensor":
        from torch.nn.functional import gelu, linear

        if self._onednn is None:
            x = linear(x, self._weight, self._bias)
            return gelu(x, approximate=self._gelu) if self._gelu else x
        kind = "gelu" if self._gelu else "none"
        result: Tensor = self._onednn(x, self._weight, self._bias, kind, [], self._gelu)
        return result


def _has_onednn(precision: "dtype") -> bool:
    """Whether this build and processor compute linear layers of that precision with oneDNN."""
    import torch

    if not torch._C._has_mkldnn:
        return False
    return precision != torch.bfloat16 or bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def _read_weights(layout: Layout) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = layout.transformer / "model.safetensors"
    try:
        weights = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(
            f"The weights {path} cannot be read: {error}.", "Copy or unpack the model again."
        ) from error
    return {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()}


def _padded(windows: Sequence[Ids], step: int) -> "tuple[Tensor, Tensor]":
    """int64 ids [n, l] padded with 0, and bool [n, l]: which of them are tokens."""
    import torch

    lengths = np.array([len(ids) for ids in windows])
    width = -(-int(lengths.max()) // step) * step
    inside = np.arange(width) < lengths[:, None]
    padded = np.zeros(inside.shape, dtype=np.int64)
    padded[inside] = np.concatenate(windows)
    return torch.from_numpy(padded), torch.from_numpy(inside)
