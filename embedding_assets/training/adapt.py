"""The default model fine-tuned on a domain's own texts, without anybody having labelled them."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.sentence import load_sentence_transformer
from embedding_assets.embedding.windows import Ids, TextReader, read_tokenizer
from embedding_assets.embedding.workers import torch_threads, usable_cores
from embedding_assets.errors import EmptyInputError, StoreDamagedError
from embedding_assets.storage.files import published
from embedding_assets.storage.slices import digest_of
from embedding_assets.training.folder import read_weights, sweep_torn
from embedding_assets.training.texts import TextPair

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module
    from torch.optim import AdamW

ADAPT_CODE = "1"
"""Changes whenever the same pairs would give other weights."""
FEWEST_PAIRS = 32
"""With fewer there is nothing to tell a passage from."""
_SCALE = 20.0
_WARM_UP = 0.1

Weights: TypeAlias = "dict[str, Tensor]"


@dataclass(frozen=True)
class Recipe:
    """How a model is adapted.

    steps: of gradient descent. batch: pairs of a step, each a negative for all others.
    tokens: of a text that are read at most. rate: the highest learning rate, reached after a tenth
    of the steps and falling to 0 from there.
    """

    steps: int = 60
    batch: int = 32
    tokens: int = 64
    rate: float = 2e-5
    seed: int = 0


@dataclass(frozen=True)
class Adapted:
    """weights: of the Transformer module, after the last step. losses: float32 [steps]."""

    weights: "dict[str, Tensor]"
    losses: npt.NDArray[np.float32]


def adapt(
    layout: Layout,
    pairs: Sequence[TextPair],
    recipe: Recipe,
    checkpoint: Path,
    *,
    threads: int | None = None,
    every: int = 10,
) -> Adapted:
    """The weights of the model of `layout` after training on `pairs`: texts that belong together.

    Multiple negatives ranking loss in both directions (Henderson et al. 2017): a text must be
    nearer to its partner than to the partners of the others in the batch. The embeddings of words
    and the lower half of the layers stay as they are, and so does the network's dropout switched
    off: a few hundred steps over few texts would overfit the rest, and everything is reproducible.
    checkpoint: a file that is written after `every` so many steps, and gone on from when it belongs
    to the same training; the weights are then those of a training that was never interrupted. It
    is left there. threads: that compute, one per usable core by default; the same number gives the
    same weights. Raises EmptyInputError for fewer than FEWEST_PAIRS, ModelLoadError, OutputError.
    """
    if len(pairs) < FEWEST_PAIRS:
        raise EmptyInputError(
            f"{len(pairs)} pairs of texts are too few to adapt a model; it takes {FEWEST_PAIRS}.",
            "Give more documents or accounts with a longer history.",
        )
    training = _Training.begin(layout, pairs, recipe)
    training.resume(checkpoint)
    with torch_threads(threads or usable_cores()), _reproducible():
        for step in range(len(training.losses), recipe.steps):
            training.step(step)
            if (step + 1) % every == 0 and step + 1 < recipe.steps:
                training.keep(checkpoint)
    return Adapted(training.weights(), np.array(training.losses, dtype=np.float32))


def averaged(weights: Weights, others: Weights, share: float) -> Weights:
    """`share` of `weights` and the rest of `others`, tensor by tensor.

    The mean of a model and what it was fine-tuned to keeps most of what either can (Wortsman et
    al. 2022, WiSE-FT). Tensors of `others` that `weights` lacks are kept.
    """
    return {
        name: (share * weights[name].float() + (1 - share) * other.float()).to(other.dtype)
        if name in weights and other.is_floating_point()
        else other
        for name, other in others.items()
    }


@dataclass
class _Training:
    digest: str
    recipe: Recipe
    model: "Module"
    parameters: "dict[str, Tensor]"
    optimizer: "AdamW"
    texts: list[tuple[Ids, Ids]]
    same: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    stored: "dict[str, Tensor]"
    losses: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, layout: Layout, pairs: Sequence[TextPair], recipe: Recipe) -> "_Training":
        import torch

        stored = read_weights(layout)
        model = load_sentence_transformer(layout.folder, "cpu")
        network: Module = model[0].auto_model  # type: ignore[assignment]
        parameters = _trained(network)
        texts = _read(layout, pairs, recipe.tokens)
        numbers = [np.unique(side, return_inverse=True)[1] for side in zip(*pairs, strict=True)]
        digest = digest_of(ADAPT_CODE, vars(recipe), sorted(parameters), layout.config, pairs)
        optimizer = torch.optim.AdamW(parameters.values(), lr=recipe.rate, weight_decay=0.01)
        same = (numbers[0], numbers[1])
        return cls(digest, recipe, model, parameters, optimizer, texts, same, stored)

    def step(self, number: int) -> None:
        import torch

        rows = self._rows(number)
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.rate * _rate(number, self.recipe.steps)
        loss = _loss(
            self._vectors([self.texts[row][0] for row in rows]),
            self._vectors([self.texts[row][1] for row in rows]),
            torch.from_numpy(self._is_same(rows)),
        )
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.parameters.values(), 1.0)
        self.optimizer.step()
        self.losses.append(float(loss.detach()))

    def weights(self) -> Weights:
        """All weights of the module, under the names that its file has."""
        new = {name: each.detach().clone() for name, each in self.parameters.items()}
        return {
            name: new.get(name.removeprefix("bert."), each).to(each.dtype)
            for name, each in self.stored.items()
        }

    def keep(self, path: Path) -> None:
        """Replace the checkpoint by the state after the last step."""
        from safetensors.torch import save_file

        tensors = {}
        for name, parameter in self.parameters.items():
            state = self.optimizer.state[parameter]
            tensors[name] = parameter.detach()
            tensors |= {f"{name}:{kind}": state[kind] for kind in ("exp_avg", "exp_avg_sq")}
        about = {"digest": self.digest, "losses": json.dumps(self.losses)}
        with published(path) as staged:
            save_file(tensors, staged, metadata=about)

    def resume(self, path: Path) -> None:
        """Go on from a checkpoint, when there is one of the same training."""
        import torch
        from safetensors import SafetensorError, safe_open

        sweep_torn(path.parent)
        if not path.exists():
            return
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                if about.get("digest") != self.digest:
                    return
                self.losses = json.loads(about["losses"])
                with torch.no_grad():
                    for name, parameter in self.parameters.items():
                        parameter.copy_(file.get_tensor(name))
                        self.optimizer.state[parameter] = {
                            "step": torch.tensor(float(len(self.losses))),
                            "exp_avg": file.get_tensor(f"{name}:exp_avg"),
                            "exp_avg_sq": file.get_tensor(f"{name}:exp_avg_sq"),
                        }
        except (SafetensorError, OSError, ValueError) as error:
            raise StoreDamagedError(
                f"The checkpoint {path} cannot be read: {error}.",
                "Delete it; the training then begins anew.",
            ) from error

    def _rows(self, number: int) -> npt.NDArray[np.int64]:
        """The pairs of a step: each pair once before any comes again, in an order that is drawn
        anew each time round."""
        size = min(self.recipe.batch, len(self.texts))
        rounds = len(self.texts) // size
        order = np.random.default_rng((self.recipe.seed, number // rounds))
        at = number % rounds * size
        return order.permutation(len(self.texts))[at : at + size]

    def _is_same(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """bool [b, b]: whether a pair shares a text with another one, which is then no negative."""
        first, second = (side[rows] for side in self.same)
        is_same: npt.NDArray[np.bool_] = first[:, None] == first
        is_same |= second[:, None] == second
        return is_same

    def _vectors(self, windows: "Sequence[Ids]") -> "Tensor":
        import torch

        lengths = np.array([len(ids) for ids in windows])
        inside = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(inside.shape, dtype=np.int64)
        ids[inside] = np.concatenate(windows)
        features = {
            "input_ids": torch.from_numpy(ids),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)),
        }
        pooled: Tensor = self.model(features)["sentence_embedding"]
        return torch.nn.functional.normalize(pooled, dim=1)


def _loss(queries: "Tensor", answers: "Tensor", is_same: "Tensor") -> "Tensor":
    import torch

    own = torch.arange(len(queries))
    others = is_same & ~torch.eye(len(queries), dtype=torch.bool)
    scores = (_SCALE * queries @ answers.T).masked_fill(others, -torch.inf)
    entropy = torch.nn.functional.cross_entropy
    loss: Tensor = (entropy(scores, own) + entropy(scores.T, own)) / 2
    return loss


def _trained(network: "Module") -> "dict[str, Tensor]":
    """The parameters that change, by name: the upper half of the layers; the rest is frozen."""
    layers = getattr(getattr(network, "encoder", None), "layer", None)
    network.requires_grad_(False)
    if layers is None:
        network.requires_grad_(True)
    for layer in layers[len(layers) // 2 :] if layers is not None else ():
        layer.requires_grad_(True)
    return {name: each for name, each in network.named_parameters() if each.requires_grad}


def _read(layout: Layout, pairs: Sequence[TextPair], tokens: int) -> list[tuple[Ids, Ids]]:
    """The first tokens of each text, with the model's special ones."""
    window = min(tokens, layout.window)
    reader = TextReader.of(read_tokenizer(layout.transformer), window, layout.prompt)
    sides = (reader.read(side) for side in zip(*pairs, strict=True))
    cut = [
        [np.concatenate((reader.opening, ids[:window], reader.closing)) for ids in side]
        for side in sides
    ]
    return list(zip(*cut, strict=True))


def _rate(step: int, steps: int) -> float:
    warm = max(1, round(_WARM_UP * steps))
    return (step + 1) / warm if step < warm else (steps - step) / (steps - warm + 1)


@contextmanager
def _reproducible() -> Iterator[None]:
    """The same sums in the same order on any machine with as many cores."""
    import torch

    was = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was)
