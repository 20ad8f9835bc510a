"""How well the click rates of unseen apps are expected: nested cross-validation and its figures."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np

from embedding_assets.apps.candidates import (
    MEAN,
    NEIGHBOURS,
    SETTINGS,
    Apps,
    Candidates,
    Setting,
)
from embedding_assets.apps.conformal import cv_plus
from embedding_assets.apps.evaluation import ALPHA, BEST, LEVEL, Evaluation, Score
from embedding_assets.apps.rates import Rows, Values, from_logit, log_loss, logit

_FLIPS = 4_999
_ROUNDING = 1e-9
_FLIPPED_AT_ONCE = 4_000_000
_MEAN = SETTINGS.index(Setting(MEAN))


@dataclass(frozen=True)
class Verdict:
    """The setting to use, and why.

    residuals: float64 [n], how far the logarithm of the odds of each app's rate was from what was
    expected by that setting without the app's fold; not below the margin of Trials.
    """

    setting: Setting
    residuals: Values
    evaluation: Evaluation


@dataclass(frozen=True)
class Trials:
    """What models that had not seen an app expected of it, for n apps in k folds.

    The entry [i, g] is of the model that saw neither the fold of app i nor fold g; where g is the
    fold of the app itself, only that one is left out.
    expected: float64 [n, k, settings], logarithms of the odds. targets: float64 [n, k], those of
    the shrunk rates, by what the model's apps let expect, so that no app shapes its own target
    beyond its own clicks. losses: float64 [n, k, settings], log loss of the clicks.
    """

    folds: Rows
    expected: Values
    targets: Values
    losses: Values
    margin: float

    @classmethod
    def of(cls, candidates: Candidates) -> "Trials":
        """All trials: k (k + 1) / 2 models for each setting."""
        folds = candidates.apps.folds
        count = int(folds.max()) + 1
        shape = (len(folds), count)
        expected, losses = np.empty((*shape, len(SETTINGS))), np.empty((*shape, len(SETTINGS)))
        margin = candidates.apps.learn().prior.margin(candidates.apps.impressions, LEVEL)
        trials = cls(folds, expected, np.empty(shape), losses, margin)
        for pair in combinations_with_replacement(range(count), 2):
            trials._try(candidates, pair)
        return trials

    def _try(self, candidates: Candidates, pair: tuple[int, int]) -> None:
        apps = candidates.apps
        lesson = apps.learn(*pair)
        rows = np.flatnonzero(np.isin(self.folds, pair))
        other = sum(pair) - self.folds[rows]
        expected = candidates.expect(lesson, rows)
        self.expected[rows, other] = expected
        self.targets[rows, other] = logit(lesson.rates[rows])
        self.losses[rows, other] = log_loss(
            apps.clicks[rows, None],
            apps.impressions[rows, None],
            from_logit(expected),
            np.array(lesson.prior.overall_concentration),
        )

    @property
    def own(self) -> tuple[Rows, Rows]:
        """Where the entries stand that leave out an app's own fold alone."""
        return np.arange(len(self.folds)), self.folds

    def overall(self, among: Iterable[int]) -> int:
        """The setting with the least loss over all apps."""
        return self._least(self.losses[self.own], among)

    def inner(self, among: Iterable[int]) -> Rows:
        """int64 [k]: the setting with the least loss over the apps of the other folds, by models
        that had not seen the fold either."""
        chosen = [
            self._least(self.losses[self.folds != fold, fold], among)
            for fold in range(self.targets.shape[1])
        ]
        return np.array(chosen)

    def residuals(self, setting: int) -> Values:
        """float64 [n]: how far each app was from what was expected without its fold."""
        return self._residuals(setting)[self.own]

    def covered(self, chosen: Rows) -> Iterator[tuple[Values, Values, Values]]:
        """By fold: targets of its apps, and the bounds of the intervals that were made without it,
        with the setting chosen for it."""
        for fold, setting in enumerate(chosen.tolist()):
            held, others = self.folds == fold, self.folds != fold
            residuals = self._residuals(setting)[others, fold]
            low, high = cv_plus(
                self.expected[held, :, setting], residuals, self.folds[others], LEVEL
            )
            yield self.targets[held, fold], low, high

    def _residuals(self, setting: int) -> Values:
        return np.maximum(np.abs(self.targets - self.expected[..., setting]), self.margin)

    @staticmethod
    def _least(losses: Values, among: Iterable[int]) -> int:
        return min(among, key=lambda setting: float(losses[:, setting].mean()))


