"""Commands around API keys: create, list, revoke."""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from embedding_assets.cli.output import AsJson, open_settings, show

if TYPE_CHECKING:
    from embedding_assets.api.keys import Key, KeyStore

app = typer.Typer(help="Who may call the service.", no_args_is_help=True)
_READING = ("search", "similar", "embed", "documents", "accounts")
_SPAN = re.compile(r"([1-9]\d{0,4})([dh])")


@app.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose key it is.")],
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope",
            metavar="SCOPE",
            help=f"What it may do; may be given several times. Default: {', '.join(_READING)}.",
        ),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="2027-12-31, 2027-12-31T12:00Z, 90d or 12h."),
    ] = None,
    per_minute: Annotated[
        int | None, typer.Option(min=1, help="Requests per minute; default by the settings.")
    ] = None,
    per_day: Annotated[
        int | None, typer.Option(min=1, help="Requests per day; default by the settings.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create a key and show it, this once: only a hash of it is kept."""
    store = _store()
    from embedding_assets.api.keys import NewKey

    until = _moment(expires) if expires else None
    wanted = NewKey(name, frozenset(scopes or _READING), until, per_minute, per_day)
    secret, key = store.create(wanted)
    if as_json:
        show({"key": secret, **key.to_dict()}, str, as_json)
        return
    typer.echo(secret)
    typer.echo(
        f"This is the key {key.id} of {key.name} for {', '.join(sorted(key.scopes))}.\n"
        "It is not shown again. Send it as `Authorization: Bearer KEY` or `X-API-Key: KEY`.",
        err=True,
    )


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """Show every key: its id, name, scopes, limits and state; never the key itself."""
    store = _store(make=False)
    from embedding_assets.database import DatabaseAbsentError

    try:
        keys = store.all()
    except DatabaseAbsentError:
        keys = []
    show([key.to_dict() for key in keys], lambda _: keys_text(keys), as_json)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="ID", help="Its id, or the name of its owner.")],
    as_json: AsJson = False,
) -> None:
    """End a key for good; the service refuses it within seconds."""
    keys = _store(make=False).revoke(key)
    show([each.to_dict() for each in keys], lambda _: keys_text(keys), as_json)


def keys_text(keys: "list[Key]") -> str:
    """A line per key."""
    if not keys:
        return "There is no key. Create one: embedding-assets keys create NAME"
    return "\n".join(
        f"{key.id}  {key.state:<8}{_until(key)}  {key.name}: {', '.join(sorted(key.scopes))}"
        f"{_limits(key)}"
        for key in keys
    )


def _until(key: "Key") -> str:
    return f"  until {key.expires:%Y-%m-%d %H:%M}Z" if key.expires else ""


def _limits(key: "Key") -> str:
    limits = {"minute": key.per_minute, "day": key.per_day}
    return "".join(f", {most:,} a {span}" for span, most in limits.items() if most)


def _store(*, make: bool = True) -> "KeyStore":
    """The keys. make: whether their database is made where there never was one."""
    settings = open_settings()
    from embedding_assets.api.keys import KeyStore
    from embedding_assets.api.service import open_service_engine

    return KeyStore(lambda: open_service_engine(settings, make=make))


def _moment(text: str) -> datetime:
    """When a key expires; without zone it is UTC. Raises typer.BadParameter."""
    if span := _SPAN.fullmatch(text):
        unit = timedelta(days=1) if span[2] == "d" else timedelta(hours=1)
        return datetime.now(UTC) + int(span[1]) * unit
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text!r} is no time: give 2027-12-31, 2027-12-31T12:00Z, 90d or 12h."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
