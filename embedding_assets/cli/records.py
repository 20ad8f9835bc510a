"""Commands around records and the data folder."""

from pathlib import Path
from typing import Annotated, Any

import typer

from embedding_assets.cli.output import AsJson, Progress, open_settings, show, workspace

quarantine_app = typer.Typer(help="Rows that could not be used.", no_args_is_help=True)
store_app = typer.Typer(help="The data folder.", no_args_is_help=True)
app = typer.Typer()


@app.command()
def embed(
    input_path: Annotated[Path, typer.Argument(metavar="INPUT.parquet")],
    output_path: Annotated[Path, typer.Argument(metavar="OUTPUT.parquet")],
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME_OR_PATH_OR_ARCHIVE", help="Instead of the one that serves."),
    ] = None,
    history_days: Annotated[
        int | None, typer.Option(min=1, help="Look back this far from each account's last order.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Embed the accounts of one file of order records."""
    given = open_settings()
    from embedding_assets.records.processor import EmbeddingProcessor
    from embedding_assets.workspace import seated

    settings = seated(given)

    processor = EmbeddingProcessor(
        model or settings.model.name,
        settings.data_dir,
        history_days=history_days,
        precision=settings.model.precision,
        device=settings.model.device,
        threads=settings.model.threads,
        query_memory_mb=settings.storage.query_memory_mb,
    )
    with Progress("accounts") as progress:
        report = processor.process(
            input_path, output_path, on_start=progress.start, on_progress=progress.advance
        )
    show(report, _embed_text, as_json)


@app.command()
def plan(as_json: AsJson = False) -> None:
    """Show what a run would do, why, and what it would cost; changes nothing."""
    from embedding_assets.report import plan_text

    opened = workspace()
    show(opened.plan(), plan_text, as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what is stored, stale, locked and quarantined, and which model is live."""
    from embedding_assets.report import status_of, status_text

    show(status_of(workspace()), status_text, as_json)


@app.command()
def similar(
    account: Annotated[str | None, typer.Option(help="An account id.")] = None,
    item: Annotated[str | None, typer.Option(help="An item, or any text.")] = None,
    top: Annotated[int, typer.Option(min=1, help="How many neighbours.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Show the most similar accounts of an account, or the most similar items of any text."""
    from embedding_assets.report import neighbours_text

    if (account is None) == (item is None):
        raise typer.BadParameter("Give either --account or --item.")
    opened = workspace()
    if account is not None:
        found = opened.accounts.similar(account, top)
    else:
        found = opened.accounts.similar_items(item or "", top)
    show(found, neighbours_text, as_json)


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Show every setting, its value and its environment variable."""
    from embedding_assets.report import settings_rows, settings_text

    show(settings_rows(open_settings()), settings_text, as_json)


@quarantine_app.command("list")
def quarantine_list(
    limit: Annotated[int, typer.Option(min=1, help="Rows shown.")] = 20, as_json: AsJson = False
) -> None:
    """Show rows that could not be used, with the reason."""
    from embedding_assets.report import quarantine_text

    rows = workspace().table_rows("quarantined_records").to_pylist()
    show(rows if as_json else (rows[:limit], len(rows)), quarantine_text, as_json)


@quarantine_app.command("redrive")
def quarantine_redrive(as_json: AsJson = False) -> None:
    """Try all quarantined rows and files again, and make the days fresh that gain by it."""
    from embedding_assets.report import redrive, redrive_text

    show(redrive(workspace()), redrive_text, as_json)


@store_app.command("upgrade")
def store_upgrade(as_json: AsJson = False) -> None:
    """Lift the data folder to this release's schema version."""
    from embedding_assets.storage.version import SCHEMA_VERSION, upgrade_store

    passed = upgrade_store(open_settings().data_dir)
    result = {"schema_version": SCHEMA_VERSION, "passed": passed}
    show(result, lambda r: f"Schema version {r['schema_version']}.", as_json)


@store_app.command("publish")
def store_publish(as_json: AsJson = False) -> None:
    """Write warehouse.duckdb anew, for example after the data folder was moved."""
    opened = workspace()
    opened.publish()
    show({"warehouse": str(opened.warehouse.path)}, lambda r: r["warehouse"], as_json)


def _embed_text(report: Any) -> str:
    lines = [
        f"{report.accounts:,} accounts from {report.records:,} records → {report.output}",
        f"{report.computed:,} vectors computed, {report.reused:,} reused; "
        f"{report.tokens:,} tokens, {report.windowed:,} texts longer than the model's window, "
        f"{report.truncated_tokens} tokens cut",
        f"{report.duplicates:,} duplicate records dropped, {report.quarantined:,} quarantined"
        + (f" → {report.quarantine}" if report.quarantine else ""),
    ]
    return "\n".join(lines)
