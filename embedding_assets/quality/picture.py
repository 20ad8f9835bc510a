"""An evaluation for the eye."""

import io

from embedding_assets.quality.evaluation import Evaluation
from embedding_assets.quality.retrieval import METRICS

_COLOURS = {"keyword": "#94a3b8", "semantic": "#2563eb", "hybrid": "#16a34a"}
_INK = "#334155"


def picture(evaluation: Evaluation) -> bytes:
    """The scores of each mode as bars with their 95 % intervals: a PNG file."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.6, 3.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(evaluation.scores)
    for place, (mode, scores) in enumerate(evaluation.scores.items()):
        bars = [scores[name] for name in METRICS]
        at = [metric + (place + 0.5) * width - 0.4 for metric in range(len(bars))]
        below = [max(0.0, bar.mean - bar.low) for bar in bars]
        above = [max(0.0, bar.high - bar.mean) for bar in bars]
        axes.bar(
            at, [bar.mean for bar in bars], width * 0.92, yerr=[below, above], label=mode,
            color=_COLOURS[mode], error_kw={"ecolor": _INK, "elinewidth": 1, "capsize": 2},
        )  # fmt: skip
    axes.set_xticks(range(len(METRICS)), [*METRICS], fontsize=9, color=_INK)
    axes.set_ylim(0, 1)
    axes.set_title(
        f"{evaluation.collection}: {evaluation.queries:,} queries, "
        f"{evaluation.documents:,} documents; bars with 95 % bootstrap intervals",
        fontsize=9, color=_INK, loc="left",
    )  # fmt: skip
    figure.legend(fontsize=8, frameon=False, ncols=3, loc="outside lower center")
    file = io.BytesIO()
    figure.savefig(file, format="png")
    return file.getvalue()
