"""Drift for the eye."""

import io
from collections.abc import Sequence
from typing import Any

_INK, _QUIET, _LOUD = "#334155", "#94a3b8", "#dc2626"
_COLOURS = {"drift": _LOUD, "watch": "#f59e0b", "stable": "#2563eb", "not judged": _QUIET}


def picture(rows: Sequence[dict[str, Any]], level: float) -> bytes:
    """The effect of each measure over the windows, and which groups moved in the last: a PNG file.

    rows: of DRIFT_SCHEMA, all windows of some domains.
    """
    from matplotlib.figure import Figure

    measures: dict[str, list[dict[str, Any]]] = {}
    for row in sorted(rows, key=lambda row: row["window_end"]):
        measures.setdefault(f"{row['domain']}, {row['measure']}", []).append(row)
    drawn = {n: own for n, own in measures.items() if any(r["effect"] is not None for r in own)}
    unseen = [f"{n}: {own[-1]['reason']}" for n, own in measures.items() if n not in drawn]
    height = max(1.6, 1.5 * len(drawn) + 0.2 * len(unseen))
    figure = Figure(figsize=(8.6, height), dpi=110, layout="constrained")
    if drawn:
        grid = figure.subplots(len(drawn), 2, squeeze=False, width_ratios=(3, 2))
        for (name, own), (history, groups) in zip(drawn.items(), grid, strict=True):
            _draw_history(history, own, name)
            _draw_groups(groups, own[-1])
    if unseen:
        figure.suptitle(
            "\n".join(["not judged", *unseen]), fontsize=8, color=_INK, x=0.02, ha="left"
        )
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
    said = last["reason"] or f"p = {last['p_value']:.3g}, {last['effect']:.1%} moved"
    axes.set_title(f"{name}: {last['verdict']} ({said})", fontsize=8, color=_INK, loc="left")
    axes.set_ylim(0, max([0.2, *(1.1 * row["effect"] for row in judged)]))
    axes.tick_params(labelsize=7)
    if len(judged) == 1:
        axes.set_xticks([judged[0]["window_end"]], [str(judged[0]["window_end"])])


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
