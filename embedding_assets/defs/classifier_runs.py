"""What comes of training a classifier: a version in the registry, and pictures to look at."""

from collections.abc import Iterator, Mapping

import dagster as dg

from embedding_assets.defs.pictures import markdown_picture
from embedding_assets.documents.classify.classifier import LABELS, DocumentClassifier
from embedding_assets.documents.classify.plots import confusion_png, reliability_png
from embedding_assets.registry import TrainedModel
from embedding_assets.storage.slices import Slice
from embedding_assets.workspace import Workspace

_MODEL = "document_classifier"


def logged_classifier(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Slice]:
    """The classifier's slice; a new one is registered, with its pictures, before it is stored, so
    that what is used can always be found there."""

    def done(made: DocumentClassifier, files: Mapping[str, bytes], digest: str) -> None:
        pictures = _pictures(made)
        told = made.figures()
        numbers = {k: float(v) for k, v in told.items() if not isinstance(v, str)}
        trained = TrainedModel(
            name=_MODEL,
            digest=digest,
            params={"way": made.way, "encoder": made.fingerprint[:12]},
            metrics=numbers,
            files={**{f"model/{name}": content for name, content in files.items()}, **pictures},
        )
        version = workspace.registry.ensure_trained(trained)
        shown = {name.removesuffix(".png"): each for name, each in pictures.items()}
        context.add_asset_metadata(
            {
                "model": str(version),
                **{name: markdown_picture(png, name) for name, png in shown.items()},
            }
        )

    yield workspace.library.classifier_slice(done)


def _pictures(made: DocumentClassifier) -> dict[str, bytes]:
    judged = made.evaluation.get(LABELS)
    if judged is None:
        return {}
    return {"confusion.png": confusion_png(judged), "reliability.png": reliability_png(judged)}
