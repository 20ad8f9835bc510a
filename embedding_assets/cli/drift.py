"""Is what comes in now like what came before?"""

from datetime import date, datetime
from typing import Annotated, Any

import typer

from embedding_assets.cli.output import AsJson, show, workspace

app = typer.Typer()


@app.command()
def drift(
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Last day of the window; else today (UTC)."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure now whether embeddings and scores have drifted, and show which groups moved."""
    opened = workspace()
    from embedding_assets.watch import Watch

    last: date | None = until.date() if until else None
    show(Watch(opened, last).rows(), drift_text, as_json)


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
