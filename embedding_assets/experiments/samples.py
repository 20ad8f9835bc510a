"""What one variant has shown of one metric."""

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from embedding_assets.experiments.sequences import Arm


@dataclass(frozen=True)
class Sample:
    """Units, and mean and variance (n - 1) of their values.

    nonzero: units whose value is not 0; unknown counts as all of them, of a rate as its hits.
    """

    n: int
    mean: float
    variance: float
    nonzero: int | None = None

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Self:
        """Of one value per unit."""
        array = np.asarray(values, dtype=np.float64)
        variance = float(array.var(ddof=1)) if len(array) > 1 else 0.0
        mean = float(array.mean()) if len(array) else 0.0
        return cls(len(array), mean, variance, int(np.count_nonzero(array)))

    @classmethod
    def of_sums(cls, n: int, total: float, squares: float, nonzero: int | None = None) -> Self:
        """Of running sums of values and of their squares."""
        mean = total / n if n else 0.0
        variance = max(squares - total * mean, 0.0) / (n - 1) if n > 1 else 0.0
        return cls(n, mean, variance, nonzero)

    @classmethod
    def of_rate(cls, n: int, hits: int) -> Self:
        """Of n units of which so many have the value 1, the others 0."""
        return cls.of_sums(n, hits, hits, hits)

    @property
    def arm(self) -> Arm:
        """For the functions of `sequences`."""
        return Arm(np.asarray(float(self.n)), np.asarray(self.mean), np.asarray(self.variance))


def expected_events(control: Sample, variant: Sample, kind: Literal["rate", "mean"]) -> float:
    """How many events the smaller arm holds on average, if both are alike.

    An event is the rarer of hit and miss of a rate; a value other than 0 of a mean.
    """
    units = control.n + variant.n
    events = _nonzero(control, kind) + _nonzero(variant, kind)
    if kind == "rate":
        events = min(events, units - events)
    return events * min(control.n, variant.n) / max(units, 1)


def _nonzero(sample: Sample, kind: Literal["rate", "mean"]) -> int:
    if sample.nonzero is not None:
        return sample.nonzero
    return round(sample.n * sample.mean) if kind == "rate" else sample.n
