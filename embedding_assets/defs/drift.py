"""What is watched: whether embeddings and scores drift."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from embedding_assets.alerts import Alert
from embedding_assets.defs.pictures import markdown_picture
from embedding_assets.defs.policy import quality_asset
from embedding_assets.defs.resources import WorkspaceResource
from embedding_assets.quality.drift_picture import picture
from embedding_assets.quality.drift_table import DRIFT_SCHEMA, history, newest
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Slices
from embedding_assets.watch import Watch


@quality_asset(DRIFT_SCHEMA)
def embedding_drift(context: dg.AssetExecutionContext, workspace: WorkspaceResource) -> Slices:
    """Whether the embeddings of accounts, documents, queries and apps of the last days, and the
    scores of answers, come from another distribution than before: p-value, effect, which groups
    moved, and what to do. A domain without data has a row that says so."""
    return Slices(_pictured(context, Watch(workspace.open()), workspace))


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


@dg.asset_check(asset=embedding_drift)
def embedding_drift_stable(
    embedding_drift: ParquetTable, workspace: WorkspaceResource
) -> dg.AssetCheckResult:
    """Nothing has drifted, by tests that are corrected for a look on each day; each drift is told
    of, with what to do."""
    opened = workspace.open()
    rows = newest(embedding_drift)
    moved = [row for row in rows if row["verdict"] == "drift"]
    for row in moved:
        opened.alert(drift_alert(row))
    return dg.AssetCheckResult(
        passed=not moved,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"verdicts": _verdicts(rows), "proposals": _proposals(rows)},
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
