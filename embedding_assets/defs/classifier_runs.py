"""What comes of training a classifier, for a person to look at."""

from collections.abc import Iterator, Mapping

import dagster as dg

from embedding_assets.defs.pictures import markdown_picture
from embedding_assets.registry import ModelVersion
from embedding_assets.storage.slices import Slice
from embedding_assets.workspace import Workspace


def logged_classifier(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Slice]:
    """The classifier's slice; the version and the pictures of a new one become metadata."""

    def told(version: ModelVersion, pictures: Mapping[str, bytes]) -> None:
        shown = {name: markdown_picture(png, name) for name, png in pictures.items()}
        context.add_asset_metadata({"model": str(version), **shown})

    yield workspace.categories.classifier_slice(told)
