"""The network that tags words: a sentence encoder's Transformer, with how words are written."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from embedding_assets.documents.entities.words import LETTERS, SHAPES

if TYPE_CHECKING:
    from torch import Tensor, nn

    from embedding_assets.documents.entities.batches import Batch

_SHAPE_WIDTH, _LETTER_WIDTH, _FILTERS = 16, 32, 64
"""Of the embedding of a word's shape, of a letter's, and of what a word's letters come to."""
_NEVER = -1e4
_NAMES = {
    "attend.query": "attention.self.query",
    "attend.key": "attention.self.key",
    "attend.value": "attention.self.value",
    "attended": "attention.output.dense",
    "attended_norm": "attention.output.LayerNorm",
    "widen": "intermediate.dense",
    "narrow": "output.dense",
    "norm": "output.LayerNorm",
}
"""Parts of a layer here, and as BERT's files call them."""


@dataclass(frozen=True)
class Shape:
    """The sizes of a network."""

    width: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    eps: float
    labels: int

    @classmethod
    def of(cls, config: Mapping[str, Any], labels: int) -> "Shape":
        """The sizes of BERT's `config.json`, for so many labels of words."""
        return cls(
            width=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            inner=int(config["intermediate_size"]),
            vocabulary=int(config["vocab_size"]),
            positions=int(config["max_position_embeddings"]),
            eps=float(config["layer_norm_eps"]),
            labels=labels,
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def build_network(shape: Shape, dropout: float = 0.1) -> "nn.Module":
    """A network of that shape, its weights drawn at random.

    It takes a `Batch` and gives float32 [n, words, labels]: how much each label is for each word.
    The encoder is uncased; how a word is written comes in twice: its shape is added to the
    Transformer's input, so that every layer knows of it, and shape and letters stand beside
    the Transformer's output (letters as in Ma and Hovy 2016).
    """
    # Classes within: torch is heavy, and only who trains or tags needs it.
    import torch
    from torch import Tensor, nn
    from torch.nn import functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            width = shape.width
            self.attend = nn.ModuleDict(
                {name: nn.Linear(width, width) for name in ("query", "key", "value")}
            )
            self.attended = nn.Linear(width, width)
            self.attended_norm = nn.LayerNorm(width, eps=shape.eps)
            self.widen = nn.Linear(width, shape.inner)
            self.narrow = nn.Linear(shape.inner, width)
            self.norm = nn.LayerNorm(width, eps=shape.eps)

        def forward(self, x: Tensor, mask: Tensor) -> Tensor:
            n, length, width = x.shape
            query, key, value = (
                each(x).view(n, length, shape.heads, -1).transpose(1, 2)
                for each in self.attend.values()
            )
            context = functional.scaled_dot_product_attention(query, key, value, mask)
            context = self.attended(context.transpose(1, 2).reshape(n, length, width))
            x = self.attended_norm(x + functional.dropout(context, dropout, self.training))
            inner = self.narrow(functional.gelu(self.widen(x)))
            found: Tensor = self.norm(x + functional.dropout(inner, dropout, self.training))
            return found

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pieces = nn.Embedding(shape.vocabulary, shape.width)
            self.positions = nn.Parameter(torch.zeros(shape.positions, shape.width))
            self.norm = nn.LayerNorm(shape.width, eps=shape.eps)
            self.shapes = nn.Embedding(SHAPES, shape.width)
            nn.init.zeros_(self.shapes.weight)  # at first it reads as it did before
            self.layers = nn.ModuleList(Layer() for _ in range(shape.layers))
            self.word_shapes = nn.Embedding(SHAPES, _SHAPE_WIDTH)
            self.letters = nn.Embedding(len(LETTERS) + 2, _LETTER_WIDTH, padding_idx=0)
            self.spelling = nn.Conv1d(_LETTER_WIDTH, _FILTERS, 3, padding=1)
            self.out = nn.Linear(shape.width + _SHAPE_WIDTH + _FILTERS, shape.labels)
            # Counted, not learned: which label follows which. Kept here, it is saved with the rest.
            self.register_buffer("moves", torch.zeros(shape.labels, shape.labels))
            self.pieces.weight.requires_grad = False  # what training never met must keep its place

        def forward(self, batch: "Batch") -> Tensor:
            x = self.pieces(batch.pieces) + self.positions[: batch.pieces.shape[1]]
            x = self.norm(x + self.shapes(batch.piece_shapes))
            x = functional.dropout(x, dropout, self.training)
            mask = torch.zeros(batch.inside.shape, dtype=_precision(x))
            mask = mask.masked_fill(~batch.inside, _NEVER)[:, None, None, :]
            for layer in self.layers:
                x = layer(x, mask)
            first = batch.first[:, :, None].expand(-1, -1, shape.width)
            parts = [
                x.float().gather(1, first),
                self.word_shapes(batch.word_shapes),
                self.spelled(batch.letters),
            ]
            words = functional.dropout(torch.cat(parts, dim=2), dropout, self.training)
            scores: Tensor = self.out(words).float()
            return scores

        def spelled(self, letters: Tensor) -> Tensor:
            n, words, length = letters.shape
            x = self.letters(letters.view(n * words, length)).transpose(1, 2)
            spelled: Tensor = self.spelling(x).amax(dim=2).relu().view(n, words, -1).float()
            return spelled

    return Network()


def _precision(x: "Tensor") -> Any:
    import torch

    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype


def read_bert(network: "nn.Module", weights: "Mapping[str, Tensor]") -> None:
    """Put the weights of BERT's file into the Transformer of `network`."""
    import torch

    weights = {name.removeprefix("bert."): tensor.float() for name, tensor in weights.items()}
    found = {
        "pieces.weight": weights["embeddings.word_embeddings.weight"],
        "positions": weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
    }
    for part in ("weight", "bias"):
        found[f"norm.{part}"] = weights[f"embeddings.LayerNorm.{part}"]
    for number in range(len(network.layers)):  # type: ignore[arg-type]
        for ours, theirs in _NAMES.items():
            for part in ("weight", "bias"):
                name = f"encoder.layer.{number}.{theirs}.{part}"
                found[f"layers.{number}.{ours}.{part}"] = weights[name]
    own = network.state_dict()
    with torch.no_grad():
        for name, tensor in found.items():
            own[name].copy_(tensor)


def rate_of(name: str, layers: int, decay: float) -> float:
    """How fast a weight learns, by the fastest of the encoder: less the deeper its layer lies;
    0 for what is new and learns at a rate of its own."""
    if name.startswith("layers."):
        return math.pow(decay, layers - 1 - int(name.split(".")[1]))
    return math.pow(decay, layers) if name.startswith(("positions", "norm.")) else 0.0
