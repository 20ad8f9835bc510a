"""A domain's model from its texts: trained or distilled, judged on what was held out, kept."""

import json
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from embedding_assets.embedding.folder import Layout, read_layout
from embedding_assets.embedding.transformer import (
    BERT,
    SENTENCE_TRANSFORMERS,
    STATIC,
    build_encoder,
)
from embedding_assets.errors import StoreDamagedError
from embedding_assets.quality.self_retrieval import self_retrieval
from embedding_assets.storage.files import published
from embedding_assets.storage.folders import published_folder
from embedding_assets.storage.slices import digest_of
from embedding_assets.training.adapt import ADAPT_CODE, Recipe, adapt, averaged
from embedding_assets.training.distil import DISTIL_CODE, distil
from embedding_assets.training.folder import copy_with, read_weights
from embedding_assets.training.texts import TrainingTexts

Kind: TypeAlias = Literal["adapted", "static"]
RECORD = "made.json"


@dataclass(frozen=True)
class Order:
    """What model is to be made.

    base: of what. content_sha256: of the base's files.
    kept: the share of the base's weights in the result, of the rest it is the adapted ones.
    """

    base: Layout
    base_name: str
    content_sha256: str
    kind: Kind
    recipe: Recipe
    kept: float

    @property
    def name(self) -> str:
        """What the model is called: after its base and how it was made."""
        return f"{Path(self.base_name).name.removesuffix('.tar.gz')}-{self.kind}"

    def digest(self, texts: TrainingTexts) -> str:
        """Of all that decides the model's weights and how it is judged."""
        if self.kind == "static":
            return digest_of("static", DISTIL_CODE, self.content_sha256, vars(texts))
        rules = (vars(self.recipe), self.kept, self.content_sha256)
        return digest_of("adapted", ADAPT_CODE, *rules, vars(texts))


@dataclass(frozen=True)
class Made:
    """A model that was made of a domain's texts.

    name: of its folder, beside this record. pairs: that it was trained on. losses: of each step.
    before, after: by kind of text, the mean reciprocal rank at which the held-out halves find each
    other by the base and by this model.
    held_out: how many there were.
    """

    name: str
    digest: str
    base: str
    kind: str
    pairs: int
    losses: tuple[float, ...]
    before: dict[str, float]
    after: dict[str, float]
    held_out: dict[str, int]
    seconds: float

    def save(self, path: Path) -> None:
        """Write it as JSON, whole or not at all."""
        with published(path) as staged:
            staged.write_text(json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def load(cls, path: Path) -> "Made":
        """What `save` wrote. Raises StoreDamagedError."""
        try:
            entry: dict[str, Any] = json.loads(path.read_bytes())
            entry["losses"] = tuple(entry["losses"])
            return cls(**{field.name: entry[field.name] for field in fields(cls)})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreDamagedError(
                f"{path} cannot be read: {error}.", "Delete its folder; the model is made again."
            ) from error


def make(order: Order, texts: TrainingTexts, place: Path, threads: int) -> Made:
    """Make the model in `place`: its folder, then the record that says that it is whole.

    threads: that compute. Raises what `adapt` and `distil` raise; a training that was interrupted
    goes on where it was.
    """
    started = time.monotonic()
    target, checkpoint = place / order.name, place / "checkpoint.safetensors"
    losses: tuple[float, ...] = ()
    if order.kind == "static":
        with published_folder(target) as folder:
            distil(order.base, texts.whole, folder, threads)
    else:
        adapted = adapt(order.base, texts.pairs, order.recipe, checkpoint, threads=threads)
        losses = tuple(map(float, adapted.losses))
        stored = read_weights(order.base)
        weights = averaged(adapted.weights, stored, 1 - order.kept)
        with published_folder(target) as folder:
            copy_with(order.base, weights, folder)
    before, after = (
        _judged(layout, texts, threads) for layout in (order.base, read_layout(target))
    )
    made = Made(
        order.name, order.digest(texts), order.base_name, order.kind, len(texts.pairs), losses,
        before, after, {kind: len(pairs) for kind, pairs in texts.held_out.items()},
        time.monotonic() - started,
    )  # fmt: skip
    made.save(place / RECORD)
    checkpoint.unlink(missing_ok=True)
    return made


def _judged(layout: Layout, texts: TrainingTexts, threads: int) -> dict[str, float]:
    from embedding_assets.embedding.bert import supports

    backend = STATIC if layout.is_static else BERT if supports(layout) else SENTENCE_TRANSFORMERS
    encoder = build_encoder(layout, "float32", backend, "", device="cpu", threads=threads)
    return {
        kind: self_retrieval(pairs, encoder).mrr for kind, pairs in texts.held_out.items() if pairs
    }
