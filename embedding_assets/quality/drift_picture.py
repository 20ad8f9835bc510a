"""Drift for the eye."""

import io
from collections.abc import Sequence
from typing import Any

_INK, _QUIET, _LOUD = "#334155", "#94a3b8", "#dc2626"
_COLOURS = {"drift": _LOUD, "watch": "#f59e0b", "stable": "#2563eb", "not judged": _QUIET}
_SHORTEST = 1e-4


def picture(rows: Sequence[dict[str, Any]], level: float) -> bytes:
    """The effect of each measure over the windows, and which groups moved in the last: a PNG file.

    rows: of DRIFT_SCHEMA, all windows of some domains.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(f"{row['domain']}, {row['measure']}" for row in rows))
    height = max(2.2, 1.5 * len(names))
    figure = Figure(figsize=(8.6, height), dpi=110, layout="constrained")
    grid = figure.subplots(max(1, len(names)), 2, squeeze=False, width_ratios=(3, 2))
    for name, (history, groups) in zip(names, grid, strict=False):
        own = [row for row in rows if f"{row['domain']}, {row['measure']}" == name]
        own.sort(key=lambda row: row["window_end"])
        _draw_history(history, own, name)
        _draw_groups(groups, own[-1])
    figure.supxlabel(f"drift: p ≤ {level:g} for all looks at a window together", fontsize=8)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _draw_history(axes: Any, rows: Sequence[dict[str, Any]], name: str) -> None:
    judged = [row for row in rows if row["effect"] is not None]
    axes.plot(
        [row["window_end"] for row in judged], [row["effect"] for row in judged],
        color=_QUIET, linewidth=1,
    )  # fmt: skip
    for row in judged:
        axes.plot(row["window_end"], row["effect"], "o", color=_COLOURS[row["verdict"]], ms=4)
    last = rows[-1]
    said = (
        last["reason"] or f"p = {max(last['p_value'], _SHORTEST):.3g}, {last['effect']:.1%} moved"
    )
    axes.set_title(f"{name}: {last['verdict']} ({said})", fontsize=8, color=_INK, loc="left")
    axes.set_ylim(0, max([0.2, *(1.1 * row["effect"] for row in judged)]))
    axes.tick_params(labelsize=7)
    if not judged:
        axes.set_xticks([])


def _draw_groups(axes: Any, row: dict[str, Any]) -> None:
    """Shares before and now; groups go by number, as what they hold may have to be forgotten."""
    groups = row["groups"][:6]
    for place, each in enumerate(groups):
        axes.plot([each["before"], each["now"]], [place, place], color=_QUIET, linewidth=1.5)
        axes.plot(each["before"], place, "o", color=_QUIET, ms=4)
        axes.plot(each["now"], place, "o", color=_LOUD, ms=5)
    axes.set_yticks(range(len(groups)), [f"group {n + 1}" for n in range(len(groups))])
    axes.tick_params(labelsize=7)
    axes.invert_yaxis()
    title = "share before (grey) and now (red)" if groups else "no group moved by itself"
    axes.set_title(title, fontsize=8, color=_INK, loc="left")
    if not groups:
        axes.axis("off")
