"""How good probabilities of categories are: hits, calibration, and what abstaining gains."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.classify.labels import Labels

Probabilities: TypeAlias = npt.NDArray[np.float64]
_BINS = 15


@dataclass(frozen=True)
class Bin:
    """Texts whose best probability lies in one part of 0 to 1: how many, the mean of it, and the
    share of them that was right."""

    texts: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class CategoryFigures:
    """How well one category is found among others. texts: how many belong to it."""

    category: str
    precision: float
    recall: float
    f1: float
    texts: int


@dataclass(frozen=True)
class Evaluation:
    """What came of predicting n texts whose category is known.

    macro_f1: the mean of F1 over the categories that occur. ece: expected calibration error over 15
    equal parts of 0 to 1 (Guo et al. 2017). confusion: int64 [k, k], rows are the true categories.
    threshold, abstained, accuracy_of_rest: what leaving the less probable ones undecided gives.
    """

    texts: int
    accuracy: float
    macro_f1: float
    ece: float
    threshold: float
    abstained: float
    accuracy_of_rest: float
    categories: tuple[CategoryFigures, ...]
    bins: tuple[Bin, ...]
    confusion: npt.NDArray[np.int64]

    @classmethod
    def of(
        cls, names: tuple[str, ...], labels: Labels, probabilities: Probabilities, threshold: float
    ) -> "Evaluation":
        """The figures of n >= 1 texts. labels: int64 [n]; probabilities: float64 [n, k]."""
        best = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1)
        hits = best == labels
        confusion = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(confusion, (labels, best), 1)
        each = _by_category(names, confusion)
        bins = _bins(confidence, hits)
        decided = confidence >= threshold
        return cls(
            texts=len(labels),
            accuracy=float(hits.mean()),
            macro_f1=float(np.mean([one.f1 for one in each if one.texts])),
            ece=sum(b.texts * abs(b.confidence - b.accuracy) for b in bins) / len(labels),
            threshold=threshold,
            abstained=float((~decided).mean()),
            accuracy_of_rest=float(hits[decided].mean()) if decided.any() else 0.0,
            categories=each,
            bins=bins,
            confusion=confusion,
        )

    def figures(self) -> dict[str, float]:
        """The numbers by name, for people and for the registry."""
        named = (
            "texts", "accuracy", "macro_f1", "ece", "threshold", "abstained", "accuracy_of_rest",
        )  # fmt: skip
        return {name: round(float(getattr(self, name)), 4) for name in named}

    def to_dict(self) -> dict[str, Any]:
        """All of it for JSON; `from_dict` reads it."""
        return {
            **{name: getattr(self, name) for name in self.figures()},
            "categories": [vars(each) for each in self.categories],
            "bins": [vars(each) for each in self.bins],
            "confusion": self.confusion.tolist(),
        }

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> "Evaluation":
        """What `to_dict` gave."""
        parts = {
            "categories": tuple(CategoryFigures(**each) for each in stored["categories"]),
            "bins": tuple(Bin(**each) for each in stored["bins"]),
            "confusion": np.array(stored["confusion"], dtype=np.int64),
        }
        return cls(**{**stored, **parts})


def threshold_for(probabilities: Probabilities, share: float) -> float:
    """The probability below which the best one of `share` of the texts lies."""
    if not len(probabilities) or share <= 0:
        return 0.0
    return float(np.quantile(probabilities.max(axis=1), share, method="higher"))


def _by_category(
    names: tuple[str, ...], confusion: npt.NDArray[np.int64]
) -> tuple[CategoryFigures, ...]:
    hits = confusion.diagonal()
    texts, given = confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = hits / np.maximum(given, 1), hits / np.maximum(texts, 1)
    f1 = 2 * hits / np.maximum(texts + given, 1)
    columns = (names, precision.tolist(), recall.tolist(), f1.tolist(), texts.tolist())
    return tuple(CategoryFigures(*each) for each in zip(*columns, strict=True))


def _bins(confidence: Probabilities, hits: npt.NDArray[np.bool_]) -> tuple[Bin, ...]:
    place = np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)
    found = []
    for number in range(_BINS):
        inside = place == number
        if inside.any():
            mean, right = float(confidence[inside].mean()), float(hits[inside].mean())
            found.append(Bin(int(inside.sum()), mean, right))
    return tuple(found)
