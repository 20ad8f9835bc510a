"""Intervals that hold for what is still unseen, whatever was used to predict it."""

import numpy as np

from embedding_assets.apps.rates import Rows, Values

_VALUES_AT_ONCE = 2_000_000


def cv_plus(centres: Values, residuals: Values, folds: Rows, level: float) -> tuple[Values, Values]:
    """float64 [m] twice: the bounds of intervals that hold `level` of unseen values.

    CV+ (Barber, Candès, Ramdas and Tibshirani 2021, Annals of Statistics 49): the prediction of
    each fold's model, moved by the residuals that it left on the values of its fold. At least
    2 * level - 1 is proven for exchangeable values, about `level` is what is found.
    With too few residuals to say anything, fewer than level / (1 - level), the bounds are infinite.

    centres: float64 [m, k], what the model without each fold predicts. residuals: float64 [n],
    absolute; folds: int64 [n], the fold of each.
    """
    count = len(residuals)
    outside = int((1 - level) * (count + 1) + 1e-9)
    low, high = np.full(len(centres), -np.inf), np.full(len(centres), np.inf)
    if outside < 1:
        return low, high
    step = max(1, _VALUES_AT_ONCE // count)
    for start in range(0, len(centres), step):
        rows = slice(start, start + step)
        moved = centres[rows, folds]
        low[rows] = np.partition(moved - residuals, outside - 1, axis=1)[:, outside - 1]
        high[rows] = np.partition(moved + residuals, count - outside, axis=1)[:, count - outside]
    return low, high
