"""What the assets of a group have in common."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import dagster as dg
import pyarrow as pa

from embedding_assets.defs.retries import retried
from embedding_assets.settings import load_settings

_WARN_SHARE = 0.75
_hours = load_settings().alerts.stale_hours
DAILY = dg.FreshnessPolicy.time_window(
    fail_window=timedelta(hours=_hours), warn_window=timedelta(hours=_hours * _WARN_SHARE)
)
"""For assets that a schedule has made, or found unchanged, each night; `assets_not_fresh` tells of
those that were not. An asset that was never made is not late."""


def record_asset(
    schema: pa.Schema, store: str, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of the records group: its store, its columns, one run for many partitions; looked
    through each night."""
    return _asset("records", schema, store, freshness_policy=DAILY, **options)


def document_asset(
    schema: pa.Schema, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of the documents group, kept as Parquet: its columns, one run for many documents."""
    return _asset("documents", schema, "parquet", **options)


def app_asset(
    schema: pa.Schema, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of the apps group, kept as Parquet: its columns, one run for many versions; looked
    through each night."""
    return _asset("apps", schema, "parquet", freshness_policy=DAILY, **options)


def quality_asset(
    schema: pa.Schema, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """An asset of the quality group, kept as Parquet: its columns; made each night."""
    return _asset("quality", schema, "parquet", freshness_policy=DAILY, **options)


def _asset(
    group: str, schema: pa.Schema, store: str, **options: Any
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    def decorator(function: Callable[..., Any]) -> dg.AssetsDefinition:
        return made(retried(function))

    made: Callable[[Callable[..., Any]], dg.AssetsDefinition] = dg.asset(
        group_name=group,
        io_manager_key=store,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={store, *options.pop("kinds", ())},
        metadata={"dagster/column_schema": columns(schema), **options.pop("metadata", {})},
        **options,
    )
    return decorator


def columns(schema: pa.Schema) -> dg.TableSchema:
    """The columns as Dagster shows them."""
    names = {"embedding_0": "embedding_0 … embedding_N"}
    kinds = {"embedding": "list<float>[N]"}
    return dg.TableSchema(
        [dg.TableColumn(names.get(f.name, f.name), kinds.get(f.name, str(f.type))) for f in schema]
    )
