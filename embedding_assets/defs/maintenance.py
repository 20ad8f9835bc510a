"""Upkeep of what all assets share."""

import dagster as dg

from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.embedding.upkeep import keep_within_budget


@dg.asset(group_name="maintenance", kinds={"parquet"})
@retried
def vector_store(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """Every vector ever computed, by model fingerprint and text: segments merged, duplicates
    dropped, the models used longest ago removed when the size budget is exceeded."""
    opened = workspace.open()
    live = opened.live_model()
    upkeep = keep_within_budget(
        opened.data_dir / "vectors",
        budget_bytes=int(opened.settings.storage.vector_budget_gb * 1e9),
        live=live["fingerprint"] if live else None,
    )
    return dg.MaterializeResult(metadata=vars(upkeep))
