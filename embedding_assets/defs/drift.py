"""What is watched: whether embeddings and scores drift, and how live models perform."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from embedding_assets.alerts import Alert
from embedding_assets.apps.predictions import PREDICTION_SCHEMA
from embedding_assets.defs.check_states import TOLD_BY
from embedding_assets.defs.pictures import markdown_picture
from embedding_assets.defs.policy import app_asset, quality_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.live import Live
from embedding_assets.quality.drift_picture import picture
from embedding_assets.quality.drift_table import DRIFT_SCHEMA, history, newest
from embedding_assets.quality.live import LIVE_SCHEMA
from embedding_assets.quality.live import newest as newest_days
from embedding_assets.quality.live_picture import picture as live_picture
from embedding_assets.search.query_log import QUERIES, drop_old_queries
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices
from embedding_assets.watch import Watch
from embedding_assets.workspace import Workspace


@quality_asset(DRIFT_SCHEMA)
def embedding_drift(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """Whether the embeddings of accounts, documents, queries and apps of the last days, and the
    scores of answers, come from another distribution than before: p-value, effect, which groups
    moved, and what to do. A domain without data has a row that says so."""
    opened = workspace.open()
    days = opened.settings.drift.query_log_days  # whether or not searches are still kept
    drop_old_queries(opened.table(QUERIES), datetime.now(UTC).date() - timedelta(days=days))
    return Slices(_pictured(context, Watch(opened), workspace))


def _pictured(
    context: dg.AssetExecutionContext, watch: Watch, workspace: WorkspaceResource
) -> Iterator[Slice]:
    """The same slices; what they hold is shown once they are written."""
    yield from watch.slices()
    opened = workspace.open()
    table = opened.table("embedding_drift")
    rows = [row for domain in table.keys() for row in history(table, domain)]
    if rows:
        image = picture(rows, opened.settings.drift.level)
        shown = markdown_picture(image, "Drift over the windows, and the groups that moved")
        context.add_asset_metadata({"picture": shown, "verdicts": _verdicts(newest(table))})


@app_asset(
    PREDICTION_SCHEMA, deps=["app_catalogue", "app_vectors", "app_performance", "performance_model"]
)
def app_predictions(workspace: WorkspaceResource) -> Slices:
    """The click rate that each new model of performance expects of each app, kept with the counts
    of that moment, so that what comes later can be compared with it."""
    return Slices(Live(workspace.open()).prediction_slices())


@quality_asset(LIVE_SCHEMA, deps=[app_predictions])
def model_performance(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slice:
    """What live models achieve by day and version: searches that found nothing, users who clicked,
    click rates of apps against their predictions; each judged by the days before or by what was
    expected. A measure without data has a row that says so."""
    live = Live(workspace.open())
    rows = live.rows()
    shown = markdown_picture(live_picture(rows), "What was observed and expected by day")
    context.add_asset_metadata({"picture": shown, "newest": _standings(newest_days(rows))})
    return live.slice(rows)


@dg.asset_check(asset=model_performance)
def model_performance_not_worse(
    model_performance: ParquetTable, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """No live model does worse on the last complete day than before, or than it said, beyond what
    chance explains over all looks; each that does is told of, with what to do."""
    opened = workspace.open()
    rows = newest_days(model_performance.read().to_pylist())
    worse = [row for row in rows if row["current"] and row["verdict"] == "worse"]
    return _warning(opened, map(performance_alert, worse), {"newest": _standings(rows)})


@dg.asset_check(asset=embedding_drift)
def embedding_drift_stable(
    embedding_drift: ParquetTable, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """Nothing has drifted, by tests that are corrected for a look on each day; each drift is told
    of, with what to do."""
    opened = workspace.open()
    rows = newest(embedding_drift)
    moved = [row for row in rows if row["verdict"] == "drift"]
    shown = {"verdicts": _verdicts(rows), "proposals": _proposals(rows)}
    return _warning(opened, map(drift_alert, moved), shown)


def _warning(
    workspace: Workspace, alerts: Iterable[Alert], metadata: Mapping[str, Any]
) -> dg.AssetCheckResult:
    """Tell of what was found. The result names the ways by which all of it is known, so that
    `checks_failed` tells by the others."""
    found = list(alerts)
    made = [workspace.alert(alert) for alert in found]
    known = [{each.way for each in ways if each.is_known} for ways in made]
    told = sorted(set.intersection(*known)) if known else []
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join(alert.text for alert in found) or None,
        metadata={**metadata, **({TOLD_BY: told} if found else {})},
    )


def drift_alert(row: dict[str, Any]) -> Alert:
    """What people are told of a drift: no texts and no ids, those stand in the table."""
    text = (
        f"{row['measure']} of {row['domain']} from {row['window_start']} to {row['window_end']} "
        f"({row['window']:,}) differ from those before ({row['reference']:,}): effect "
        f"{row['effect']:.1%}, p = {row['p_value']:.4f}. `embedding-assets drift` shows which "
        f"groups moved. Proposed: {row['proposal']}"
    )
    facts = {
        name: row[name] for name in ("domain", "measure", "p_value", "effect", "proposal")
    }  # fmt: skip
    facts["window_end"] = str(row["window_end"])
    title = f"{row['domain'].capitalize()} drift: {row['measure']}"
    return Alert("drift", title, text, facts, "warning")


def performance_alert(row: Mapping[str, Any]) -> Alert:
    """What people are told of a model that does worse."""
    text = (
        f"{row['measure']} of {row['model']} on {row['day']}: {row['observed']:.2%} of "
        f"{row['trials']:,}, expected {row['expected']:.2%} (p = {row['p_value']:.5f}). "
        f"Proposed: {row['proposal']}"
    )
    names = ("domain", "measure", "model", "trials", "observed", "expected", "p_value", "proposal")
    facts = {name: row[name] for name in names} | {"day": str(row["day"])}
    title = f"{row['model']} does worse: {row['measure']} on {row['day']}"
    return Alert("model_performance", title, text, facts, "warning")


def _standings(rows: Sequence[Mapping[str, Any]]) -> dg.MarkdownMetadataValue:
    lines = ["|domain|measure|model|day|observed|expected|of|verdict|", f"|{'---|' * 8}"]
    for row in rows:
        shares = ["" if row[k] is None else f"{row[k]:.2%}" for k in ("observed", "expected")]
        said = f"{row['verdict']}: {row['reason']}" if row["reason"] else row["verdict"]
        values = (row["domain"], row["measure"], row["model"], row["day"], *shares, row["trials"])
        lines.append(f"|{'|'.join(map(str, values))}|{said}|")
    return dg.MetadataValue.md("\n".join(lines))


def _verdicts(rows: list[dict[str, Any]]) -> dg.MarkdownMetadataValue:
    lines = ["|domain|measure|verdict|effect|p|before|now|", "|---|---|---|---|---|---|---|"]
    for row in rows:
        effect = "" if row["effect"] is None else f"{row['effect']:.1%}"
        p_value = row["reason"] if row["p_value"] is None else f"{row['p_value']:.4f}"
        values = (row["domain"], row["measure"], row["verdict"], effect, p_value)
        lines.append(f"|{'|'.join(values)}|{row['reference']}|{row['window']}|")
    return dg.MetadataValue.md("\n".join(lines))


def _proposals(rows: list[dict[str, Any]]) -> dict[str, str]:
    return {
        f"{row['domain']}, {row['measure']}": row["proposal"] for row in rows if row["proposal"]
    }
