"""The entities that the settings ask for: a model that is trained on labelled files, rules, and
what they find in documents."""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import structlog

from embedding_assets.aside import aside
from embedding_assets.documents.entities.finder import Finder
from embedding_assets.documents.entities.fitting import Fitting, fit
from embedding_assets.documents.entities.model import EntityModel, read_about
from embedding_assets.documents.entities.rules import Rules
from embedding_assets.documents.entities.slices import entities_of, entity_slices
from embedding_assets.documents.entities.training import Recipe
from embedding_assets.errors import (
    EmbeddingAssetsError,
    InputError,
    ModelDamagedError,
    ModelError,
    NotFoundError,
    SettingsError,
)
from embedding_assets.given_text import given_blocks
from embedding_assets.registry import TrainedModel
from embedding_assets.storage.files import published
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice, digest_of, table_slice

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

ENTITY_MODEL_SCHEMA = pa.schema(
    [
        pa.field("label", pa.string()),
        pa.field("taught", pa.int32()),
        pa.field("support", pa.int32()),
        pa.field("precision", pa.float64()),
        pa.field("recall", pa.float64()),
        pa.field("f1", pa.float64()),
    ]
)
"""A type of entity: how many were trained on, how many held out, and the strict scores on these;
null where there were none."""
_NOTHING = digest_of("no entity model")
_WAYS = "entities.training, entities.patterns, entities.expressions or entities.gazetteer"
_log = structlog.get_logger()


@dataclass(frozen=True)
class Trained:
    """The model that is in use: its digest, its folder, and what is told of it."""

    digest: str
    folder: Path
    about: dict[str, Any]