def judge(candidates: Candidates, seed: int) -> Verdict:
    """Whether anything is better than the mean of all apps, what is best, and by how much.

    The best candidate is used where it beats the mean in a one-sided paired test over apps at the
    risk ALPHA; on their clicks, for a shrunk rate leans by itself on what is expected of it. Where
    rates differ no more than chance lets them, there is nothing to be found.
    """
    trials = Trials.of(candidates)
    every = range(len(SETTINGS))
    chosen = {BEST: trials.inner(every)} | {
        family: trials.inner([number for number in every if SETTINGS[number].family == family])
        for family in dict.fromkeys(each.family for each in SETTINGS)
    }
    gains = {
        family: _loss(trials, chosen[family]) - _loss(trials, chosen[BEST]) for family in chosen
    }
    p_value = paired_p_value(gains[MEAN], seed)
    found = p_value <= ALPHA and _differ(candidates.apps)
    setting = trials.overall(every) if found else _MEAN
    coverage, width = _intervals(trials, chosen[MEAN if setting == _MEAN else BEST])
    evaluation = Evaluation(
        apps=len(trials.folds),
        folds=trials.targets.shape[1],
        scores={name: _score(trials, settings) for name, settings in chosen.items()},
        p_value=p_value,
        p_value_neighbours=paired_p_value(gains[NEIGHBOURS], seed),
        rank_correlation=_rank_correlation(
            _expected(trials, chosen[BEST]), trials.targets[trials.own]
        ),
        coverage=coverage,
        width=width,
    )
    return Verdict(SETTINGS[setting], trials.residuals(setting), evaluation)


def paired_p_value(gains: Values, seed: int) -> float:
    """The chance of a mean gain as large as this one, were each app's gain as likely a loss.

    One-sided sign-flip permutation test over apps (Fisher 1935); gains: float64 [n].
    """
    chance = np.random.default_rng(seed)
    step = max(1, _FLIPPED_AT_ONCE // len(gains))
    reached = 0
    for start in range(0, _FLIPS, step):
        count = min(step, _FLIPS - start)
        signs = chance.integers(0, 2, size=(count, len(gains)), dtype=np.int8)
        flipped = 2 * (signs.astype(np.float64) @ gains) - gains.sum()
        reached += int((flipped >= gains.sum() - _ROUNDING).sum())
    return (reached + 1) / (_FLIPS + 1)


def _differ(apps: Apps) -> bool:
    return apps.learn().prior.overall_concentration < float(apps.impressions.sum())


def _expected(trials: Trials, chosen: Rows) -> Values:
    return trials.expected[(*trials.own, chosen[trials.folds])]


def _loss(trials: Trials, chosen: Rows) -> Values:
    return trials.losses[(*trials.own, chosen[trials.folds])]


def _score(trials: Trials, chosen: Rows) -> Score:
    off = from_logit(_expected(trials, chosen)) - from_logit(trials.targets[trials.own])
    return Score(
        float(np.sqrt((off**2).mean())),
        float(np.abs(off).mean()),
        float(_loss(trials, chosen).mean()),
    )


def _intervals(trials: Trials, chosen: Rows) -> tuple[float, float]:
    targets, low, high = (
        np.concatenate(each) for each in zip(*trials.covered(chosen), strict=True)
    )
    inside = (targets >= low - _ROUNDING) & (targets <= high + _ROUNDING)
    return float(inside.mean()), float((from_logit(high) - from_logit(low)).mean())


def _rank_correlation(one: Values, other: Values) -> float | None:
    """None where either is constant."""
    from scipy.stats import rankdata

    ranks = np.stack([rankdata(one), rankdata(other)])
    if (np.ptp(ranks, axis=1) == 0).any():
        return None
    return float(np.corrcoef(ranks)[0, 1])
