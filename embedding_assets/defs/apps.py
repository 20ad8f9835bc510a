"""Apps to their index: the assets, vectors and models by version."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from embedding_assets.apps.manifest import AppManifest
from embedding_assets.apps.slices import APP_VECTOR_SCHEMA, MODEL_SCHEMA
from embedding_assets.apps.tables import CATALOGUE_SCHEMA, PERFORMANCE_SCHEMA, REJECT_SCHEMA
from embedding_assets.defs.policy import DAILY, app_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.registry import ModelVersion
from embedding_assets.settings import load_settings
from embedding_assets.storage.slices import Slice, Slices
from embedding_assets.workspace import Workspace

app_versions = dg.StaticPartitionsDefinition([*load_settings().apps.versions])
"""The versions of the app vectors, by the setting `apps.versions`."""


@app_asset(CATALOGUE_SCHEMA)
def app_catalogue(workspace: WorkspaceResource) -> Slice:
    """The apps of `sample_apps.csv`, one row each: repeated ids are merged, missing values stay
    missing."""
    return workspace.open().catalogue.catalogue_slice()


@app_asset(APP_VECTOR_SCHEMA, partitions_def=app_versions, deps=[app_catalogue])
def app_vectors(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """The vector of each app in each version, read from `mock_embeddings_<version>.pkl` without
    running anything in it."""
    return Slices(workspace.open().catalogue.vector_slices(context.partition_keys))


@app_asset(PERFORMANCE_SCHEMA)
def app_performance(workspace: WorkspaceResource) -> Slice:
    """Clicks and impressions of each app, summed over `historical_performance.csv` and what has
    arrived in `outcomes/` since."""
    return workspace.open().catalogue.performance_slice()


@app_asset(
    REJECT_SCHEMA, deps=[app_catalogue, app_vectors, app_performance],
)  # fmt: skip
def quarantined_app_rows(workspace: WorkspaceResource) -> Slices:
    """Rows of the app files that cannot be used, by file, each with the reason and the value."""
    return Slices(workspace.open().catalogue.reject_slices())


@app_asset(
    MODEL_SCHEMA,
    partitions_def=app_versions,
    deps=[app_catalogue, app_vectors, app_performance],
    kinds={"mlflow"},
)
def performance_model(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """What predicts the click rate of an app from its vector, category and platform, with an
    interval; cross-validated, and fitted anew whenever outcomes arrive."""
    opened = workspace.open()
    slices = opened.catalogue.model_slices(context.partition_keys)
    return Slices(_logged(context, opened, slices))


@dg.asset(
    group_name="apps",
    backfill_policy=dg.BackfillPolicy.single_run(),
    freshness_policy=DAILY,
    deps=[app_catalogue, app_vectors, app_performance, performance_model],
)
@retried
def app_index(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """The snapshot that similar apps and predictions come from: all versions of the vectors, click
    rates and models; published whole, swapped in without dropping a request."""
    built = workspace.open().catalogue.build_index()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": built.manifest.apps,
            "version": built.manifest.version,
            "digest": built.manifest.digest,
            "predicts": built.manifest.predicts or "",
            "seconds": built.manifest.seconds,
            "vectors": dg.MetadataValue.md(_table(built.manifest)),
            "unchanged": not built.new,
        }
    )


def _logged(
    context: dg.AssetExecutionContext, workspace: Workspace, slices: Iterable[Slice]
) -> Iterator[Slice]:
    """The same slices; the figures of each model that was fitted become an MLflow run."""
    stored = workspace.table("performance_model")
    for part in slices:
        before = stored.footer(part.key)
        yield part
        if before is not None and before.digest == part.digest:
            continue
        link = _log(context, workspace, part)
        context.add_asset_metadata(
            {"mlflow_run": dg.MetadataValue.url(link)}, partition_key=part.key
        )


def _log(context: dg.AssetExecutionContext, workspace: Workspace, part: Slice) -> str:
    model = ModelVersion("performance_model", str(part.key), part.digest)
    numbers = {name: each for name, each in part.stats.items() if isinstance(each, int | float)}
    told = {name: each for name, each in part.stats.items() if isinstance(each, str)}
    tags = {"dagster_run_id": context.run.run_id}
    with workspace.registry.vector_run("performance_model", model, told, tags) as run:
        run.add(numbers)
    return run.link


def _table(manifest: AppManifest) -> str:
    """The versions of the vectors and how new apps are placed, as Markdown."""
    head = ("version", "apps", "dimension", "category", "new apps by", "recall@20", "cosine")
    rows: list[tuple[Any, ...]] = [head, ("---",) * len(head)]
    for name, entry in manifest.versions.items():
        newcomers = entry.newcomers
        for category, placing in (("known", newcomers.listed), ("unknown", newcomers.unlisted)):
            for way, each in placing.figures.items():
                chosen = f"**{way}**" if way == placing.method else way
                version = (name, entry.rows, entry.dimension)
                rows.append((*version, category, chosen, each.recall, each.cosine))
    return "\n".join(f"|{'|'.join(map(str, row))}|" for row in rows)
