"""When the graph runs by itself: a daily schedule, a backfill of what is missing or stale, and a
sensor on record files."""

import json
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256

import dagster as dg

from embedding_assets.accounts import Accounts
from embedding_assets.defs.maintenance import vector_store
from embedding_assets.defs.records import quarantined_records, record_files
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.defs.runs import range_tags, unfinished_runs
from embedding_assets.records.inventory import Inventory
from embedding_assets.records.source import list_record_files
from embedding_assets.settings import load_settings

_NO_RECORDS = "The source of records, {}, does not exist."
_automation = load_settings().automation

records_job = dg.define_asset_job(
    "records",
    selection=dg.AssetSelection.groups("records"),
    description="Order records to account embeddings, for any days, in one run.",
)

quarantine_job = dg.define_asset_job(
    "quarantine",
    selection=dg.AssetSelection.assets(record_files, quarantined_records),
    description="Looks at the record files again when only rows without a day have changed.",
)

maintenance_job = dg.define_asset_job(
    "maintenance",
    selection=dg.AssetSelection.assets(vector_store),
    description="Merges the segments of the vector store and keeps it within its budget.",
)


@dg.schedule(
    job=records_job, cron_schedule="15 0 * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def daily_records(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Shortly after midnight UTC: yesterday, now complete, and today."""
    opened = workspace.open()
    if not opened.accounts.has_records:
        return dg.SkipReason(_NO_RECORDS.format(opened.accounts.days.source))
    today = context.scheduled_execution_time.astimezone(UTC).date()
    return range_request(max(_first_day(), today - timedelta(days=1)), today)


@dg.schedule(
    job=records_job, cron_schedule="45 * * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def backfill_records(
    context: dg.ScheduleEvaluationContext, workspace: WorkspaceResource
) -> dg.RunRequest | dg.SkipReason:
    """Hourly: one run over all missing and stale days of the last `automation.lookback_days`.

    The run covers the first to the last of them; days in between that are fresh cost nothing.
    Days that a broken file blocks ask for no run.
    """
    if _is_busy(context.instance):
        return dg.SkipReason("A records run is queued or running.")
    opened = workspace.open()
    if not opened.accounts.has_records:
        return dg.SkipReason(_NO_RECORDS.format(opened.accounts.days.source))
    today = context.scheduled_execution_time.astimezone(UTC).date()
    first = today - timedelta(days=opened.settings.automation.lookback_days - 1)
    states = opened.accounts.states()
    due = [state for state in states if state.is_due and state.day >= first]
    wanted = sorted({state.day for state in due})
    if not wanted:
        blocked = {s.day for s in states if s.state == "blocked" and s.day >= first}
        which = f" ({len(blocked)} blocked by unreadable files)" if blocked else ""
        return dg.SkipReason(f"No day since {first} is missing or stale{which}.")
    reasons = sorted({f"{state.asset} {state.state}" for state in due})
    context.log.info(f"{len(wanted)} days to refresh: {', '.join(reasons)}")
    return range_request(wanted[0], wanted[-1])


@dg.schedule(
    job=maintenance_job, cron_schedule="30 3 * * *", execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)  # fmt: skip
def daily_maintenance() -> dg.RunRequest:
    """Nightly: keep the vector store compact and within its budget."""
    return dg.RunRequest()


@dg.sensor(
    jobs=[records_job, quarantine_job],
    minimum_interval_seconds=_automation.sensor_seconds,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def record_files_changed(
    context: dg.SensorEvaluationContext, workspace: WorkspaceResource
) -> dg.SensorResult | dg.SkipReason:
    """New, changed and removed record files make the days they touch, and the later days that look
    back on them, fresh again: in one run, in which days that did not change cost nothing.

    Days that a broken file blocks ask for no run until it is restored, rewritten or deleted.
    """
    accounts = workspace.open().accounts
    if not accounts.has_records:
        return dg.SkipReason(_NO_RECORDS.format(accounts.days.source))
    seen = _signature(accounts)
    if seen == context.cursor:
        return dg.SkipReason("No record file has changed.")
    if _is_busy(context.instance):
        return dg.SkipReason("Record files have changed; a records run is queued or running.")
    requests = requests_for_change(accounts, accounts.stored_inventory, accounts.inventory())
    if not requests:
        return dg.SensorResult(skip_reason="The rows of the files are the same.", cursor=seen)
    return dg.SensorResult(run_requests=requests, cursor=seen)


def requests_for_change(
    accounts: Accounts, before: Inventory, now: Inventory
) -> list[dg.RunRequest]:
    """The runs that a change of the record files asks for: one at the most, without a run key, as
    a folder may come back to a state for which a run was asked before."""
    freed = before.unreadable_days.keys() - now.unreadable_days.keys()
    days = accounts.days
    touched = {day for day in now.changed_days(before) | freed if day in days.range}
    changed = sorted(touched - accounts.blocked(touched, now).days.keys())
    if changed:
        looking_back = changed[-1] + timedelta(days=days.history_days - 1)
        with_records = [day for day in now.days() if changed[-1] <= day <= looking_back]
        last = max([changed[-1], *(day for day in with_records if day in days.range)])
        return [range_request(changed[0], last)]
    if now.digest != before.digest or now.errors != before.errors:
        return [dg.RunRequest(job_name=quarantine_job.name)]
    return []


def range_request(first: date, last: date) -> dg.RunRequest:
    """One run of the records job over all days from `first` to `last`."""
    tags = range_tags(first.isoformat(), last.isoformat())
    return dg.RunRequest(job_name=records_job.name, tags=tags)


def _signature(accounts: Accounts) -> str:
    """Changes whenever a record file appears, goes or changes in content or permissions, and at
    midnight UTC when rows of a future day may have come due."""
    files = list_record_files(accounts.days.source)
    stamps = [(file.name, file.size, file.modified_ns, file.changed_ns) for file in files]
    return sha256(json.dumps([stamps, str(datetime.now(UTC).date())]).encode()).hexdigest()


def _is_busy(instance: dg.DagsterInstance) -> bool:
    return bool(unfinished_runs(instance, records_job.name))


def _first_day() -> date:
    return load_settings().records.start_date
