"""From labelled files to a trained model in a folder, judged on what it was not shown."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedding_assets.documents.entities.labelled import Example, hold_out
from embedding_assets.documents.entities.model import EntityModel, read_about
from embedding_assets.documents.entities.reading import labelled_digest, read_labelled
from embedding_assets.documents.entities.score import Report, judge
from embedding_assets.documents.entities.training import TRAIN_CODE, Recipe, finish, train
from embedding_assets.embedding.model import resolve_model
from embedding_assets.errors import ModelDamagedError
from embedding_assets.storage.lock import locked
from embedding_assets.storage.slices import digest_of

HELD_OUT = 0.15
"""Of the labelled sentences: they are not trained on, the model is judged by them."""
_FIT_CODE = "2"
_LONGEST_SECONDS = 24 * 3_600.0


@dataclass(frozen=True)
class Fitting:
    """What is to be trained.

    source: a labelled file, or a folder of them. encoder: the name of the model that it begins
    with; models_dir: where unpacked ones are.
    work: a folder for checkpoints. threads: all usable cores by default.
    """

    source: Path
    encoder: str
    models_dir: Path
    work: Path
    recipe: Recipe = field(default_factory=Recipe)
    threads: int | None = None

    def digest(self) -> str:
        """Of all that decides the model, without training it.

        Raises InputNotFoundError, ModelLoadError.
        """
        encoder = resolve_model(self.encoder, self.models_dir).content_sha256
        how = {**vars(self.recipe), "checkpoint_seconds": None}
        return digest_of(_FIT_CODE, TRAIN_CODE, labelled_digest(self.source), encoder, how)


def fit(fitting: Fitting, target: Path) -> dict[str, Any]:
    """Train a model and publish it at `target`, unless a whole one stands there; what is told of
    it.

    A training that was ended goes on where it was; one at a time has the folder for checkpoints.
    Raises InputError and ModelError subclasses, OutputError subclasses, StoreLockedError.
    """
    with locked(fitting.work / "training.lock", _LONGEST_SECONDS):
        with suppress(ModelDamagedError):
            return read_about(target)
        return _fit(fitting, target)


def _fit(fitting: Fitting, target: Path) -> dict[str, Any]:
    # Before torch is loaded: threads that spin while they wait for one another take many times as
    # long when the cores are busy.
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    os.environ.setdefault("KMP_BLOCKTIME", "0")
    labelled = read_labelled(fitting.source)
    taught, held = hold_out(labelled.examples, HELD_OUT, fitting.recipe.seed)
    base = resolve_model(fitting.encoder, fitting.models_dir).layout
    clock, processor = time.perf_counter(), time.process_time()
    model = train(
        taught, labelled.labels, base, fitting.recipe, threads=fitting.threads, work=fitting.work
    )
    model.about |= {
        "encoder": fitting.encoder,
        "sentences": len(taught),
        "held_out": len(held),
        "seen": labelled.seen,
        "notes": dict(labelled.notes),
        "taught": Counter(span.label for each in taught for span in each.spans),
        "seconds": round(time.perf_counter() - clock, 1),
        "processor_seconds": round(time.process_time() - processor, 1),
        "scores": evaluate(model, held).to_dict(),
    }
    model.save(target)
    finish(fitting.work)
    return read_about(target)


def evaluate(model: EntityModel, examples: Sequence[Example]) -> Report:
    """How right the model is on labelled sentences."""
    found = model.tag([example.words for example in examples])
    return judge([each.spans for each in examples], [[span for span, _ in some] for some in found])
