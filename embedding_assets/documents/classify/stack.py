"""How the parts of a classifier are tuned and weighed: by what each says of unseen texts."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from embedding_assets.documents.classify.labels import Labels
from embedding_assets.documents.classify.members import Features, Linear, Scores, log_softmax
from embedding_assets.embedding.workers import usable_cores

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
USUAL_STRENGTH = 10.0
FOLDS = 5
_FOLDS_OF_TUNING = 3
_TUNED_ON = 3_000
_PRIOR = {"vectors": 1.5, "words": 0.3, "names": 0.1}
_PRIOR_WIDTH = 0.5
"""Of the weights, as they come out on data sets of all sizes: what tiny ones start from."""


@dataclass(frozen=True)
class Split:
    """The texts in folds. fold: int64 [n]; -1 for the only text of a category, learnt from always.

    folds: how many, 0 when there are not two categories of which a text can be left out.
    """

    fold: Labels
    folds: int

    @classmethod
    def of(cls, labels: Labels, seed: int, folds: int = FOLDS) -> "Split":
        """Folds in which every category that has two texts or more is spread."""
        generator = np.random.default_rng(seed)
        fold = np.full(len(labels), -1, dtype=np.int64)
        start = spread = 0
        for category in np.unique(labels):
            rows = generator.permutation(np.flatnonzero(labels == category))
            if len(rows) > 1:
                fold[rows] = (start + np.arange(len(rows))) % folds
                start += len(rows)
                spread += 1
        if spread < 2:  # the rest could only be told by what it is not
            return cls(np.full(len(labels), -1, dtype=np.int64), 0)
        numbers, packed = np.unique(fold[fold >= 0], return_inverse=True)
        fold[fold >= 0] = packed
        return cls(fold, len(numbers))

    @property
    def judged(self) -> Labels:
        """The rows that are predicted by what was learnt without them."""
        return np.flatnonzero(self.fold >= 0)


def unseen_scores(features: Features, labels: Labels, split: Split, strength: float) -> Scores:
    """float64 [judged, k]: log-probabilities of each text from what was learnt without it."""
    scores = np.empty((len(labels), int(labels.max()) + 1))

    def one(number: int) -> None:
        out = split.fold == number
        model = Linear.fit(features[~out], labels[~out], strength)
        scores[out] = model.log_probabilities(features[out])

    with single_threaded(), ThreadPoolExecutor(usable_cores()) as pool:
        list(pool.map(one, range(split.folds)))
    return scores[split.judged]


def tuned_strength(features: Features, labels: Labels, seed: int) -> float:
    """The strength whose probabilities of unseen texts are best once they are calibrated.

    Found by going up or down from the usual one for as long as that helps; on a sample where there
    are many texts.
    """
    rows = _sample(labels, seed)
    features, labels = features[rows], labels[rows]
    split = Split.of(labels, seed, _FOLDS_OF_TUNING)
    truth = labels[split.judged]

    def loss(at: int) -> float:
        return calibrated_loss(unseen_scores(features, labels, split, STRENGTHS[at]), truth)

    at = STRENGTHS.index(USUAL_STRENGTH)
    best, down, up = loss(at), loss(at - 1), loss(at + 1)
    step, best = min((0, best), (-1, down), (1, up), key=lambda each: each[1])
    while step and 0 <= at + 2 * step < len(STRENGTHS):
        at += step
        following = loss(at + step)
        if following >= best:
            return STRENGTHS[at]
        best = following
    return STRENGTHS[at + step]


def calibrated_loss(scores: Scores, labels: Labels) -> float:
    """The mean log-loss at the best temperature (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log: _loss(np.exp(log) * scores, labels), bounds=(-3.0, 3.0), method="bounded"
    )
    return float(found.fun)


def stack_weights(members: Mapping[str, Scores], labels: Labels) -> dict[str, float]:
    """How much each member's log-probabilities count, so that unseen texts are most probable.

    The sum of the weights is the inverse of a temperature, so that the result is calibrated. Few
    texts move the weights little from what is usual.
    """
    from scipy.optimize import minimize

    names = [*members]
    stacked = np.array([members[name] for name in names])
    usual = np.array([_PRIOR[name] for name in names])

    def loss(weights: Scores) -> tuple[float, Scores]:
        logs = log_softmax(np.tensordot(weights, stacked, 1))
        rows = np.arange(len(labels))
        away = (weights - usual) / _PRIOR_WIDTH
        expected = (stacked * np.exp(logs)).sum(axis=(1, 2))
        slope = expected - stacked[:, rows, labels].sum(axis=1) + away / _PRIOR_WIDTH
        return float(-logs[rows, labels].sum() + 0.5 * (away**2).sum()), slope

    bounds = [(0.0, None)] * len(names)
    found = minimize(loss, usual, jac=True, method="L-BFGS-B", bounds=bounds)
    return dict(zip(names, map(float, found.x), strict=True))


def usual_weights(names: Sequence[str]) -> dict[str, float]:
    """What the weights are where no text can tell."""
    return {name: _PRIOR[name] for name in names}


def stacked_scores(
    members: Mapping[str, Scores], weights: Mapping[str, float], prior: Scores
) -> Scores:
    """float64 [n, k]: the log-probabilities that the members give together.

    prior: float64 [k], what is added for each category.
    """
    parts = [weights[name] * scores for name, scores in members.items()]
    return log_softmax(sum_of(parts) + prior)


def sum_of(parts: Sequence[Scores]) -> Scores:
    """The sum of arrays of one shape."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total


def single_threaded() -> AbstractContextManager[Any]:
    """BLAS with one thread, so that the folds share the cores and the sums are always the same."""
    from threadpoolctl import threadpool_limits

    limits: AbstractContextManager[Any] = threadpool_limits(1)
    return limits


def _loss(scores: Scores, labels: Labels) -> float:
    return float(-log_softmax(scores)[np.arange(len(labels)), labels].mean())


def _sample(labels: Labels, seed: int) -> Labels:
    """The rows of at most some thousand texts, of each category at least two, if it has two."""
    if len(labels) <= _TUNED_ON:
        return np.arange(len(labels))
    generator = np.random.default_rng(seed)
    share = _TUNED_ON / len(labels)
    kept = []
    for category in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == category))
        kept.append(rows[: max(2, round(share * len(rows)))])
    return np.sort(np.concatenate(kept))
