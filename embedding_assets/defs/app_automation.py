"""When apps are read by themselves: a sensor on their files."""

import dagster as dg

from embedding_assets.defs.apps import app_versions
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import range_tags, unfinished_runs
from embedding_assets.settings import load_settings

apps_job = dg.define_asset_job(
    "apps",
    selection=dg.AssetSelection.groups("apps"),
    description="App tables to vectors, models of performance and the index, all versions in one "
    "run.",
)


@dg.sensor(
    job=apps_job,
    minimum_interval_seconds=load_settings().automation.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def app_files_changed(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.SensorResult | dg.SkipReason:
    """New and changed files of `apps.source`, outcomes among them: one run reads what changed,
    fits the models of performance anew and publishes the index. What did not change costs nothing.
    """
    catalogue = workspace.open().catalogue
    folder = catalogue.files.folder
    if not folder.is_dir():
        return dg.SkipReason(f"The folder of apps, {folder}, does not exist.")
    signature = catalogue.signature()
    if signature == context.cursor:
        return dg.SkipReason("No file of apps has changed.")
    if missing := catalogue.missing():
        return dg.SkipReason(f"Files of apps are missing: {', '.join(map(str, missing))}.")
    if unfinished_runs(context.instance, apps_job.name):
        return dg.SkipReason("Files of apps have changed; an apps run is queued or running.")
    if not catalogue.is_stale():
        return dg.SensorResult(skip_reason="The files hold the same.", cursor=signature)
    # Without a run key: the files may come back to a state for which a run was asked before.
    request = dg.RunRequest(tags=_all_versions())
    return dg.SensorResult(run_requests=[request], cursor=signature)


@dg.schedule(
    job=apps_job, cron_schedule="55 * * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def backfill_apps(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Hourly: one run where files, or what rests on them, are not as they were stored, for example
    after a failed run or a change of the model."""
    catalogue = workspace.open().catalogue
    if not catalogue.files.folder.is_dir():
        return dg.SkipReason(f"The folder of apps, {catalogue.files.folder}, does not exist.")
    if missing := catalogue.missing():
        return dg.SkipReason(f"Files of apps are missing: {', '.join(map(str, missing))}.")
    if unfinished_runs(context.instance, apps_job.name):
        return dg.SkipReason("An apps run is queued or running.")
    if not catalogue.is_stale():
        return dg.SkipReason("Everything of apps is fresh.")
    return dg.RunRequest(tags=_all_versions())


@dg.schedule(
    job=apps_job, cron_schedule="40 0 * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def daily_apps(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Nightly, whatever has changed: one run that finds apps and their index as they should be, so
    that they are known to be fresh; it costs next to nothing where nothing changed."""
    catalogue = workspace.open().catalogue
    if not catalogue.files.folder.is_dir() or catalogue.missing():
        return dg.SkipReason(f"There are no apps in {catalogue.files.folder}.")
    if unfinished_runs(context.instance, apps_job.name):
        return dg.SkipReason("An apps run is queued or running.")
    return dg.RunRequest(tags=_all_versions())


def _all_versions() -> dict[str, str]:
    keys = app_versions.get_partition_keys()
    return range_tags(keys[0], keys[-1])
