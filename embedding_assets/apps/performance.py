"""The click rate that an app is expected to have, with an interval, and its user segments."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from embedding_assets.apps.candidates import MEAN, Apps, Candidates, Features, Ridge, Setting
from embedding_assets.apps.evaluation import LEVEL, Evaluation
from embedding_assets.apps.expectation import NOBODY, Expectation
from embedding_assets.apps.metadata import Labels
from embedding_assets.apps.model_files import Arrays, read_files, write_files
from embedding_assets.apps.outcomes import AppOutcomes, unit
from embedding_assets.apps.rates import Rows
from embedding_assets.apps.segments import Evidence, Segment
from embedding_assets.apps.validation import judge
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError
from embedding_assets.search.vectors import VectorIndex

PERFORMANCE_CODE = "1"
"""Changes whenever the same outcomes would give another model, or other files."""
FEWEST_APPS = 20
"""With fewer nothing can be judged: the mean is expected, and any rate is in the interval."""
_SEGMENT_APPS = 20
_MANY_APPS = 2_000
_FOLDS, _FOLDS_OF_MANY = 10, 5
_FILES = "performance"


@dataclass(frozen=True)
class Prediction:
    """What is expected of an app.

    rate: its click rate; low, high: the interval around it that holds for `level` of apps; of which
    rate, see PerformanceModel.
    has_signal: whether anything known of apps says more than their mean; without, that is `rate`.
    category_rate: the rate of its category; of all apps where it has none that is known.
    model: what expects it: mean, category, neighbours or ridge.
    segments: of its nearest neighbours, by weight.
    """

    rate: float
    low: float
    high: float
    level: float
    has_signal: bool
    category_rate: float
    model: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class PerformanceModel:
    """What n known apps, all with impressions, let expect of others.

    Expected is the click rate of an app once it was shown about as often as those were, shrunk
    towards its category. The interval is for that shrunk rate. It holds it for `level` of all apps
    that come as those came, not of each category alone. The rate that endless impressions would
    show varies more where the known apps had few, and so does the share of clicks among few.

    app_ids: of the apps in `expectation`; categories, platforms: what its numbers mean.
    """

    app_ids: tuple[str, ...]
    categories: tuple[str, ...]
    platforms: tuple[str, ...]
    expectation: Expectation
    evaluation: Evaluation

    @classmethod
    def fit(cls, outcomes: AppOutcomes, *, seed: int = 0) -> "PerformanceModel":
        """The best of all candidates, or the mean where none is better beyond chance.

        Apps without impressions teach nothing; with none at all, every rate is possible. The
        order of the apps does not matter. Takes time with the square of their number.
        """
        known = outcomes.observed()
        categories, platforms = Labels.of(known.categories), Labels.of(known.platforms)
        codes = (categories.codes.astype(np.int64), platforms.codes.astype(np.int64))
        sizes = (len(categories.values), len(platforms.values))
        features = Features(unit(known.vectors), *codes, *sizes)
        count = len(known.app_ids)
        apps = Apps(features, known.clicks, known.impressions, _folds(count, seed))
        names = (known.app_ids, categories.values, platforms.values)
        if count < FEWEST_APPS:
            expectation = Expectation.learn(apps, Setting(MEAN), np.empty(0))
            return cls(*names, expectation, Evaluation(count))
        verdict = judge(Candidates.of(apps), seed)
        expectation = Expectation.learn(apps, verdict.setting, verdict.residuals)
        return cls(*names, expectation, verdict.evaluation)

    @property
    def has_signal(self) -> bool:
        """Whether anything known of apps says more of their rates than the mean."""
        return self.expectation.setting.family != MEAN

    def predict_many(
        self,
        vectors: Vectors,
        categories: Sequence[str | None],
        platforms: Sequence[str | None],
        known: Sequence[str | None] | None = None,
    ) -> list[Prediction]:
        """What is expected of m apps; unknown categories and platforms are like none.

        vectors: float32 [m, d]. known: the ids of apps that the model may have learnt from, None
        for others: they are predicted by what was learnt without them, as if they were new, and
        are no evidence for themselves.
        Raises InputError when vectors have another dimension than the model or are not finite.
        """
        features = self._features(vectors, categories, platforms)
        ids = known if known is not None else [None] * len(vectors)
        own = np.array([self._row(app_id) for app_id in ids], dtype=np.int64)
        near, cosines = self._near(features.vectors, own)
        rates = self.expectation.rates(features, near, own, LEVEL)
        category_rates = self.expectation.lessons[-1].prior.expected(features.category)
        setting = self.expectation.setting
        return [
            Prediction(
                rate, low, high, LEVEL, self.has_signal, category_rate, setting.family,
                self._segments(rows, scores),
            )
            for (low, rate, high), category_rate, rows, scores in zip(
                rates.tolist(), category_rates.tolist(), near, cosines, strict=True
            )
        ]  # fmt: skip

    def save(self, folder: Path) -> None:
        """Write the model into `folder`, which exists or is made; not atomic by itself."""
        apps, learnt = self.expectation.apps, self.expectation
        about = {
            "format": PERFORMANCE_CODE,
            "app_ids": self.app_ids,
            "categories": self.categories,
            "platforms": self.platforms,
            "setting": learnt.setting,
            "evaluation": asdict(self.evaluation),
        }
        arrays: Arrays = {
            "vectors": apps.features.vectors,
            "category": apps.features.category,
            "platform": apps.features.platform,
            "clicks": apps.clicks,
            "impressions": apps.impressions,
            "folds": apps.folds,
            "coefficients": learnt.ridge.coefficients,
            "intercepts": learnt.ridge.intercepts,
            "residuals": learnt.residuals,
        }
        write_files(folder, _FILES, about, arrays)

    @classmethod
    def load(cls, folder: Path) -> "PerformanceModel":
        """The model that `save` wrote.

        Raises StoreDamagedError when a file is missing, torn or changed, StoreVersionError when it
        was written by another version of the code.
        """
        about, arrays = read_files(folder, _FILES, PERFORMANCE_CODE)
        categories, platforms = tuple(about["categories"]), tuple(about["platforms"])
        codes = (arrays["category"], arrays["platform"])
        features = Features(arrays["vectors"], *codes, len(categories), len(platforms))
        apps = Apps(features, arrays["clicks"], arrays["impressions"], arrays["folds"])
        ridge = Ridge(arrays["coefficients"], arrays["intercepts"])
        setting = Setting(*about["setting"])
        expectation = Expectation(apps, setting, ridge, arrays["residuals"])
        evaluation = Evaluation.from_dict(about["evaluation"])
        return cls(tuple(about["app_ids"]), categories, platforms, expectation, evaluation)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {app_id: row for row, app_id in enumerate(self.app_ids)}

    @cached_property
    def _labels(self) -> tuple[Labels, Labels]:
        return Labels.of(self.categories), Labels.of(self.platforms)

    @cached_property
    def _index(self) -> VectorIndex:
        vectors = self.expectation.apps.features.vectors
        return VectorIndex(vectors, np.zeros(vectors.shape[1], dtype=np.float32))

    @cached_property
    def _evidence(self) -> Evidence:
        apps, prior = self.expectation.apps, self.expectation.lessons[-1].prior
        category, platform = apps.features.category, apps.features.platform
        return Evidence.of(
            self.app_ids,
            [*map((*self.categories, None).__getitem__, category.tolist())],
            [*map((*self.platforms, None).__getitem__, platform.tolist())],
            prior.posterior(apps.clicks, apps.impressions, category),
        )

    def _row(self, app_id: str | None) -> int:
        return NOBODY if app_id is None else self._rows.get(app_id, NOBODY)

    def _features(
        self,
        vectors: Vectors,
        categories: Sequence[str | None],
        platforms: Sequence[str | None],
    ) -> Features:
        wanted = self.expectation.apps.features.vectors.shape[1]
        if self.app_ids and vectors.shape[1:] != (wanted,):
            raise InputError(
                f"Vectors of the shape {vectors.shape} do not fit a model of {wanted} dimensions.",
                "Give vectors of the version that the model was fitted on.",
            )
        if not np.isfinite(vectors).all():
            raise InputError("A vector is not finite.", "Compute it again.")
        codes = (_codes(self._labels[0], categories), _codes(self._labels[1], platforms))
        return Features(unit(vectors), *codes, len(self.categories), len(self.platforms))

    def _near(self, vectors: Vectors, own: Rows) -> tuple[Rows, Vectors]:
        """int64 and float32 [m, k]: the nearest apps other than `own`, best first, with their
        cosines; NOBODY where there are no more."""
        count = max(_SEGMENT_APPS, self.expectation.reach)
        rows = np.full((len(vectors), count), NOBODY)
        cosines = np.zeros((len(vectors), count), dtype=np.float32)
        found = self._index.search_many(vectors, count + 1) if self.app_ids else []
        for at, (near, scores) in enumerate(found):
            others = np.flatnonzero(near != own[at])[:count]
            rows[at, : len(others)] = near[others]
            cosines[at, : len(others)] = scores[others]
        return rows, cosines

    def _segments(self, near: Rows, cosines: Vectors) -> tuple[Segment, ...]:
        count = int((near[:_SEGMENT_APPS] != NOBODY).sum())
        return self._evidence.segments(near[:count], cosines[:count], LEVEL)


def _folds(count: int, seed: int) -> Rows:
    """int64 [n]: a fold for each app, of equal sizes and drawn by chance; NOBODY for too few."""
    if count < FEWEST_APPS:
        return np.full(count, NOBODY, dtype=np.int64)
    folds = _FOLDS if count < _MANY_APPS else _FOLDS_OF_MANY
    return np.random.default_rng(seed).permutation(np.arange(count) % folds)


def _codes(labels: Labels, column: Sequence[str | None]) -> Rows:
    """int64 [n]: the number of each label, NOBODY for one that no app had."""
    numbers = (labels.number(label) for label in column)
    return np.array([NOBODY if each is None else each for each in numbers], dtype=np.int64)
