"""How a training went, for the eye."""

import io

import numpy as np

from embedding_assets.training.make import Made

_INK = "#334155"
_SMOOTHED = 5


def curve(made: Made) -> bytes:
    """The loss of each step, and what the held-out halves say before and after: a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.4), dpi=110, layout="constrained")
    axes, bars = figure.subplots(1, 2, width_ratios=(3, 2))
    losses = np.array(made.losses)
    if len(losses):
        steps = np.arange(1, len(losses) + 1)
        axes.plot(steps, losses, color="#93c5fd", linewidth=1, label="each step")
        width = min(_SMOOTHED, len(losses))
        mean = np.convolve(losses, np.full(width, 1 / width), "valid")
        axes.plot(steps[width - 1 :], mean, color="#2563eb", label=f"mean of {width}")
        axes.set_xlabel("step", fontsize=9, color=_INK)
        axes.set_ylabel("loss", fontsize=9, color=_INK)
        axes.legend(fontsize=8, frameon=False)
    else:
        axes.text(0.5, 0.5, "distilled, without steps", ha="center", va="center", color=_INK)
        axes.set_axis_off()
    axes.set_title(f"{made.name}: {made.pairs:,} pairs", fontsize=9, color=_INK, loc="left")
    kinds = [kind for kind in made.after if made.held_out[kind]]
    places = np.arange(len(kinds))
    for shift, values, label, colour in (
        (-0.2, made.before, "base", "#94a3b8"),
        (0.2, made.after, made.kind, "#16a34a"),
    ):
        bars.bar(places + shift, [values[kind] for kind in kinds], 0.38, label=label, color=colour)
    names = [f"{kind}\n{made.held_out[kind]} held out" for kind in kinds]
    bars.set_xticks(places, names, fontsize=8, color=_INK)
    bars.set_ylim(0, 1)
    bars.set_title("second half found: MRR", fontsize=9, color=_INK, loc="left")
    bars.legend(fontsize=8, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
