"""Training of the network that tags words: seeded, and resumed from the last checkpoint."""

import hashlib
import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from embedding_assets.documents.entities.batches import (
    Batch,
    Sentence,
    SentenceReader,
    batch_of,
    blanked,
)
from embedding_assets.documents.entities.decode import followed
from embedding_assets.documents.entities.labelled import Example, tags_of
from embedding_assets.documents.entities.model import EntityModel, autocast
from embedding_assets.documents.entities.network import Shape, build_network, rate_of, read_bert
from embedding_assets.embedding.folder import Layout, read_json
from embedding_assets.embedding.windows import read_tokenizer
from embedding_assets.embedding.workers import torch_threads, usable_cores
from embedding_assets.errors import ModelLoadError
from embedding_assets.storage.files import published
from embedding_assets.storage.slices import digest_of
from embedding_assets.training.folder import sweep_torn

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

TRAIN_CODE = "2"
"""Changes whenever the same examples would give another model."""
_WEIGHTS = "model.safetensors"
_MOST_PIECES = 200
_POOL = 32
_WARM = 0.1
_AVERAGED = 3
"""The weights of a model are the mean of those after each step of the last third of training."""
_log = structlog.get_logger()


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    rate: at which the encoder's last layer learns at most; each layer below at `decay` times that
    of the one above it. new_rate: at which everything that is new learns.
    sentences: of a step. passes: over all examples at least; fewest_steps: more passes, up to
    `most_passes`, until there were so many. most_pieces: of words that are read at most, after
    which training ends.
    blanked, blanked_names: shares of the words outside and inside entities that are made
    unreadable in a step, so that names are learned by where they stand and how they are written.
    checkpoint_seconds: after which the next step is kept.
    """

    seed: int = 0
    rate: float = 2e-4
    new_rate: float = 2e-3
    decay: float = 0.9
    dropout: float = 0.1
    blanked: float = 0.0
    blanked_names: float = 0.0
    sentences: int = 16
    passes: int = 5
    most_passes: int = 15
    fewest_steps: int = 450
    most_pieces: int = 1_500_000
    checkpoint_seconds: float = 30.0

    def steps(self, examples: int, pieces: int) -> int:
        """How many steps so many examples, of so many pieces together, are trained for."""
        a_pass = math.ceil(examples / self.sentences)
        wanted = max(self.passes * a_pass, min(self.fewest_steps, self.most_passes * a_pass))
        return max(1, min(wanted, math.floor(self.most_pieces / max(1, pieces) * a_pass)))


def train(
    examples: Sequence[Example],
    labels: Sequence[str],
    base: Layout,
    recipe: Recipe = Recipe(),
    *,
    threads: int | None = None,
    work: Path | None = None,
) -> EntityModel:
    """A model that finds entities of the types `labels`, trained on `examples`.

    base: the BERT encoder that it begins with.
    threads: that it is trained with, as many as usable cores by default; their number may change
    the last digits of the result.
    work: a folder for the checkpoint; a training with the same arguments that was ended there goes
    on from it, to the same result.
    Raises ModelLoadError when `base` is no BERT, OutputError subclasses.
    """
    import torch

    with torch_threads(threads or usable_cores()):
        run = _Run.begin(examples, labels, base, recipe, work)
        run.resume()
        run.network.train()
        kept = time.monotonic()
        while run.step < run.steps:
            loss = run.advance()
            if not run.step % 50:
                _log.info("entities_trained", step=run.step, of=run.steps, loss=round(loss, 4))
            if time.monotonic() - kept >= recipe.checkpoint_seconds and run.step < run.steps:
                run.keep()
                kept = time.monotonic()
        torch.manual_seed(recipe.seed)
        run.settle()
    about = {"types": list(labels), "recipe": asdict(recipe), "steps": run.steps}
    return EntityModel(run.network, read_tokenizer(base.transformer), run.shape, run.tags, about)


def finish(work: Path) -> None:
    """Remove the checkpoint of a training whose result is kept."""
    _checkpoint(work).unlink(missing_ok=True)


@dataclass
class _Run:
    """A training at work.

    sentences: with the number of each word's tag beside them. mean: of what learns, over the steps
    of the last third so far (Izmailov et al. 2018).
    """

    network: "nn.Module"
    optimizer: "Optimizer"
    shape: Shape
    tags: list[str]
    sentences: list[tuple[Sentence, list[int]]]
    recipe: Recipe
    blank: int
    steps: int
    digest: str
    work: Path | None
    step: int = 0
    mean: "dict[str, Tensor]" = field(default_factory=dict)

    @classmethod
    def begin(
        cls,
        examples: Sequence[Example],
        labels: Sequence[str],
        base: Layout,
        recipe: Recipe,
        work: Path | None,
    ) -> "_Run":
        import torch

        tags = ["O", *(f"{prefix}-{label}" for label in labels for prefix in "BI")]
        shape = Shape.of(_bert_config(base), len(tags))
        torch.manual_seed(recipe.seed)
        network = build_network(shape, recipe.dropout)
        read_bert(network, _weights(base))
        tokenizer = read_tokenizer(base.transformer)
        reader = SentenceReader(tokenizer, min(_MOST_PIECES, shape.positions))
        sentences = list(_sentences(examples, tags, reader))
        moves = followed((wanted for _, wanted in sentences), len(tags))
        network.get_buffer("moves").copy_(torch.from_numpy(moves))
        pieces = sum(len(sentence.pieces) for sentence, _ in sentences)
        how = {**asdict(recipe), "checkpoint_seconds": None}
        encoder = (asdict(shape), _sha256(base.transformer / _WEIGHTS), tokenizer.to_str())
        digest = digest_of(TRAIN_CODE, how, tags, encoder, [asdict(e) for e in examples])
        steps = recipe.steps(len(sentences), pieces)
        optimizer = _optimizer(network, shape, recipe)
        return cls(
            network, optimizer, shape, tags, sentences, recipe, reader.blank, steps, digest, work
        )

    def advance(self) -> float:
        """Learn from the next batch; how wrong it was."""
        import torch
        from torch.nn.functional import cross_entropy

        # Drawn from the step's number alone, so that a resumed training draws the same.
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.step)
        chosen = self._chosen()
        drawn = np.random.default_rng([self.recipe.seed, self.step])
        batch = batch_of([self._blanked(sentence, tags, drawn) for sentence, tags in chosen])
        with autocast():
            scores = self.network(batch)
        truth = _truth(batch, [tags for _, tags in chosen])
        loss = cross_entropy(scores[batch.words], truth)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = group["most"] * self._share()
        self.optimizer.step()
        self.step += 1
        self._average()
        return float(loss.detach())

    def settle(self) -> None:
        """Put the mean in the place of what learned."""
        import torch

        with torch.no_grad():
            for name, tensor in self._learning():
                tensor.copy_(self.mean[name])

    def keep(self) -> None:
        """Write a checkpoint, whole or not at all."""
        if self.work is None:
            return
        from safetensors.torch import save_file

        tensors = {f"weight {name}": tensor for name, tensor in self._learning()}
        for name, tensor in self._learning():
            for part, value in self.optimizer.state[tensor].items():
                tensors[f"{part} {name}"] = value
        tensors |= {f"mean {name}": tensor for name, tensor in self.mean.items()}
        told = {"step": str(self.step), "digest": self.digest}
        with published(_checkpoint(self.work)) as staged:
            save_file({name: each.detach() for name, each in tensors.items()}, str(staged), told)

    def resume(self) -> None:
        """Go on from the checkpoint, when there is one of the same training."""
        from safetensors import SafetensorError, safe_open

        if self.work is None:
            return
        sweep_torn(self.work)
        if not _checkpoint(self.work).exists():
            return
        import torch

        try:
            with safe_open(str(_checkpoint(self.work)), "pt") as file:
                told = file.metadata() or {}
                if told.get("digest") != self.digest:
                    return
                kept = set(file.keys())
                with torch.no_grad():
                    for name, tensor in self._learning():
                        tensor.copy_(file.get_tensor(f"weight {name}"))
                        parts = ("step", "exp_avg", "exp_avg_sq")
                        self.optimizer.state[tensor] = {
                            part: file.get_tensor(f"{part} {name}") for part in parts
                        }
                        if f"mean {name}" in kept:
                            self.mean[name] = file.get_tensor(f"mean {name}")
        except (OSError, SafetensorError):
            return  # torn by a disk that was full or failed: it begins anew
        self.step = int(told["step"])
        _log.info("entities_training_resumed", step=self.step, of=self.steps)

    def _average(self) -> None:
        count = self.step - self.steps + max(1, self.steps // _AVERAGED)
        if count < 1:
            return
        for name, tensor in self._learning():
            now = tensor.detach()
            if count == 1:
                self.mean[name] = now.clone()
            self.mean[name].lerp_(now, 1 / count)

    def _learning(self) -> Iterator[tuple[str, "Tensor"]]:
        for name, tensor in self.network.named_parameters():
            if tensor.requires_grad:
                yield name, tensor

    def _chosen(self) -> list[tuple[Sentence, list[int]]]:
        """The sentences of this step."""
        size = self.recipe.sentences
        a_pass = math.ceil(len(self.sentences) / size)
        number, place = divmod(self.step, a_pass)
        return [self.sentences[each] for each in self._order(number)[place]]

    def _blanked(self, sentence: Sentence, tags: list[int], drawn: np.random.Generator) -> Sentence:
        is_name = np.array(tags) > 0
        share = np.where(is_name, self.recipe.blanked_names, self.recipe.blanked)
        return blanked(sentence, drawn.random(len(tags)) < share, self.blank)

    def _order(self, number: int) -> list[list[int]]:
        """The batches of a pass: sentences of like length together, in an order of its own."""
        drawn = random.Random(f"{self.recipe.seed} {number}")
        places = list(range(len(self.sentences)))
        drawn.shuffle(places)
        size = self.recipe.sentences
        batches = []
        for start in range(0, len(places), size * _POOL):
            pool = sorted(
                places[start : start + size * _POOL],
                key=lambda place: len(self.sentences[place][0].pieces),
            )
            batches += [pool[first : first + size] for first in range(0, len(pool), size)]
        drawn.shuffle(batches)
        return batches

    def _share(self) -> float:
        """Of the highest rate: up in a line, then down to nothing."""
        warm = max(1, round(_WARM * self.steps))
        if self.step < warm:
            return (self.step + 1) / warm
        return (self.steps - self.step) / max(1, self.steps - warm)


def _sentences(
    examples: Sequence[Example], tags: Sequence[str], reader: SentenceReader
) -> Iterator[tuple[Sentence, list[int]]]:
    numbers = {tag: number for number, tag in enumerate(tags)}
    read = reader.read([example.words for example in examples])
    for example, parts in zip(examples, read, strict=True):
        wanted = [numbers[tag] for tag in tags_of(example)]
        start = 0
        for part in parts:
            yield part, wanted[start : start + len(part)]
            start += len(part)


def _truth(batch: Batch, tags: Sequence[Sequence[int]]) -> "Tensor":
    import torch

    return torch.tensor([tag for some in tags for tag in some])


def _optimizer(network: "nn.Module", shape: Shape, recipe: Recipe) -> "Optimizer":
    import torch

    groups: dict[float, list[Tensor]] = {}
    for name, tensor in network.named_parameters():
        if tensor.requires_grad:
            share = rate_of(name, shape.layers, recipe.decay)
            groups.setdefault(share * recipe.rate or recipe.new_rate, []).append(tensor)
    return torch.optim.AdamW(
        [{"params": tensors, "lr": rate, "most": rate} for rate, tensors in groups.items()],
        weight_decay=0.01,
    )


def _bert_config(base: Layout) -> dict[str, Any]:
    config = dict(read_json(base.transformer / "config.json"))
    if config.get("model_type") != "bert" or config.get("hidden_act") != "gelu":
        raise ModelLoadError(
            f"{base.folder} is a {config.get('model_type')!r} model; entities need a BERT encoder.",
            "Set entities.encoder to all-MiniLM-L6-v2 or to another BERT in a Sentence "
            "Transformers folder.",
        )
    return config


def _weights(base: Layout) -> "dict[str, Tensor]":
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = base.transformer / _WEIGHTS
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelLoadError(
            f"The weights {path} cannot be read: {error}.", "Copy or unpack the model again."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checkpoint(work: Path) -> Path:
    return work / "checkpoint.safetensors"
