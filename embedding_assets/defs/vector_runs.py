"""What vectors cost and which model version made them: one MLflow run for each materialization."""

from collections.abc import Iterable, Iterator
from typing import Any

import dagster as dg

from embedding_assets.defs.pictures import length_histogram
from embedding_assets.storage.slices import Slice
from embedding_assets.workspace import Workspace

_SUMMED = (
    "texts", "tokens", "reused", "computed", "computed_tokens", "windowed", "truncated_tokens",
    "seconds",
)  # fmt: skip
_MOST_PICTURED = 500


def logged_vectors(
    context: dg.AssetExecutionContext, workspace: Workspace, slices: Iterable[Slice]
) -> Iterator[Slice]:
    """The same slices; what they cost becomes one MLflow run, which the materialization links."""
    version = workspace.model_version
    asset = context.asset_key.path[-1]
    tags = {"dagster_run_id": context.run.run_id}
    with workspace.registry.vector_run(asset, version, _model_settings(workspace), tags) as run:
        context.add_asset_metadata(
            {"model": str(version), "mlflow_run": dg.MetadataValue.url(run.link)}
        )
        table = workspace.table(asset)
        for part in slices:
            yield part
            run.add({name: part.stats[name] for name in _SUMMED if name in part.stats})
            stored = table.footer(part.key)
            run.add({"rows": stored.rows if stored else 0})
        window = workspace.model.window
        context.add_asset_metadata(
            {"text_lengths": length_histogram(table, _keys(context), window)}
        )


def _keys(context: dg.AssetExecutionContext) -> list[str] | None:
    partitioned = context.assets_def.partitions_def is not None
    return sorted(context.partition_keys)[:_MOST_PICTURED] if partitioned else None


def _model_settings(workspace: Workspace) -> dict[str, Any]:
    settings = workspace.settings
    return {
        "precision": workspace.precision.precision,
        "backend": workspace.precision.backend,
        "window": workspace.model.window,
        "history_days": settings.records.history_days,
    }
