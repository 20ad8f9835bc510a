"""A model of the domain's own texts: the asset."""

import dagster as dg

from embedding_assets.defs.documents import doc_chunks
from embedding_assets.defs.pictures import markdown_picture
from embedding_assets.defs.records import cleaned_records
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.training.picture import curve


@dg.asset(
    group_name="models",
    kinds={"mlflow", "pytorch"},
    deps=[doc_chunks, cleaned_records],
    backfill_policy=dg.BackfillPolicy.single_run(),
)
@retried
def domain_model(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """An embedding model made of the stored documents and account histories, without labels: the
    base of `training.base`, fine-tuned or distilled; unchanged texts give the one that is there.

    It changes no vector by itself: stage its folder, and let the gates judge it.
    """
    trainer = workspace.open().trainer
    model = trainer.provide()
    version = trainer.register(model)
    made = model.made
    return dg.MaterializeResult(
        metadata={
            "folder": dg.MetadataValue.path(str(model.folder)),
            "model": str(version),
            "digest": made.digest,
            "base": made.base,
            "kind": made.kind,
            "pairs": made.pairs,
            "held_out": made.held_out,
            "mrr_before": made.before,
            "mrr_after": made.after,
            "seconds": made.seconds,
            "training": markdown_picture(curve(made), "Training"),
            "unchanged": not model.new,
        }
    )
