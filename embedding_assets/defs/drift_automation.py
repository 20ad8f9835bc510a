"""When drift is looked for: once a day."""

import dagster as dg

from embedding_assets.defs.drift import app_predictions, embedding_drift, model_performance

drift_job = dg.define_asset_job(
    "drift",
    selection=dg.AssetSelection.assets(embedding_drift, app_predictions, model_performance),
    description="Looks for drift of embeddings and scores, and how live models perform.",
)


@dg.schedule(
    job=drift_job, cron_schedule="30 4 * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def daily_drift() -> dg.RunRequest:
    """Nightly, when the days before are complete."""
    return dg.RunRequest()
