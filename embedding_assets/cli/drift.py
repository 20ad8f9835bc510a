"""Is what comes in now like what came before, and do live models do as well as they did?"""

from datetime import date, datetime
from typing import Annotated, Any

import typer

from embedding_assets.cli.output import AsJson, show, workspace

app = typer.Typer()


@app.command()
def drift(
    until: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Last day that is looked at; else today, and yesterday for live models (UTC).",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure now whether embeddings and scores have drifted, which groups moved, and how live
    models perform."""
    opened = workspace()
    from embedding_assets.live import Live
    from embedding_assets.watch import Watch

    last: date | None = until.date() if until else None
    found = {"drift": Watch(opened, last).rows(), "performance": Live(opened, last).rows()}
    show(found, _text, as_json)


def _text(found: dict[str, list[dict[str, Any]]]) -> str:
    return f"{drift_text(found['drift'])}\n\n{performance_text(found['performance'])}"


def performance_text(rows: list[dict[str, Any]]) -> str:
    """The last day of each measure and live model (LIVE_SCHEMA) for people."""
    from embedding_assets.quality.live import newest

    lines = []
    for row in newest(rows):
        name = f"{row['domain']}, {row['measure']}{', ' if row['model'] else ''}{row['model']}"
        shares = [
            "–" if row[key] is None else f"{row[key]:.2%}" for key in ("observed", "expected")
        ]
        said = f" ({row['reason']})" if row["reason"] else ""
        if not row["trials"]:
            lines.append(f"{name}: not judged: {row['reason']}")
            continue
        lines.append(
            f"{name}: {row['verdict']}{said}; on {row['day']} {shares[0]} of {row['trials']:,}, "
            f"expected {shares[1]}"
        )
        if row["proposal"]:
            lines.append(f"    proposed: {row['proposal']}")
    return "\n".join(lines)


def drift_text(rows: list[dict[str, Any]]) -> str:
    """The rows (DRIFT_SCHEMA) for people."""
    from embedding_assets.quality.drift_table import group_text

    first = rows[0]
    lines = [
        f"{first['window_start']} to {first['window_end']} against "
        f"{first['reference_start']} to {first['reference_end']}"
    ]
    for row in rows:
        name = f"{row['domain']}, {row['measure']}"
        if row["p_value"] is None:
            lines.append(f"{name:34} not judged: {row['reason']}")
        else:
            lines.append(
                f"{name:34} {row['verdict']:8} effect {row['effect']:6.1%}  "
                f"p {row['p_value']:.4f}  {row['reference']:,} before, {row['window']:,} now"
            )
        lines += [f"    {group_text(each)}" for each in row["groups"]]
        if row["proposal"]:
            lines.append(f"    proposed: {row['proposal']}")
    return "\n".join(lines)
