"""What every command shares: settings, workspace, progress, and how results are printed."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


class Progress:
    """A progress bar on standard error, quiet where nobody looks."""

    def __init__(self, unit: str) -> None:
        from tqdm import tqdm

        self._bar = tqdm(unit=f" {unit}", file=sys.stderr, disable=None, smoothing=0.05)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def start(self, total: int) -> None:
        """Begin anew, with so much to do."""
        self._bar.reset(total)

    def advance(self, count: int) -> None:
        """So much more is done."""
        self._bar.update(count)


def open_settings() -> Any:
    """The settings, with logs set up as they say."""
    from embedding_assets.logs import configure_logs
    from embedding_assets.memory import require_address_space
    from embedding_assets.settings import load_settings

    require_address_space()  # before anything large is imported
    loaded = load_settings()
    configure_logs(loaded.log.format, loaded.log.level)
    return loaded


def workspace() -> "Workspace":
    """The workspace of the settings."""
    settings = open_settings()
    from embedding_assets.workspace import open_workspace

    return open_workspace(settings)


def show(result: Any, as_text: Callable[[Any], str], as_json: bool) -> None:
    """Print a result on standard output: for people, or as JSON."""
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


def fail(problem: str, mend: str) -> None:
    """End with exit code 1 and a named failure."""
    typer.echo(f"error: {problem}\n       {mend}", err=True)
    raise SystemExit(1)