class Entities:
    """Model and rules of a workspace."""

    recipe = Recipe()

    def __init__(self, workspace: "Workspace") -> None:
        self._workspace = workspace
        self._settings = workspace.settings.entities
        self.folder = workspace.data_dir / "entities"

    @property
    def table(self) -> ParquetTable:
        """What is stored of the model."""
        return self._workspace.table("entity_model")

    @property
    def rules(self) -> Rules:
        """The rules of the settings. Raises SettingsError when one of them cannot be used,
        InputNotFoundError without the gazetteer."""
        gazetteer = self._settings.gazetteer
        pairs = [each.partition("=") for each in self._settings.expressions]
        for label, separator, expression in pairs:
            if not (label and separator and expression):
                raise SettingsError(
                    f"entities.expressions holds {label + separator + expression!r}.",
                    'Write each as LABEL=EXPRESSION: ["INVOICE=INV-[0-9]{6}"].',
                )
        rules = Rules(
            self._settings.patterns,
            [(label, expression) for label, _, expression in pairs],
            Path(gazetteer).expanduser() if gazetteer else None,
        )
        rules.require_usable()
        return rules

    @property
    def fitting(self) -> Fitting | None:
        """What is to be trained; None where the settings name no labelled files."""
        source = self._settings.labelled
        if source is None:
            return None
        models, work = self._workspace.models_dir, self.folder / "work"
        recipe = replace(self.recipe, seed=self._settings.seed)
        threads = self._workspace.settings.model.threads
        encoder = self._settings.encoder
        return Fitting(Path(source).expanduser(), encoder, models, work, recipe, threads)

    @property
    def trained(self) -> Trained | None:
        """The model in use; None before the first, or when the settings name no labelled files.

        Raises ModelDamagedError when its folder is gone, or a file there is torn.
        """
        footer = self.table.footer()
        if footer is None or not footer.rows or self._settings.labelled is None:
            return None
        folder = self._model_folder(footer.digest)
        return Trained(footer.digest, folder, read_about(folder))

    @property
    def problem(self) -> str | None:
        """Why the entities are not as the settings and files ask for; None when they can be."""
        try:
            self.rules.require_usable()
            digest = self.fitting.digest() if self.fitting else None
            _ = self.trained
        except (InputError, ModelError, SettingsError) as error:
            return f"{error.problem} {error.mend}"
        failed = self._failed()
        return failed["problem"] if digest and failed.get("digest") == digest else None

    def model_slice(self) -> Slice:
        """The scores of the model by type (ENTITY_MODEL_SCHEMA); it is trained when the labelled
        files, the encoder or the way of training changed, or its folder is damaged.

        Where that cannot be done the last good model stays, and `problem` says why.
        """
        fitting, stored = self.fitting, self.table.footer()
        if fitting is None:
            return table_slice(ENTITY_MODEL_SCHEMA.empty_table(), _NOTHING)
        digest = ""
        try:
            digest = fitting.digest()
            if stored is not None and stored.digest == digest and self._is_whole():
                return _unchanged(stored)
            about = aside(fit, fitting, self._model_folder(digest))
        except (InputError, ModelError) as error:
            self._note_failure(digest, error)
            if stored is not None:
                return _unchanged(stored)
            return table_slice(ENTITY_MODEL_SCHEMA.empty_table(), _NOTHING)
        self._remove_all_but({digest, stored.digest if stored else ""})
        return table_slice(_score_rows(about), digest, **_figures(about))

    def finder(self) -> Finder:
        """What the stored model and the rules find.

        Raises SettingsError, InputNotFoundError, ModelDamagedError.
        """
        trained = self.trained
        if trained is None:
            return Finder(self.rules)
        folder = trained.folder
        threads = self._workspace.settings.model.threads
        return Finder(self.rules, trained.digest, lambda: EntityModel.load(folder, threads))

    def slices(self, documents: ParquetTable, keys: Iterable[str]) -> Iterator[Slice]:
        """The entities of some documents; none where rules or model cannot be used: `problem` says
        why, and what is stored stays."""
        try:
            finder = self.finder()
        except (InputError, ModelError, SettingsError) as error:
            _log.warning("entities_left_as_they_are", problem=error.problem)
            return iter(())
        return entity_slices(documents, self._workspace.table("doc_entities"), keys, finder)

    def expected_finder(self) -> Finder | None:
        """What a run would find entities with, told by its digest alone; None while that cannot be
        said, so that what is stored counts as fresh."""
        try:
            return Finder(self.rules, self._expected_model())
        except (InputError, ModelError, SettingsError):
            return None

    def registered(self, trained: Trained) -> TrainedModel:
        """What the registry is told of the model."""
        about = trained.about
        params = {
            name: about[name] for name in ("encoder", "sentences", "held_out", "steps", "seen")
        }
        scores = about["scores"]
        metrics = {"seconds": float(about["seconds"])}
        for name, score in {"": scores, **scores["types"]}.items():
            for part in ("precision", "recall", "f1"):
                if score[part] is not None:
                    metrics[f"{part}/{_metric_name(name)}" if name else part] = score[part]
        files = {f"model/{path.name}": path for path in sorted(trained.folder.iterdir())}
        return TrainedModel(
            "entity_model", trained.digest, {**params, **about["recipe"]}, metrics, files
        )

    def of_text(self, text: str) -> list[dict[str, Any]]:
        """The entities in a text or, when it names one, in a file, in reading order; `-` reads
        standard input.

        Raises InputError and SettingsError subclasses, NotFoundError while there is neither a
        model nor a rule.
        """
        finder = self.finder()
        if not finder and self.fitting:
            raise NotFoundError(
                "The entity model is not trained yet.", self.problem or "Materialize entity_model."
            )
        if not finder:
            raise NotFoundError("Nothing finds entities here.", f"Set {_WAYS}.")
        return entities_of(given_blocks(text, self._workspace.settings), finder)

    def of_document(self, doc_id: str | None) -> list[dict[str, Any]]:
        """The stored entities of a document, or of all, in reading order.

        Raises NotFoundError for a document of which none are stored.
        """
        table = self._workspace.table("doc_entities")
        keys = table.keys() if doc_id is None else [doc_id]
        if doc_id is not None and table.footer(doc_id) is None:
            raise NotFoundError(
                f"No entities are stored of {doc_id!r}.",
                "`embedding-assets documents list` shows the ids; entities come with the settings "
                f"{_WAYS}.",
            )
        return table.dataset(keys).to_table().to_pylist() if keys else []

    def _expected_model(self) -> str | None:
        fitting = self.fitting
        if fitting is None:
            return None
        with suppress(InputError, ModelError):
            digest = fitting.digest()
            if self._failed().get("digest") != digest:
                return digest
        trained = self.trained
        return trained.digest if trained else None

    def _is_whole(self) -> bool:
        try:
            return self.trained is not None
        except ModelDamagedError:
            return False

    def _model_folder(self, digest: str) -> Path:
        return self.folder / "models" / digest[:32]

    def _failed(self) -> dict[str, str]:
        try:
            found: dict[str, str] = json.loads((self.folder / "failed.json").read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _note_failure(self, digest: str, error: EmbeddingAssetsError) -> None:
        """So that the same files are not tried again by each run."""
        _log.warning("entity_model_not_trained", problem=error.problem)
        told = {"digest": digest, "problem": f"{error.problem} {error.mend}"}
        with published(self.folder / "failed.json") as staged:
            staged.write_text(json.dumps(told), encoding="utf-8")

    def _remove_all_but(self, digests: set[str]) -> None:
        kept = {self._model_folder(digest).name for digest in digests}
        for path in (self.folder / "models").iterdir():
            if path.name not in kept and not path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)


def _unchanged(stored: Footer) -> Slice:
    return Slice(None, stored.digest, ENTITY_MODEL_SCHEMA, lambda: (), stored.stats)


def _score_rows(about: dict[str, Any]) -> pa.Table:
    types, taught = about["scores"]["types"], about["taught"]
    none = {"precision": None, "recall": None, "f1": None, "support": 0}
    rows = [
        {"label": label, "taught": taught.get(label, 0), **types.get(label, none)}
        for label in about["types"]
    ]
    return pa.Table.from_pylist(rows, ENTITY_MODEL_SCHEMA)


def _figures(about: dict[str, Any]) -> dict[str, Any]:
    scores = {name: about["scores"][name] for name in ("precision", "recall", "f1", "support")}
    names = ("sentences", "held_out", "seen", "steps", "seconds", "processor_seconds")
    return {**scores, **{name: about[name] for name in names}, **about["notes"]}


def _metric_name(label: str) -> str:
    """A label with the letters that MLflow takes in names of metrics."""
    return "".join(each if each.isalnum() or each in "_-. " else "_" for each in label)
