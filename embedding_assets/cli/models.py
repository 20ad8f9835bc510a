"""Commands around embedding models: which one serves, and how another one takes over."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedding_assets.cli.output import AsJson, show, workspace
from embedding_assets.cli.training import model_train

if TYPE_CHECKING:
    from embedding_assets.release.gate_table import Judgement
    from embedding_assets.release.promote import Switched
    from embedding_assets.release.seats import Seat
    from embedding_assets.release.stage import Staged
    from embedding_assets.release.work import Done, Price

app = typer.Typer(
    help="The model that makes the vectors, and how another one takes over.", no_args_is_help=True
)
app.command("train")(model_train)
_Model = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="Name, folder, archive, models:/NAME/VERSION of the registry, or domain_model for the "
        "one that `model train` made last; empty: the one that is staged already.",
    ),
]


@app.command("status")
def model_status(as_json: AsJson = False) -> None:
    """Show which model serves, which one is tried, what the gates say, and what can be gone back
    to."""
    from embedding_assets.release.status import release_status, release_text

    show(release_status(workspace()), release_text, as_json)


@app.command("stage")
def model_stage(
    model: _Model = None,
    precision: Annotated[str, typer.Option(help="auto, float32 or bfloat16.")] = "auto",
    experiment: Annotated[
        str | None,
        typer.Option(metavar="ID", help="An experiment on live traffic whose decision is a gate."),
    ] = None,
    price_only: Annotated[
        bool, typer.Option("--price", help="Only tell what it would cost.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compute a model's vectors and indexes beside those that serve, the cheapest part first."""
    from embedding_assets.release.stage import look_at, stage, take_seat
    from embedding_assets.release.work import prices

    opened = workspace()
    if price_only:
        show(prices(opened, look_at(opened, model, precision)), _prices_text, as_json)
        return
    challenger = take_seat(opened, model, precision, experiment)
    show(stage(opened, challenger, tell=_tell), _staged_text, as_json)


@app.command("evaluate")
def model_evaluate(as_json: AsJson = False) -> None:
    """Judge the staged model by the gates; 1 when one of them does not let it pass."""
    from embedding_assets.release.promote import evaluate_challenger

    found = evaluate_challenger(workspace())
    show(_judged(found), _judged_text, as_json)
    if found.closed:
        raise typer.Exit(1)


@app.command("promote")
def model_promote(as_json: AsJson = False) -> None:
    """Let the staged model serve; refused unless every gate was judged lately and is open."""
    from embedding_assets.release.promote import promote

    show(promote(workspace()), _switched_text, as_json)


@app.command("rollback")
def model_rollback(as_json: AsJson = False) -> None:
    """Let the model before serve again, at once."""
    from embedding_assets.release.promote import roll_back

    show(roll_back(workspace(), tell=_tell_switch), _switched_text, as_json)


@app.command("drop")
def model_drop(as_json: AsJson = False) -> None:
    """Give up the staged model; what was computed for it goes with the next upkeep."""
    from embedding_assets.release.stage import drop_challenger

    seat = drop_challenger(workspace())
    show(seat, lambda s: f"{s.model} is no longer tried.", as_json)


@app.command("show")
def model_show(as_json: AsJson = False) -> None:
    """Show the model that serves, its fingerprint and how its vectors are computed."""
    opened = workspace()
    entry: dict[str, Any] = {"name": opened.settings.model.name, "fingerprint": opened.fingerprint}
    entry |= opened.model_details() | {"live": opened.live_model()}
    show(entry, lambda r: "\n".join(f"{k:16} {v}" for k, v in r.items()), as_json)


@app.command("switch")
def model_switch(as_json: AsJson = False) -> None:
    """Make the configured model the live one in place, without gates: everything is then stale and
    embedded anew, and there is no way back. For a folder that nobody is served from, and where no
    other model was ever staged."""
    opened = workspace()
    opened.switch_model()
    text = "{name} is live; the next run embeds every day anew."
    show(opened.live_model(), lambda live: text.format(**live), as_json)


def _tell(what: "Price | Done") -> None:
    from embedding_assets.release.work import Price

    text = _price_text(what) if isinstance(what, Price) else _done_text(what)
    sys.stderr.write(text + "\n")


def _tell_switch(champion: "Seat") -> None:
    """Told at once: a registry that does not answer is waited for after that."""
    sys.stderr.write(f"{champion.model} serves; the warehouse and the registry follow.\n")


def _price_text(price: "Price") -> str:
    return (
        f"{price.part}: {price.texts:,} texts to embed, {price.tokens:,} tokens, "
        f"about {price.seconds:,.0f} s"
    )


def _prices_text(prices: "list[Price]") -> str:
    total = sum(price.seconds for price in prices)
    return "\n".join([*map(_price_text, prices), f"in all about {total:,.0f} s on this machine"])


def _done_text(done: "Done") -> str:
    costs = done.costs
    return (
        f"{done.part}: {costs['computed']:,.0f} vectors computed, {costs['reused']:,.0f} reused, "
        f"{costs['seconds']:,.1f} s of encoding"
    )


def _staged_text(staged: "Staged") -> str:
    lines = [
        f"{staged.version} stands beside the model that serves.",
        *map(_done_text, staged.done),
    ]
    return "\n".join(
        [*lines, f"run        {staged.run}", "next       embedding-assets model evaluate"]
    )


def _judged(found: "Judgement") -> dict[str, Any]:
    return {
        "challenger": found.challenger,
        "champion": found.champion,
        "judged_at": found.at,
        "gates": [vars(gate) for gate in found.gates],
        "closed": [gate.name for gate in found.closed],
    }


def _judged_text(found: dict[str, Any]) -> str:
    width = max(len(gate["name"]) for gate in found["gates"])
    lines = [f"{g['name']:{width}}  {g['verdict']:14}  {g['words']}" for g in found["gates"]]
    closed = ", ".join(found["closed"])
    last = (
        f"It may not serve: {closed}." if closed else "It may serve: embedding-assets model promote"
    )
    return "\n".join([*lines, "", last])


def _switched_text(switched: "Switched") -> str:
    lines = [f"{switched.champion.model} serves now, before it {switched.before.model}."]
    lines += [f"Still to follow: {problem}" for problem in switched.pending]
    return "\n".join(lines)
