"""How live models perform, for the eye."""

import io
from collections.abc import Sequence
from typing import Any

_INK, _QUIET = "#334155", "#94a3b8"
_COLOURS = {"worse": "#dc2626", "watch": "#f59e0b", "fine": "#2563eb", "not judged": _QUIET}
_MOST = 8


def picture(rows: Sequence[dict[str, Any]]) -> bytes:
    """What was observed of each measure and model by day, and what was expected: a PNG file.

    rows: of LIVE_SCHEMA; those of the last days are shown where there are many.
    """
    from matplotlib.figure import Figure

    names = list(dict.fromkeys((row["domain"], row["measure"], row["model"]) for row in rows))
    names = names[-_MOST:]
    figure = Figure(figsize=(8.6, max(2.2, 1.5 * len(names))), dpi=110, layout="constrained")
    grid = figure.subplots(max(1, len(names)), 1, squeeze=False)[:, 0]
    for name, axes in zip(names, grid, strict=False):
        own = [row for row in rows if (row["domain"], row["measure"], row["model"]) == name]
        own.sort(key=lambda row: row["day"])
        _draw(axes, own)
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()


def _draw(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    seen = [row for row in rows if row["observed"] is not None]
    expected = [row for row in seen if row["expected"] is not None]
    axes.plot(
        [row["day"] for row in expected], [row["expected"] for row in expected],
        color=_QUIET, linewidth=1, linestyle="--", label="expected",
    )  # fmt: skip
    for row in seen:
        axes.plot(row["day"], row["observed"], "o", color=_COLOURS[row["verdict"]], ms=4)
    last = rows[-1]
    model = f", {last['model']}" if last["model"] else ""
    said = f": {last['reason']}" if last["reason"] and not seen else f": {last['verdict']}"
    title = f"{last['domain']}, {last['measure']}{model}{said}"
    axes.set_title(title, fontsize=8, color=_INK, loc="left")
    axes.tick_params(labelsize=7)
    axes.set_ylim(bottom=0)
    if not seen:
        axes.set_xticks([])
        axes.set_yticks([])
