"""A trained classifier as the registry keeps it: its files, its figures, its pictures."""

from collections.abc import Mapping

from embedding_assets.documents.classify.classifier import LABELS, DocumentClassifier
from embedding_assets.documents.classify.plots import confusion_png, reliability_png
from embedding_assets.registry import ModelVersion, Registry, TrainedModel

NAME = "document_classifier"


def register_classifier(
    registry: Registry, made: DocumentClassifier, files: Mapping[str, bytes], digest: str
) -> tuple[ModelVersion, dict[str, bytes]]:
    """The version of a classifier, registered if it is not known yet, and its pictures by name.

    Raises RegistryError.
    """
    judged = made.evaluation.get(LABELS)
    pictures = {}
    if judged is not None:
        pictures = {"confusion": confusion_png(judged), "reliability": reliability_png(judged)}
    numbers = {k: float(v) for k, v in made.figures().items() if not isinstance(v, str)}
    trained = TrainedModel(
        name=NAME,
        digest=digest,
        params={"way": made.way, "encoder": made.fingerprint[:12]},
        metrics=numbers,
        files={
            **{f"model/{name}": content for name, content in files.items()},
            **{f"{name}.png": picture for name, picture in pictures.items()},
        },
    )
    return registry.ensure_trained(trained), pictures
