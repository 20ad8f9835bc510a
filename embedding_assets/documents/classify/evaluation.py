"""How good probabilities of categories are: hits, calibration, and what abstaining gains."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.classify.labels import Labels

Probabilities: TypeAlias = npt.NDArray[np.float64]
Weights: TypeAlias = npt.NDArray[np.float64]
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
    texts and confusion are counts of the texts that were judged; of a sample, all shares are those
    of the texts that it stands for.
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
        cls,
        names: tuple[str, ...],
        labels: Labels,
        probabilities: Probabilities,
        threshold: float,
        weights: Weights | None = None,
    ) -> "Evaluation":
        """The figures of n >= 1 texts. labels: int64 [n]; probabilities: float64 [n, k].

        weights: float64 [k], for how many texts one of each category stands; 1 by default.
        """
        by_category = np.ones(len(names)) if weights is None else weights
        counts = by_category[labels]
        best = probabilities.argmax(axis=1)
        confidence = probabilities.max(axis=1)
        hits = best == labels
        confusion = np.zeros((len(names), len(names)), dtype=np.int64)
        np.add.at(confusion, (labels, best), 1)
        each = _by_category(names, confusion, by_category)
        decided = confidence >= threshold
        return cls(
            texts=len(labels),
            accuracy=float(np.average(hits, weights=counts)),
            macro_f1=float(np.mean([one.f1 for one in each if one.texts])),
            ece=_calibration_error(confidence, hits, counts),
            threshold=threshold,
            abstained=float(np.average(~decided, weights=counts)),
            accuracy_of_rest=_average(hits[decided], counts[decided]),
            categories=each,
            bins=_bins(confidence, hits, counts),
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


def threshold_for(
    probabilities: Probabilities, share: float, counts: Weights | None = None
) -> float:
    """The probability below which the best one of as many of the texts as can be, but no more than
    `share` of them, lies. counts: float64 [n], what each text counts; the same by default."""
    if not len(probabilities) or share <= 0:
        return 0.0
    best = probabilities.max(axis=1)
    order = np.argsort(best)
    counted = np.ones(len(best)) if counts is None else counts[order]
    below = np.cumsum(counted) - counted
    place = np.searchsorted(below, share * counted.sum(), side="right") - 1
    return float(best[order[place]])


def _average(hits: npt.NDArray[np.bool_], counts: Weights) -> float:
    return float(np.average(hits, weights=counts)) if len(hits) else 0.0


def _by_category(
    names: tuple[str, ...], confusion: npt.NDArray[np.int64], weights: Weights
) -> tuple[CategoryFigures, ...]:
    counts = confusion * weights[:, None]
    hits, texts, given = counts.diagonal(), counts.sum(axis=1), counts.sum(axis=0)
    precision = _ratio(hits, given)
    recall = _ratio(hits, texts)
    f1 = _ratio(2 * hits, texts + given)
    judged = confusion.sum(axis=1)
    columns = (names, precision.tolist(), recall.tolist(), f1.tolist(), judged.tolist())
    return tuple(CategoryFigures(*each) for each in zip(*columns, strict=True))


def _ratio(part: Weights, whole: Weights) -> Weights:
    """Zero where there is nothing."""
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def _places(confidence: Probabilities) -> npt.NDArray[np.int64]:
    """int64 [n]: the part of 0 to 1 in which each probability lies."""
    return np.minimum((confidence * _BINS).astype(np.int64), _BINS - 1)


def _calibration_error(
    confidence: Probabilities, hits: npt.NDArray[np.bool_], counts: Weights
) -> float:
    off = np.bincount(_places(confidence), weights=counts * (confidence - hits))
    return float(np.abs(off).sum() / counts.sum())


def _bins(
    confidence: Probabilities, hits: npt.NDArray[np.bool_], counts: Weights
) -> tuple[Bin, ...]:
    places = _places(confidence)
    found = []
    for number in range(_BINS):
        inside = places == number
        if inside.any():
            mean = float(np.average(confidence[inside], weights=counts[inside]))
            found.append(Bin(int(inside.sum()), mean, _average(hits[inside], counts[inside])))
    return tuple(found)
