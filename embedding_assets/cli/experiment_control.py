"""Commands that create, run and decide the service's experiments."""

import getpass
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from embedding_assets.cli.output import AsJson, open_settings, show
from embedding_assets.errors import InputNotFoundError, UnreadableInputError

if TYPE_CHECKING:
    from embedding_assets.experiments.analysis import Analysis
    from embedding_assets.experiments.controller import ABTestController
    from embedding_assets.experiments.plan import Experiment, ExperimentPlan

app = typer.Typer()
Id = Annotated[str, typer.Argument(metavar="ID", help="The experiment's id.")]


@app.command()
def create(
    file: Annotated[Path, typer.Argument(metavar="FILE.json", help="The plan.")],
    as_json: AsJson = False,
) -> None:
    """Keep the plan of an experiment as a draft."""
    controller = _controller()
    show(controller.create(_plan(file)), _line, as_json)


@app.command("list")
def list_experiments(as_json: AsJson = False) -> None:
    """Show every experiment, the newest first."""
    from embedding_assets.database import DatabaseAbsentError

    try:
        experiments = _controller(make=False).experiments()
    except DatabaseAbsentError:
        experiments = []
    show(experiments, _lines, as_json)


@app.command("show")
def show_experiment(id: Id, as_json: AsJson = False) -> None:
    """Show what may be said of an experiment now, and why."""
    show(_controller(make=False).analyse(id), _analysis_text, as_json)


@app.command()
def start(id: Id, as_json: AsJson = False) -> None:
    """Let a draft run."""
    show(_controller().start(id), _line, as_json)


@app.command("raise-share")
def raise_share(
    id: Id,
    share: Annotated[float, typer.Argument(help="Of its layer, or of all units; at most 1.")],
    as_json: AsJson = False,
) -> None:
    """Give a running experiment more units; those that take part stay as they are."""
    show(_controller().raise_share(id, share), _line, as_json)


@app.command()
def stop(id: Id, as_json: AsJson = False) -> None:
    """End a running experiment, to be decided later."""
    show(_controller().stop(id), _line, as_json)


@app.command()
def decide(
    id: Id,
    choose: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="Instead of what is judged.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; needed with --choose.")] = None,
    by: Annotated[str | None, typer.Option(help="Who decides; else the user's name.")] = None,
    as_json: AsJson = False,
) -> None:
    """End an experiment as it is judged, or as a person chooses, and keep why."""
    if (choose is None) != (reason is None):
        raise typer.BadParameter("--choose and --reason belong together.")
    controller = _controller()
    from embedding_assets.experiments.choices import Choice

    choice = None if choose is None else Choice(choose, reason or "")
    show(controller.decide(id, by or getpass.getuser(), choice), _line, as_json)


def _controller(*, make: bool = True) -> "ABTestController":
    """The experiments. make: whether their database is made where there never was one."""
    settings = open_settings()
    from embedding_assets.database import open_engine, sqlite_url
    from embedding_assets.experiments.controller import ABTestController

    url = settings.service.database_url
    if url is not None:
        return ABTestController(open_engine(url.get_secret_value(), make=make))
    file = sqlite_url(settings.data_dir / "service.db")
    return ABTestController(open_engine(file, make=make))


def _plan(file: Path) -> "ExperimentPlan":
    from embedding_assets.experiments.plan import plan_of

    try:
        return plan_of(json.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise InputNotFoundError(f"There is no file {file}.", "Correct the path.") from None
    except (OSError, ValueError) as error:
        raise UnreadableInputError(
            f"{file} is no JSON file: {error}.", "Give a plan as one JSON object."
        ) from error


def _lines(experiments: "list[Experiment]") -> str:
    return "\n".join(map(_line, experiments)) or "There is no experiment."


def _line(experiment: "Experiment") -> str:
    plan = experiment.plan
    weights = " / ".join(f"{variant.name} {variant.weight}" for variant in plan.variants)
    parts = [plan.id, experiment.state, weights, f"{experiment.share:.2%} of {_units(plan)}"]
    if experiment.started is not None:
        parts.append(f"since {experiment.started:%Y-%m-%d %H:%M} UTC")
    if experiment.decision is not None:
        parts.append(f"{experiment.decision.chosen} stays ({experiment.decision.outcome})")
    return "  ".join(parts)


def _units(plan: "ExperimentPlan") -> str:
    return "all units" if plan.layer is None else f"layer {plan.layer}"


def _analysis_text(found: "Analysis") -> str:
    judgement = found.judgement
    winner = f": {judgement.winner}" if judgement.winner else ""
    exposed = ", ".join(f"{name} {units:,}" for name, units in found.exposures.items())
    lines = [
        _line(found.experiment),
        f"units: {exposed}; {found.waiting:,} of them wait for their window to close",
        f"{judgement.decision.replace('_', ' ')}{winner}",
        *(f"  {reason}" for reason in judgement.reasons),
    ]
    decision = found.experiment.decision
    if decision is not None:
        lines += [f"decided by {decision.by} on {decision.at:%Y-%m-%d %H:%M} UTC"]
        lines += [f"  {reason}" for reason in decision.reasons]
    return "\n".join(lines)
