"""Commands for who operates this: test alerts, metrics for Prometheus."""

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedding_assets.cli.output import AsJson, fail, open_settings, show, workspace

if TYPE_CHECKING:
    from embedding_assets.alerts import Delivery
    from embedding_assets.pipeline_metrics import PipelineCollector

app = typer.Typer()
alerts_app = typer.Typer(help="Who is told when something is wrong.", no_args_is_help=True)


@alerts_app.callback()
def _alerts() -> None:
    """Keeps `alerts test` a command of its own."""


@alerts_app.command("test")
def test_alerts(as_json: AsJson = False) -> None:
    """Send a test alert by every way that is set up, and say what came of each."""
    settings = open_settings()
    from embedding_assets.alerts import Alert, send

    alert = Alert("test", "This is a test", "Nothing is wrong. Alerts reach you.", {}, "info")
    made = send(alert, settings.alerts)
    show(made, deliveries_text, as_json)
    if any(each.state == "failed" for each in made):
        raise SystemExit(1)


@app.command()
def metrics(
    port: Annotated[
        int | None, typer.Option(min=1, max=65_535, help="Serve them on this port until stopped.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    textfile: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write them to a file, for node_exporter's collector."),
    ] = None,
    every: Annotated[
        float, typer.Option(min=1, help="Seconds for which figures are kept between scrapes.")
    ] = 30.0,
) -> None:
    """Print the metrics of the pipelines for Prometheus: what is stored, how old it is, what is
    due, what failed. Those of the service are on its own /metrics."""
    if port is not None and textfile is not None:
        raise typer.BadParameter("Give --port or --textfile, not both.")
    opened = workspace()
    from embedding_assets.pipeline_metrics import PipelineCollector

    collector = PipelineCollector(opened, every)
    if port is not None:
        _serve(collector, host, port)
    elif textfile is not None:
        from embedding_assets.storage.files import published

        with published(textfile) as staged:
            staged.write_bytes(collector.text())
    else:
        typer.echo(collector.text().decode(), nl=False)


def deliveries_text(made: "tuple[Delivery, ...]") -> str:
    """What came of an alert by each way, for people."""
    lines = []
    for each in made:
        lines.append(f"{each.way:<8}{each.state}{f': {each.reason}' if each.reason else ''}")
    return "\n".join(lines)


def _serve(collector: "PipelineCollector", host: str, port: int) -> None:
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(collector)
    ended = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: ended.set())
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        fail(
            f"{host}:{port} cannot be listened on: {error.strerror or error}.",
            "Choose another --port.",
        )
    typer.echo(f"http://{host}:{port}/metrics", err=True)
    ended.wait()
    server.shutdown()
    server.server_close()
    thread.join()
