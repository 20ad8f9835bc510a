"""What known apps let expect of others: a rate and an interval, by one of the candidates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from embedding_assets.apps.candidates import (
    CATEGORY,
    NEIGHBOURS,
    REACH,
    RIDGE,
    Apps,
    Features,
    Lesson,
    Ridge,
    Setting,
    fit_ridge,
    near_rates,
)
from embedding_assets.apps.conformal import cv_plus
from embedding_assets.apps.rates import Rows, Values, from_logit, logit

NOBODY = -1
"""The row of an app that is not among the known ones."""


@dataclass(frozen=True)
class Expectation:
    """One candidate, learnt from n apps once without each fold and once from all.

    ridge: a column for each of these; empty for other candidates. residuals: float64 [n], how far
    the logarithm of the odds of each app was from what was expected without its fold; empty where
    there are no folds.
    """

    apps: Apps
    setting: Setting
    ridge: Ridge
    residuals: Values

    @classmethod
    def learn(cls, apps: Apps, setting: Setting, residuals: Values) -> "Expectation":
        """The candidate with that setting."""
        empty = Ridge(np.empty((0, 0)), np.empty(0))
        expectation = cls(apps, setting, empty, residuals)
        if setting.family != RIDGE:
            return expectation
        design = apps.features.design()
        ridges = [fit_ridge(design, each, [setting.value]) for each in expectation.lessons]
        together = Ridge(
            np.hstack([each.coefficients for each in ridges]),
            np.concatenate([each.intercepts for each in ridges]),
        )
        return cls(apps, setting, together, residuals)

    @cached_property
    def lessons(self) -> tuple[Lesson, ...]:
        """What the apps without each fold teach, then what all teach."""
        folds = range(int(self.apps.folds.max(initial=NOBODY)) + 1)
        return (*(self.apps.learn(fold) for fold in folds), self.apps.learn())

    @property
    def reach(self) -> int:
        """How many of the nearest apps are looked at."""
        return REACH * int(self.setting.value) if self.setting.family == NEIGHBOURS else 0

    def rates(self, features: Features, near: Rows, own: Rows, level: float) -> Values:
        """float64 [m, 3]: the lower bound, the expected rate and the upper bound of each app.

        near: int64 [m, any], rows of the nearest known apps, best first, at least `reach`; own:
        int64 [m], the row of each app itself, so that what was learnt without it is used; NOBODY
        for none.
        """
        expected = self._expected(features, near)
        known = np.flatnonzero(own != NOBODY)
        expected[known] = expected[known, self.apps.folds[own[known]]][:, None]
        centre = expected[:, -1]
        low, high = cv_plus(expected[:, :-1], self.residuals, self.apps.folds, level)
        return from_logit(
            np.stack([np.minimum(low, centre), centre, np.maximum(high, centre)], axis=1)
        )

    def _expected(self, features: Features, near: Rows) -> Values:
        """float64 [m, lessons]: logarithms of the odds."""
        if self.setting.family == RIDGE:
            return self.ridge.expected(features.design())
        columns = [self._rates(lesson, features.category, near) for lesson in self.lessons]
        return logit(np.column_stack(columns))

    def _rates(self, lesson: Lesson, category: Rows, near: Rows) -> Values:
        if self.setting.family == NEIGHBOURS:
            return near_rates(lesson, near, int(self.setting.value))
        if self.setting.family == CATEGORY:
            return lesson.prior.expected(category)
        return np.full(len(category), lesson.prior.overall)
