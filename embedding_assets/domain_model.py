"""The model that is made of the texts stored in a workspace, and what it is made of."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.aside import aside
from embedding_assets.embedding.model import resolve_model
from embedding_assets.embedding.workers import usable_cores
from embedding_assets.errors import NotFoundError
from embedding_assets.quality.pairs import Pairs, account_pairs
from embedding_assets.records.forgotten import remembered_sql
from embedding_assets.registry import ModelVersion, TrainedModel
from embedding_assets.storage.duck import query_engine
from embedding_assets.storage.lock import locked
from embedding_assets.training.adapt import Recipe
from embedding_assets.training.distil import MOST_TEXTS
from embedding_assets.training.make import RECORD, Made, Order, make
from embedding_assets.training.picture import curve
from embedding_assets.training.texts import Passage, TrainingTexts, training_texts

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

REGISTERED_NAME = "domain_model"
_LONGEST_SECONDS = 24 * 3_600.0
_ROWS_AT_ONCE = 1_024


@dataclass(frozen=True)
class DomainModel:
    """A model that is there, or was made just now.

    folder: to be named as `model.name`, or staged. new: whether this call has made it.
    """

    folder: Path
    made: Made
    new: bool


class Trainer:
    """What makes a model of what a workspace has stored of documents and accounts."""

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self._settings = workspace.settings.training
        self.folder = workspace.models_dir / "trained"

    @cached_property
    def order(self) -> Order:
        """What the settings ask for. Raises ModelLoadError, ModelDamagedError."""
        settings = self._settings
        base = resolve_model(settings.base, self._workspace.models_dir)
        recipe = Recipe(
            settings.steps, settings.batch, settings.tokens, settings.rate, settings.seed
        )
        return Order(
            base.layout, settings.base, base.content_sha256, settings.kind, recipe, settings.kept
        )

    def texts(self) -> TrainingTexts:
        """What there is to learn from; no more of it than is read."""
        read = self._settings.steps * self._settings.batch
        most = read if self._settings.kind == "adapted" else MOST_TEXTS
        return training_texts(self._passages(), self._accounts(most), most)

    def provide(self) -> DomainModel:
        """The model of what is stored now, made when there is none yet; one that was interrupted
        goes on where it was.

        Raises EmptyInputError when too little is stored, ModelError and OutputError subclasses.
        """
        order, texts = self.order, self.texts()
        place = self.folder / order.digest(texts)
        with self.working():
            is_made = (place / RECORD).exists()
            if not is_made:
                threads = self._workspace.settings.model.threads or usable_cores()
                aside(make, order, texts, place, threads)
        made = Made.load(place / RECORD)
        return DomainModel((place / made.name).resolve(), made, not is_made)

    @contextmanager
    def working(self, timeout_seconds: float = _LONGEST_SECONDS) -> Iterator[None]:
        """Hold the folder against others who make a model. Raises StoreLockedError."""
        with locked(self._workspace.data_dir / "locks" / "training.lock", timeout_seconds):
            yield

    def latest(self) -> DomainModel:
        """The model that was made last. Raises NotFoundError before the first."""
        records = sorted(self.folder.glob(f"*/{RECORD}"), key=lambda path: path.stat().st_mtime_ns)
        if not records:
            raise NotFoundError(
                "No model was made of the texts that are stored here.",
                "Make one: `embedding-assets model train`.",
            )
        made = Made.load(records[-1])
        return DomainModel((records[-1].parent / made.name).resolve(), made, new=False)

    def register(self, model: DomainModel) -> ModelVersion:
        """The version of the model in the registry, with its curve and its files.

        Raises RegistryError.
        """
        made, order = model.made, self.order
        files: dict[str, Path | bytes] = {
            f"model/{path.relative_to(model.folder).as_posix()}": path
            for path in sorted(model.folder.rglob("*"))
            if path.is_file()
        }
        figures = {f"mrr_{kind}_before": value for kind, value in made.before.items()}
        figures |= {f"mrr_{kind}": value for kind, value in made.after.items()}
        return self._workspace.registry.ensure_trained(
            TrainedModel(
                name=REGISTERED_NAME,
                digest=made.digest,
                params={
                    "base": made.base, "kind": made.kind, "kept": order.kept, "pairs": made.pairs,
                    "folder": model.folder, **vars(order.recipe),
                },
                metrics={**figures, "seconds": made.seconds},
                files={**files, "training.png": curve(made)},
            )
        )  # fmt: skip

    def _passages(self) -> Iterator[Passage]:
        table = self._workspace.table("doc_chunks")
        keys = table.keys()
        columns = ["heading_path", "text"]
        for batch in table.dataset(keys).to_batches(columns=columns) if keys else ():
            for row in batch.to_pylist():
                yield tuple(row["heading_path"] or ()), row["text"]

    def _accounts(self, most: int) -> Pairs:
        table = self._workspace.table("cleaned_records")
        keys = table.keys()
        if not keys:
            return Pairs((), ())
        days = self._workspace.accounts.days
        with query_engine(days.query_memory_mb) as connection:
            connection.register("stored", table.dataset(keys))
            remembered = remembered_sql("stored", days.forgotten())
            connection.execute(f"CREATE VIEW records AS SELECT * {remembered}")
            return account_pairs(connection, most, days.history_days)
