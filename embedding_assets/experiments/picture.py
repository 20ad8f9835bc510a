"""Simulated experiments for the eye."""

from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.errors import InputError, NotWritableError
from embedding_assets.experiments.scenarios import Simulation
from embedding_assets.experiments.simulate import Simulated

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ALWAYS, _NAIVE, _INK = "#2563eb", "#dc2626", "#334155"
_LIFTED = ("#93c5fd", "#3b82f6", "#1e3a8a", "#0f172a")
_SHOWN = "5 % convert"


def plot(simulation: Simulation, path: Path) -> None:
    """Write a PNG or SVG file: false winners by look on the left, found lifts on the right.

    Raises InputError for another ending, NotWritableError where the file cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    if path.suffix.lower() not in (".png", ".svg"):
        raise InputError(f"'{path}' is neither .png nor .svg.", "Give a name with such an ending.")
    # Text stays text and ids stay the same, so the SVG is small and equal from run to run.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "experiments", "font.size": 9}):
        figure = Figure(figsize=(8.6, 3.4), dpi=110, layout="constrained")
        left, right = figure.subplots(1, 2)
        _false_winners(left, next(one for one in simulation.same if one.scenario.name == _SHOWN))
        lifted = [one for one in simulation.different if one.scenario.name == _SHOWN]
        _found(right, lifted)
        try:
            figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            why = error.strerror or str(error)
            raise NotWritableError(f"'{path}' cannot be written: {why}.", "Name another.") from None


def _false_winners(axes: "Axes", one: Simulated) -> None:
    axes.plot(one.units_by_look, _percent(one.repeated_by_look), color=_NAIVE, label="t-test")
    axes.plot(
        one.units_by_look, _percent(one.always_valid_by_look), color=_ALWAYS, label="always-valid"
    )
    axes.axhline(100 * one.scenario.alpha, color=_INK, linestyle=":", linewidth=1)
    _label(axes, f"Nothing differs, {one.scenario.peeks} looks", "false winners so far, %")


def _found(axes: "Axes", lifted: list[Simulated]) -> None:
    for number, one in enumerate(lifted):
        colour = _LIFTED[number % len(_LIFTED)]
        label = f"lift {100 * one.scenario.lift:+g} %"
        found = _percent(one.always_valid_by_look)
        axes.plot(one.units_by_look, found, color=colour, label=label)
    _label(axes, "One variant is better, always-valid", "winners found so far, %")


def _label(axes: "Axes", title: str, what: str) -> None:
    axes.set_title(title, fontsize=9, color=_INK, loc="left")
    axes.set_xlabel("units", color=_INK)
    axes.set_ylabel(what, color=_INK)
    axes.set_ylim(bottom=0)
    axes.locator_params("x", nbins=5)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def _percent(shares: tuple[float, ...]) -> list[float]:
    return [100 * share for share in shares]
