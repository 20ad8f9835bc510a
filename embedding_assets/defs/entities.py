"""Documents to entities: the model that is trained, and what it and the rules find."""

from collections.abc import Iterator

import dagster as dg

from embedding_assets.defs.partitions import doc_ids
from embedding_assets.defs.pictures import type_scores
from embedding_assets.defs.policy import document_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.documents.entities.slices import ENTITY_SCHEMA
from embedding_assets.entities import ENTITY_MODEL_SCHEMA
from embedding_assets.errors import ModelDamagedError
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices
from embedding_assets.workspace import Workspace


@document_asset(ENTITY_MODEL_SCHEMA, kinds={"mlflow"})
def entity_model(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """What finds the entities that `entities.training` has examples of: trained from there, judged
    on the sentences that were held out, by type. A training that was ended goes on where it was.

    Without that setting there is none. Labelled files that cannot be used leave the last good one.
    """
    return Slices(_told(context, workspace.open()))


@document_asset(
    ENTITY_SCHEMA, partitions_def=doc_ids, deps=[entity_model], kinds={"mlflow"}
)  # fmt: skip
def doc_entities(
    context: dg.AssetExecutionContext, documents: ParquetTable, workspace: WorkspaceResource
) -> Slices:
    """The entities of each document, with their place in its blocks, page and box: found by the
    model, by names that are known, and by patterns; `source` says by which."""
    entities = workspace.open().entities
    return Slices(entities.slices(documents, context.partition_keys), small=True)


@dg.asset_check(asset=entity_model)
def entity_model_is_current(workspace: WorkspaceResource) -> dg.AssetCheckResult:
    """Model and rules are those that the settings and their files ask for; else the last good ones
    are in use."""
    problem = workspace.open().entities.problem
    return dg.AssetCheckResult(
        passed=problem is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"problem": problem or "none"},
    )


def _told(context: dg.AssetExecutionContext, workspace: Workspace) -> Iterator[Slice]:
    """The model's slice; once it is stored, the model is registered and shown."""
    entities = workspace.entities
    if entities.problem:
        context.log.warning(entities.problem)
    yield entities.model_slice()
    try:
        trained = entities.trained
    except ModelDamagedError:  # and it could not be trained again: the check says why
        return
    if trained is None:
        return
    version = workspace.registry.ensure_trained(entities.registered(trained))
    context.add_asset_metadata(
        {
            "model": str(version),
            "mlflow_run": dg.MetadataValue.url(workspace.registry.link_of(version)),
            "types": type_scores(entities.table.read()),
        }
    )
