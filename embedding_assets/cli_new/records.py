"""The command line: results on standard output, progress and logs on standard error."""

import json
import sys
from dataclasses import asdict, is_dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedding_assets.errors import EmbeddingAssetsError

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

app = typer.Typer(
    name="embedding-assets",
    help="Embeddings of records, documents and apps, kept right.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
quarantine_app = typer.Typer(help="Rows that could not be used.", no_args_is_help=True)
store_app = typer.Typer(help="The data folder.", no_args_is_help=True)
model_app = typer.Typer(help="The model that makes the vectors.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(store_app, name="store")
app.add_typer(model_app, name="model")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


def main() -> None:
    """Run the command line: 0 when all was done, 1 for a named failure, 2 for wrong use."""
    try:
        app()
    except EmbeddingAssetsError as error:
        _fail(error.problem, error.mend)
    except MemoryError:
        _fail("Memory ran out.", "Give the process more memory, then run it again.")


@app.command()
def embed(
    input_path: Annotated[Path, typer.Argument(metavar="INPUT.parquet")],
    output_path: Annotated[Path, typer.Argument(metavar="OUTPUT.parquet")],
    model: Annotated[
        str | None, typer.Option(metavar="NAME_OR_PATH_OR_ARCHIVE", help="Instead of model.name.")
    ] = None,
    history_days: Annotated[
        int | None, typer.Option(min=1, help="Look back this far from each account's last order.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Embed the accounts of one file of order records."""
    settings = _settings()
    from embedding_assets.records.processor import EmbeddingProcessor

    processor = EmbeddingProcessor(
        model or settings.model.name,
        settings.data_dir,
        history_days=history_days,
        precision=settings.model.precision,
        device=settings.model.device,
        threads=settings.model.threads,
        query_memory_mb=settings.storage.query_memory_mb,
    )
    with _Progress("accounts") as progress:
        report = processor.process(
            input_path, output_path, on_start=progress.start, on_progress=progress.advance
        )
    _print(report, _embed_text, as_json)


@app.command()
def plan(as_json: AsJson = False) -> None:
    """Show what a run would do, why, and what it would cost; changes nothing."""
    from embedding_assets.report import plan_text

    workspace = _workspace()
    _print(workspace.plan(), plan_text, as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what is stored, stale, locked and quarantined, and which model is live."""
    from embedding_assets.report import status_of, status_text

    _print(status_of(_workspace()), status_text, as_json)


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
    workspace = _workspace()
    if account is not None:
        found = workspace.similar_accounts(account, top)
    else:
        found = workspace.similar_items(item or "", top)
    _print(found, neighbours_text, as_json)


@app.command()
def settings(as_json: AsJson = False) -> None:
    """Show every setting, its value and its environment variable."""
    from embedding_assets.report import settings_rows, settings_text

    _print(settings_rows(_settings()), settings_text, as_json)


@quarantine_app.command("list")
def quarantine_list(
    limit: Annotated[int, typer.Option(min=1, help="Rows shown.")] = 20, as_json: AsJson = False
) -> None:
    """Show rows that could not be used, with the reason."""
    from embedding_assets.report import quarantine_text

    rows = _workspace().table_rows("quarantined_records").to_pylist()
    _print(rows if as_json else (rows[:limit], len(rows)), quarantine_text, as_json)


@quarantine_app.command("redrive")
def quarantine_redrive(as_json: AsJson = False) -> None:
    """Try all quarantined rows and files again, and make the days fresh that gain by it."""
    from embedding_assets.report import redrive, redrive_text

    _print(redrive(_workspace()), redrive_text, as_json)


@store_app.command("upgrade")
def store_upgrade(as_json: AsJson = False) -> None:
    """Lift the data folder to this release's schema version."""
    from embedding_assets.storage.version import SCHEMA_VERSION, upgrade_store

    passed = upgrade_store(_settings().data_dir)
    result = {"schema_version": SCHEMA_VERSION, "passed": passed}
    _print(result, lambda r: f"Schema version {r['schema_version']}.", as_json)


@store_app.command("publish")
def store_publish(as_json: AsJson = False) -> None:
    """Write warehouse.duckdb anew, for example after the data folder was moved."""
    workspace = _workspace()
    workspace.warehouse.publish()
    _print({"warehouse": str(workspace.warehouse.path)}, lambda r: r["warehouse"], as_json)


@model_app.command("show")
def model_show(as_json: AsJson = False) -> None:
    """Show the configured model, its fingerprint and how its vectors are computed."""
    workspace = _workspace()
    entry: dict[str, Any] = {
        "name": workspace.settings.model.name,
        "fingerprint": workspace.fingerprint,
    }
    entry |= workspace.model_details() | {"live": workspace.live_model()}
    _print(entry, lambda r: "\n".join(f"{k:16} {v}" for k, v in r.items()), as_json)


@model_app.command("switch")
def model_switch(as_json: AsJson = False) -> None:
    """Make the configured model the live one: every day is then stale and embedded anew."""
    workspace = _workspace()
    workspace.switch_model()
    text = "{name} is live; the next run embeds every day anew."
    _print(workspace.live_model(), lambda live: text.format(**live), as_json)


class _Progress:
    """A progress bar on standard error, quiet where nobody looks."""

    def __init__(self, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit=f" {unit}", file=sys.stderr, disable=None, smoothing=0.05)

    def __enter__(self) -> "_Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def start(self, total: int) -> None:
        self._bar.reset(total)

    def advance(self, count: int) -> None:
        self._bar.update(count)


def _settings() -> Any:
    from embedding_assets.logs import configure_logs
    from embedding_assets.memory import require_address_space
    from embedding_assets.settings import load_settings

    require_address_space()  # before anything large is imported
    loaded = load_settings()
    configure_logs(loaded.log.format, loaded.log.level)
    return loaded


def _workspace() -> "Workspace":
    settings = _settings()
    from embedding_assets.workspace import open_workspace

    return open_workspace(settings)


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


def _print(result: Any, as_text: Any, as_json: bool) -> None:
    if as_json:
        plain = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
        typer.echo(json.dumps(plain, default=_plain, indent=2, ensure_ascii=False))
    else:
        typer.echo(as_text(result))


def _plain(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return str(value)


def _fail(problem: str, mend: str) -> None:
    typer.echo(f"error: {problem}\n       {mend}", err=True)
    raise SystemExit(1)


if __name__ == "__main__":
    main()
