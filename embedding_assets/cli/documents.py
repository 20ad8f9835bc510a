"""Commands around documents: read, synchronise, search, judge, forget."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from embedding_assets.cli.output import AsJson, open_settings, show, workspace

app = typer.Typer()
documents_app = typer.Typer(help="The documents of the watched folder.", no_args_is_help=True)


@app.command()
def ingest(
    doc_id: Annotated[str, typer.Argument(metavar="DOC_ID", help="The id of a pair.")],
    model: Annotated[
        str | None, typer.Option(metavar="ARCHIVE.tar.gz", help="Instead of model.name.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="Instead of documents.output.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Embed the texts of a pair, each with its pages, and write them to a Parquet file."""
    settings = open_settings()
    from embedding_assets.document_report import ingested_text
    from embedding_assets.ingest import ingest_to_file

    show(ingest_to_file(doc_id, settings, model=model, target=out), ingested_text, as_json)


@app.command()
def parse(
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    password: Annotated[str | None, typer.Option(help="Of an encrypted PDF.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what the parser sees in a file: Markdown, or blocks with pages and boxes as JSON."""
    settings = open_settings()
    from embedding_assets.library import parse_file

    document = parse_file(file, settings, password)
    show(document, lambda parsed: parsed.markdown.rstrip("\n"), as_json)


@app.command()
def entities(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT|FILE", help="A text, or a file; - reads stdin."),
    ],
    as_json: AsJson = False,
) -> None:
    """Show the entities in a text or in a file, found as in documents; nothing is stored."""
    opened = workspace()
    from embedding_assets.entity_report import entities_text

    show(opened.entities.of_text(text), entities_text, as_json)


@app.command()
def search(
    query: Annotated[str, typer.Argument(metavar="QUERY")],
    mode: Annotated[
        str, typer.Option(help="semantic, keyword or hybrid.", metavar="MODE")
    ] = "hybrid",
    filters: Annotated[
        list[str] | None,
        typer.Option("--filter", metavar="FIELD=VALUE", help="Several must all hold."),
    ] = None,
    top: Annotated[int, typer.Option("-k", "--top", min=1, help="How many passages.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Find passages of all documents, by meaning, by words or both, with page and place."""
    opened = workspace()
    from embedding_assets.document_report import hits_text
    from embedding_assets.search.filters import parse_filters

    hits = opened.library.search.search(query, mode, top, parse_filters(filters or []))
    show(hits, hits_text, as_json)


@app.command()
def classify(
    text: Annotated[
        str,
        typer.Argument(metavar="TEXT|FILE", help="A text, or a file; - reads stdin."),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell the category of a text or a file, as documents get theirs."""
    opened = workspace()
    from embedding_assets.category_report import classified_text, text_of

    [said] = opened.categories.classify([text_of(text, opened.settings)])
    show(said, classified_text, as_json)


@app.command()
def evaluate(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A labelled collection.")],
    as_json: AsJson = False,
) -> None:
    """Judge keyword, semantic and hybrid search by labelled queries."""
    opened = workspace()
    from embedding_assets.document_report import evaluation_text
    from embedding_assets.quality.collections import load_collection
    from embedding_assets.quality.evaluation import evaluate as judged

    collection = load_collection(folder)
    result = judged(collection, opened.encoder, opened.vectors)
    show(result.to_dict() if as_json else result, evaluation_text, as_json)


@app.command()
def forget(
    document: Annotated[str | None, typer.Option(metavar="ID", help="A document's id.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="An account's id.")] = None,
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Delete the document's file as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a document or an account disappear from every asset, index, cache and snapshot.

    Sources stay, and are left out from now on. A file with another name is another document.
    """
    from embedding_assets.forget import forget_account, forget_document, receipt_text

    if (document is None) == (account is None):
        raise typer.BadParameter("Give either --document or --account.")
    opened = workspace()
    if document is not None:
        from embedding_assets.defs.document_sync import unregister

        receipt = forget_document(
            opened, document, delete_source=delete_source, unregister=unregister
        )
    else:
        receipt = forget_account(opened, account or "")
    show(receipt, receipt_text, as_json)


@documents_app.command("sync")
def documents_sync(
    register_only: Annotated[
        bool,
        typer.Option("--register-only", help="Register the partitions and print their range."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Do at once what the sensor does: register new, changed and deleted files, and run."""
    opened = workspace()
    from embedding_assets.defs.document_sync import sync, sync_text

    show(sync(opened, register_only=register_only, say=_say), sync_text, as_json)


@documents_app.command("list")
def documents_list(as_json: AsJson = False) -> None:
    """Show every document: its id, state, pages and chunks, and why it is quarantined."""
    opened = workspace()
    from embedding_assets.document_report import listed, listed_text

    show(listed(opened.library), listed_text, as_json)


@documents_app.command("categories")
def documents_categories(as_json: AsJson = False) -> None:
    """Show the category of every document, how probable it is, and how good the classifier is."""
    opened = workspace()
    from embedding_assets.category_report import categories_of, categories_text

    show(categories_of(opened), categories_text, as_json)


@documents_app.command("entities")
def documents_entities(
    doc_id: Annotated[
        str | None, typer.Argument(metavar="DOC_ID", help="Of one document; else of all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show the entities that are stored of documents, with page and place."""
    opened = workspace()
    from embedding_assets.entity_report import entities_text

    show(opened.entities.of_document(doc_id), entities_text, as_json)


@documents_app.command("redrive")
def documents_redrive(as_json: AsJson = False) -> None:
    """Try all quarantined documents again."""
    opened = workspace()
    from embedding_assets.defs.document_sync import redrive, sync_text

    show(redrive(opened, say=_say), sync_text, as_json)


@documents_app.command("versions")
def documents_versions(as_json: AsJson = False) -> None:
    """Show the versions of the index that are kept."""
    opened = workspace()
    from embedding_assets.document_report import versions_text

    show(opened.library.versions(), versions_text, as_json)


@documents_app.command("rollback")
def documents_rollback(as_json: AsJson = False) -> None:
    """Search the version of the index before the current one, until the next is published."""
    opened = workspace()
    from embedding_assets.document_report import versions_text

    show(opened.library.roll_back(), lambda made: versions_text([made]), as_json)


def _say(line: str) -> None:
    typer.echo(line, file=sys.stderr)
