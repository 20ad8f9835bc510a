"""Similar apps and predicted performance, for known apps and for new ones."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embedding_assets.apps.answers import (
    DEFAULT_TOP,
    DEFAULT_VERSION,
    NO_APP_FILTERS,
    AppFilters,
    SimilarApp,
    SimilarApps,
    SimilarityMetrics,
    SimilarQuery,
)
from embedding_assets.apps.index import AppIndex
from embedding_assets.apps.metadata import AppQuery, shared
from embedding_assets.apps.performance import Prediction
from embedding_assets.apps.places import Asked, Placed, Places, find_asked, vectors_of
from embedding_assets.apps.served import ServedApps
from embedding_assets.apps.usage import Usage
from embedding_assets.embedding.encoder import Encoder
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError
from embedding_assets.search.snapshots import Snapshots
from embedding_assets.search.vectors import Found


class SimilarityService:
    """Answers from the current version of the app index; may be shared between threads.

    A version that is published meanwhile is used from the next question on.
    """

    def __init__(
        self,
        snapshots: Snapshots | Callable[[], Snapshots],
        encoder: Callable[[str], Encoder],
    ) -> None:
        """snapshots: a function is asked before each question, as those of another model may take
        over. encoder: gives the text encoder with a fingerprint, and keeps what it loaded; asked
        whenever a new app is placed by its text."""
        self._served = ServedApps(snapshots)
        self._places = Places(encoder)
        self._usage = Usage()

    def find_similar(
        self,
        app_id: str | None = None,
        version: str = DEFAULT_VERSION,
        k: int = DEFAULT_TOP,
        *,
        app: AppQuery | None = None,
        filters: AppFilters = NO_APP_FILTERS,
    ) -> SimilarApps:
        """The `k` apps most similar to a known app, or to a new one by its metadata, best first;
        fewer when fewer meet `filters`. The app itself is not among them.

        Raises NotFoundError for an unknown app or version, or while nothing is indexed; InputError
        for k below 1, and for metadata that no app shares; AppFilterError (an InputError) for an
        unknown category or platform; ModelChangedError when the text encoder is another one than
        the index was built with.
        """
        [answer] = self.find_similar_many([SimilarQuery(app_id, app, version, k, filters)])
        if isinstance(answer, EmbeddingAssetsError):
            raise answer
        return answer

    def find_similar_many(
        self, queries: Sequence[SimilarQuery]
    ) -> list[SimilarApps | EmbeddingAssetsError]:
        """The answer to each of `queries`, or the error that it alone ran into, in their order;
        all from one version of the index, those with the same filters by one matrix product.

        Raises NotFoundError while nothing is indexed.
        """
        started = time.perf_counter()
        index = self._served.index()
        asked, refused = _asked(index, queries)
        placed, unplaced = self._places.place(asked)
        found, unfiltered = _searched(index, queries, placed)
        errors = refused | unplaced | unfiltered
        answers: list[SimilarApps | EmbeddingAssetsError] = [
            errors[n] if n in errors else _answer(index, query, placed[n], found[n])
            for n, query in enumerate(queries)
        ]
        self._usage.answered(answers, time.perf_counter() - started)
        return answers

    def predict(
        self, app_id: str | None = None, version: str | None = None, *, app: AppQuery | None = None
    ) -> Prediction:
        """The expected click rate of a known app or of a new one, with its interval, and the
        segments of users that respond to apps like it.

        version: of the vectors; the one that predicts best in cross-validation when None.
        Raises what `find_similar` does, and NotFoundError where no performance is known.
        """
        try:
            found = self._predict(app_id, version, app)
        except EmbeddingAssetsError:
            self._usage.failed()
            raise
        self._usage.predicted()
        return found

    def warm_up(self) -> None:
        """Open the newest version and load all that answers need, so that no question waits for it;
        costs next to nothing when that is done.

        Raises NotFoundError while nothing is indexed, StoreDamagedError, ModelChangedError.
        """
        index = self._served.index()
        self._places.warm_up(index)

    def metrics(self) -> SimilarityMetrics:
        """How the service was used since the process started."""
        return self._usage.metrics(self._served)

    @property
    def trouble(self) -> str | None:
        """Why the newest version of the index is not served; None when it is."""
        return self._served.trouble

    @property
    def index(self) -> AppIndex:
        """The version of the index that answers now.

        Raises NotFoundError while nothing is indexed, StoreDamagedError when it cannot be read.
        """
        return self._served.index()

    def _predict(self, app_id: str | None, version: str | None, app: AppQuery | None) -> Prediction:
        index = self._served.index()
        name = version or index.manifest.predicts or DEFAULT_VERSION
        model = vectors_of(index, name).performance
        if model is None:
            raise NotFoundError(
                f"No performance is known of the apps of {name}.",
                "Put historical_performance.csv into apps.source, then materialize "
                "performance_model and app_index.",
            )
        placed, refused = self._places.place(
            {0: find_asked(index, SimilarQuery(app_id, app, name))}
        )
        if refused:
            raise refused[0]
        known = placed[0].asked.app
        [found] = model.predict_many(
            placed[0].vector[None], [known.category], [known.platform], [app_id]
        )
        return found


@dataclass(frozen=True)
class _Kind:
    """What queries have in common that are answered together."""

    version: str
    k: int
    filters: AppFilters


def _asked(
    index: AppIndex, queries: Sequence[SimilarQuery]
) -> tuple[dict[int, Asked], dict[int, EmbeddingAssetsError]]:
    """The app of each query, or why there is none, by number."""
    asked: dict[int, Asked] = {}
    refused: dict[int, EmbeddingAssetsError] = {}
    for number, query in enumerate(queries):
        try:
            asked[number] = find_asked(index, query)
        except EmbeddingAssetsError as error:
            refused[number] = error
    return asked, refused


def _searched(
    index: AppIndex, queries: Sequence[SimilarQuery], placed: dict[int, Placed]
) -> tuple[dict[int, Found], dict[int, EmbeddingAssetsError]]:
    """What is near each placed query, by number; queries of one kind are answered together."""
    kinds: defaultdict[_Kind, list[int]] = defaultdict(list)
    for number in placed:
        query = queries[number]
        kinds[_Kind(query.version, query.k, query.filters)].append(number)
    found: dict[int, Found] = {}
    refused: dict[int, EmbeddingAssetsError] = {}
    for kind, numbers in kinds.items():
        vectors = index.versions[kind.version]
        try:
            # Of all apps, so that a value which none of this version's has is no mistake.
            allowed = kind.filters.mask(index.metadata)
        except EmbeddingAssetsError as error:
            refused |= dict.fromkeys(numbers, error)
            continue
        here = None if allowed is None else allowed[vectors.rows]
        asked = np.stack([placed[number].vector for number in numbers])
        # One more than asked for: the app itself may be the nearest.
        k = min(kind.k, len(vectors.rows)) + 1
        near = vectors.index.search_many(asked, k, here)
        found |= dict(zip(numbers, near, strict=True))
    return found, refused


def _answer(index: AppIndex, query: SimilarQuery, placed: Placed, found: Found) -> SimilarApps:
    rows = index.versions[query.version].rows
    near = [
        (int(rows[place]), float(score))
        for place, score in zip(*found, strict=True)
        if place != placed.asked.place
    ]
    results = tuple(_result(index, placed.asked.app, *each) for each in near[: query.k])
    return SimilarApps(query.version, index.manifest.version, placed.placed_by, results)


def _result(index: AppIndex, asked: AppQuery, row: int, score: float) -> SimilarApp:
    app = index.metadata.app(row)
    rate, impressions = float(index.rates[row]), int(index.impressions[row])
    return SimilarApp(
        app_id=index.ids[row],
        name=app.name,
        category=app.category,
        platform=app.platform,
        score=min(score, 1.0),
        reasons=shared(asked, app),
        rate=None if np.isnan(rate) else rate,
        impressions=None if impressions < 0 else impressions,
    )
