"""The command line: results on standard output, progress and logs on standard error."""

import typer

from embedding_assets.cli import (
    apps,
    documents,
    drift,
    experiment_control,
    experiments,
    keys,
    models,
    operations,
    records,
    serve,
)
from embedding_assets.cli.output import fail
from embedding_assets.errors import EmbeddingAssetsError

app = typer.Typer(
    name="embedding-assets",
    help="Embeddings of records, documents and apps, kept right.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(records.app)
app.add_typer(documents.app)
app.add_typer(documents.documents_app, name="documents")
app.add_typer(apps.app, name="apps")
app.add_typer(experiments.app, name="experiment")
experiments.app.add_typer(experiment_control.app)
app.add_typer(serve.app)
app.add_typer(drift.app)
app.add_typer(keys.app, name="keys")
app.add_typer(operations.alerts_app, name="alerts")
app.add_typer(operations.app)
app.add_typer(records.quarantine_app, name="quarantine")
app.add_typer(records.store_app, name="store")
app.add_typer(models.app, name="model")


def main() -> None:
    """Run the command line: 0 when all was done, 1 for a named failure, 2 for wrong use."""
    try:
        app()
    except EmbeddingAssetsError as error:
        fail(error.problem, error.mend)
    except MemoryError:
        fail("Memory ran out.", "Give the process more memory, then run it again.")
