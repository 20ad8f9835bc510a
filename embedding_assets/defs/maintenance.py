"""Upkeep of what all assets share."""

import dagster as dg

from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.retries import retried
from embedding_assets.embedding.upkeep import keep_within_budget
from embedding_assets.release.promote import remove_left
from embedding_assets.release.remove import remove_unused_models


@dg.asset(group_name="maintenance", kinds={"parquet"})
@retried
def vector_store(workspace: WorkspaceResource) -> dg.MaterializeResult[None]:
    """Every vector ever computed, by model fingerprint and text: segments merged, duplicates
    dropped, the models used longest ago removed when the size budget is exceeded. Models that left
    more than `release.keep_days` ago are removed whole, and so are models that were made or fetched
    before then and are used by nothing."""
    opened = workspace.open()
    removed = remove_left(opened)
    live = {seat.fingerprint for seat in opened.seats.all} | {opened.known_fingerprint or ""}
    upkeep = keep_within_budget(
        opened.data_dir / "vectors",
        budget_bytes=int(opened.settings.storage.vector_budget_gb * 1e9),
        live=live,
    )
    gone = [f"{seat.model} {seat.fingerprint[:12]}" for seat in removed]
    gone += remove_unused_models(opened)
    return dg.MaterializeResult(metadata={**vars(upkeep), "removed_models": gone})
