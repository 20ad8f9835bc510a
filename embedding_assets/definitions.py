"""The code location: everything in `defs/`, run in one process so that a model is loaded once."""

import dagster as dg

from embedding_assets import defs as package
from embedding_assets.defs import (
    alerting,
    app_automation,
    automation,
    document_automation,
    drift_automation,
    model_automation,
)
from embedding_assets.defs.io_managers import DuckDBIOManager, ParquetIOManager
from embedding_assets.defs.resources import WorkspaceResource

defs = dg.Definitions(
    assets=dg.load_assets_from_package_module(package),
    asset_checks=dg.load_asset_checks_from_package_module(package),
    jobs=[
        automation.records_job,
        automation.quarantine_job,
        automation.maintenance_job,
        document_automation.documents_job,
        document_automation.document_index_job,
        app_automation.apps_job,
        drift_automation.drift_job,
        model_automation.stage_model_job,
        model_automation.evaluate_model_job,
        model_automation.promote_model_job,
        model_automation.release_model_job,
        model_automation.roll_back_model,
    ],
    schedules=[
        automation.daily_records,
        automation.backfill_records,
        automation.daily_maintenance,
        document_automation.daily_documents,
        document_automation.backfill_documents,
        app_automation.daily_apps,
        app_automation.backfill_apps,
        drift_automation.daily_drift,
    ],
    sensors=[
        automation.record_files_changed,
        document_automation.document_files_changed,
        app_automation.app_files_changed,
        alerting.run_failed,
        alerting.runs_killed,
        alerting.checks_failed,
        alerting.assets_not_fresh,
        alerting.data_overdue,
        model_automation.challenger_alias_moved,
    ],
    executor=dg.in_process_executor,
    resources={
        "workspace": WorkspaceResource(),
        "parquet": ParquetIOManager(),
        "duckdb": DuckDBIOManager(),
    },
)
