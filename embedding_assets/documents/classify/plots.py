"""A classifier's figures as pictures: confusion matrix and reliability."""

import io
from typing import TYPE_CHECKING

import numpy as np

from embedding_assets.documents.classify.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_INK = "#334155"
_BLUE = "#2563eb"
_MOST_NAMED = 40
_MOST_NUMBERS = 15


def confusion_png(found: Evaluation) -> bytes:
    """The confusion matrix as a PNG: for each true category, the share of each predicted one."""
    names = [each.category for each in found.categories]
    shares = found.confusion / np.maximum(found.confusion.sum(axis=1, keepdims=True), 1)
    side = min(14.0, 3.5 + 0.32 * len(names))
    figure = _figure(side, side)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    figure.colorbar(image, ax=axes, shrink=0.6, label="share of the true category")
    if len(names) <= _MOST_NAMED:
        axes.set_xticks(range(len(names)), names, rotation=60, ha="right", fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    if len(names) <= _MOST_NUMBERS:
        for (row, column), count in np.ndenumerate(found.confusion):
            colour = "white" if shares[row, column] > 0.5 else _INK
            axes.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    axes.set_xlabel("predicted", fontsize=9, color=_INK)
    axes.set_ylabel("true", fontsize=9, color=_INK)
    axes.set_title(
        f"{found.texts:,} unseen texts, macro-F1 {found.macro_f1:.3f}",
        fontsize=10, color=_INK, loc="left",
    )  # fmt: skip
    return _png(figure)


def reliability_png(found: Evaluation) -> bytes:
    """How probable the best category was held, against how often it was right, as a PNG."""
    figure = _figure(5.2, 5.2)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    confidence = [each.confidence for each in found.bins]
    upper.plot([0, 1], [0, 1], color="#94a3b8", linewidth=1, linestyle="--")
    upper.plot(confidence, [each.accuracy for each in found.bins], "o-", color=_BLUE, markersize=4)
    for axes in (upper, lower):
        axes.axvline(found.threshold, color="#dc2626", linewidth=1.2)
    lower.bar(confidence, [each.texts for each in found.bins], width=0.04, color=_BLUE)
    upper.set_ylabel("share that is right", fontsize=9, color=_INK)
    lower.set_ylabel("texts", fontsize=9, color=_INK)
    lower.set_xlabel("probability of the best category", fontsize=9, color=_INK)
    upper.set_xlim(0, 1)
    upper.set_ylim(0, 1)
    upper.set_title(
        f"ECE {found.ece:.3f}; {found.abstained:.1%} below {found.threshold:.2f} stay undecided",
        fontsize=10, color=_INK, loc="left",
    )  # fmt: skip
    return _png(figure)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _png(figure: "Figure") -> bytes:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()
