"""Commands around experiments: judge one that ran elsewhere, show that the method holds."""

from pathlib import Path
from typing import Annotated

import typer

from embedding_assets.cli.output import AsJson, open_settings, show

app = typer.Typer(help="Experiments: which variant is better?", no_args_is_help=True)


@app.command()
def analyse(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv")],
    unit: Annotated[str, typer.Option(metavar="COLUMN", help="Whom a variant was shown.")],
    variant: Annotated[str, typer.Option(metavar="COLUMN", help="Which variant it was.")],
    metric: Annotated[
        str, typer.Option(metavar="COLUMN", help="A number; rows of one unit are summed.")
    ],
    control: Annotated[
        str | None, typer.Option(metavar="VARIANT", help="Compared with; else 'control' or first.")
    ] = None,
    covariate: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A number from before the experiment.")
    ] = None,
    time: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Orders the units; else the file does.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="A=70,B=30", help="The planned split; else equal.")
    ] = None,
    lower_is_better: Annotated[bool, typer.Option("--lower-is-better")] = False,
    as_json: AsJson = False,
) -> None:
    """Judge an experiment that ran elsewhere: counts, interval, sample ratio, decision."""
    open_settings()
    from embedding_assets.experiments.offline import Setup
    from embedding_assets.experiments.offline import analyse as analyse_file
    from embedding_assets.experiments.report import analysis_text
    from embedding_assets.experiments.units import Columns

    columns = Columns(unit, variant, metric, covariate, time)
    setup = Setup(control, _weights(weights), lower_is_better)
    show(analyse_file(file, columns, setup), analysis_text, as_json)


@app.command()
def simulate(
    experiments: Annotated[int, typer.Option(min=1, max=10_000, help="Of each kind.")] = 1_000,
    lift: Annotated[
        float | None, typer.Option(min=-0.99, max=10, help="0.1 is 10 %; else 10, 20 and 30 %.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw it as PNG or SVG.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how often experiments find a winner, rightly and falsely, when peeked at."""
    open_settings()
    from embedding_assets.experiments import picture
    from embedding_assets.experiments.report import simulation_text
    from embedding_assets.experiments.scenarios import LIFTS, simulate_all

    simulation = simulate_all(experiments, LIFTS if lift is None else (lift,))
    if plot is not None:
        picture.plot(simulation, plot)
    show(simulation, simulation_text, as_json)


def _weights(text: str | None) -> dict[str, int] | None:
    """Whole numbers by variant: "control=70,v2=30"."""
    if text is None:
        return None
    pairs = [part.rpartition("=") for part in text.split(",")]
    if not all(name.strip() and number.strip().isdecimal() for name, _, number in pairs):
        raise typer.BadParameter(f"{text!r} is not of the form A=70,B=30.", param_hint="--weights")
    return {name.strip(): int(number) for name, _, number in pairs}
