"""The command that answers requests."""

from typing import TYPE_CHECKING, Annotated

import typer

from embedding_assets.cli.output import open_settings

if TYPE_CHECKING:
    from embedding_assets.api.serve import Address
    from embedding_assets.settings import Settings

app = typer.Typer()


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")
    ] = 8000,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
) -> None:
    """Answer for apps, documents, accounts and experiments over HTTP, with a page at /."""
    settings: Settings = open_settings()
    from embedding_assets.api.serve import Address, listen
    from embedding_assets.api.serve import serve as run

    listener, address = listen(Address(host, port))
    typer.echo(f"Serving on {address.url} (docs at {address.url}/docs, Ctrl-C ends it).")
    if not address.is_loopback:
        for line in _warnings(settings, address):
            typer.echo(line, err=True)
    run(settings, listener, address, workers)


def _warnings(settings: "Settings", address: "Address") -> list[str]:
    """What to know of a service that others can reach."""
    service = settings.service
    lines = []
    if service.keys == "never":
        lines.append("note: service.keys is never: whoever reaches this address may use it.")
    else:
        lines += _note_on_keys(settings, address)
    if service.hosts == type(service)().hosts:
        lines.append(
            f"note: requests must name one of the hosts {', '.join(service.hosts)}.\n"
            "      Add the name that others use: EMBEDDING_ASSETS_SERVICE__HOSTS='[\"NAME\"]'"
        )
    return lines


def _note_on_keys(settings: "Settings", address: "Address") -> list[str]:
    """That keys are needed, where there is none; that none can be looked up meanwhile."""
    from embedding_assets.api.keys import KeyStore
    from embedding_assets.api.service import open_service_engine
    from embedding_assets.database import DatabaseUnavailableError

    try:
        if KeyStore(lambda: open_service_engine(settings)).any_exist():
            return []
    except DatabaseUnavailableError as error:
        return [f"note: {error.problem} Until it does, requests are refused.\n      {error.mend}"]
    return [
        f"note: {address.host} can be reached by others, so every request needs an API key, "
        "and there is none yet.\n      Create one: embedding-assets keys create NAME"
    ]
