"""Similar apps and predicted performance."""

import time
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, JsonValue, StringConstraints

from embedding_assets.api.callers import request_id_of, scope, service_of
from embedding_assets.api.problems import RequestError, problem_of
from embedding_assets.api.schemas import Body
from embedding_assets.api.service import Service
from embedding_assets.api.steering import Participation, steered
from embedding_assets.apps.answers import (
    DEFAULT_TOP,
    NO_APP_FILTERS,
    AppFilters,
    SimilarApp,
    SimilarApps,
    SimilarQuery,
)
from embedding_assets.apps.metadata import AppQuery
from embedding_assets.apps.performance import Prediction
from embedding_assets.errors import EmbeddingAssetsError, InputError, NotFoundError

Label = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Labels = Annotated[list[Label], Field(max_length=100)]
router = APIRouter(tags=["apps"])
_KNOWN: dict[str, JsonValue] = {"app_id": "APP_29786", "k": 10, "filters": {"platform": ["ios"]}}
_NEW: dict[str, JsonValue] = {
    "app": {"name": "Puzzle Quest", "category": "Games", "platform": "android"}
}


class AppFields(Body):
    """What is known of a new app; at least one of them."""

    name: Label | None = None
    category: Label | None = None
    platform: Label | None = None

    @property
    def query(self) -> AppQuery:
        """The same for the core."""
        return AppQuery(self.name, self.category, self.platform)


class FilterFields(Body):
    """For each field that has values, one of them must be the app's; case plays no part."""

    category: Labels = []
    platform: Labels = []


class AppRequest(Body):
    """A known app by its id, or a new one by its metadata. version: of the vectors."""

    app_id: Label | None = None
    app: AppFields | None = None
    version: Label | None = None
    model_config = {"json_schema_extra": {"examples": [{"app_id": "APP_29786"}, _NEW]}}


class SimilarRequest(AppRequest):
    """A question for similar apps.

    unit: the user or session that asks. Where an experiment runs on this endpoint and no version
    is asked for, it chooses the version.
    """

    k: int = Field(DEFAULT_TOP, ge=1, description="At most service.max_k.")
    filters: FilterFields = FilterFields()
    unit: Label | None = None
    model_config = {"json_schema_extra": {"examples": [_KNOWN, _NEW]}}


class SimilarBatch(Body):
    """Several questions."""

    queries: list[SimilarRequest] = Field(min_length=1, description="At most service.max_batch.")
    model_config = {"json_schema_extra": {"examples": [{"queries": [_KNOWN, _NEW]}]}}


class SimilarAnswer(BaseModel):
    """Similar apps, best first.

    placed_by: `known` for an app with a vector, else how its metadata gave one.
    """

    version: str
    index_version: str
    placed_by: str
    experiment: Participation | None
    results: tuple[SimilarApp, ...]
    took_ms: float


class Failure(BaseModel):
    """Why one question of several has no answer: as its problem+json would be."""

    problem: dict[str, str | int]


class BatchAnswer(BaseModel):
    """An answer to each question, or why there is none, in their order."""

    answers: list[SimilarAnswer | Failure]


@router.post("/find-similar", dependencies=[scope("similar")], summary="Similar apps")
async def find_similar(request: Request, wanted: SimilarRequest) -> SimilarAnswer:
    """The apps most similar to a known app, or to a new one by its metadata."""
    service, started = service_of(request), time.perf_counter()
    _require_moderate(service, [wanted])
    unit = None if wanted.version else wanted.unit
    with steered(service, "find-similar", unit) as steering:
        query = _query(service, wanted, steering.setting)
        [found] = await service.run(service.apps().find_similar_many, [query])
        if isinstance(found, NotFoundError | InputError) and steering.routed:
            # The variant has no answer: who asks gets the usual one, and the variant is charged.
            usual = _query(service, wanted, None)
            [found] = await service.run(service.apps().find_similar_many, [usual])
            steering.is_error = not isinstance(found, EmbeddingAssetsError)
        if isinstance(found, EmbeddingAssetsError):
            raise found
        steering.is_empty = not found.results
    return _answer(found, steering.participation, started)


@router.post("/find-similar/batch", dependencies=[scope("similar")], summary="Similar apps of many")
async def find_similar_batch(request: Request, wanted: SimilarBatch) -> BatchAnswer:
    """Answers to several questions, all from one version of the index; one that fails does not
    keep the others from being answered. Experiments choose nothing here."""
    service, started = service_of(request), time.perf_counter()
    _require_moderate(service, wanted.queries)
    answers: list[SimilarAnswer | Failure | None] = [None] * len(wanted.queries)
    queries: dict[int, SimilarQuery] = {}
    for number, each in enumerate(wanted.queries):
        try:
            queries[number] = _query(service, each, None)
        except EmbeddingAssetsError as error:
            answers[number] = Failure(problem=problem_of(error, request_id_of(request)))
    found = await service.run(service.apps().find_similar_many, [*queries.values()])
    for number, one in zip(queries, found, strict=True):
        if isinstance(one, EmbeddingAssetsError):
            answers[number] = Failure(problem=problem_of(one, request_id_of(request)))
        else:
            answers[number] = _answer(one, None, started)
    return BatchAnswer(answers=[answer for answer in answers if answer is not None])


@router.post("/predict", dependencies=[scope("similar")], summary="Predicted performance")
async def predict(request: Request, wanted: AppRequest) -> Prediction:
    """The expected click rate of an app with its interval, and the segments that respond to apps
    like it, each with the apps that show it."""
    service = service_of(request)
    app = wanted.app.query if wanted.app else None
    return await service.run(service.apps().predict, wanted.app_id, wanted.version, app=app)


def _query(service: Service, wanted: SimilarRequest, chosen: str | None) -> SimilarQuery:
    filters = AppFilters(tuple(wanted.filters.category), tuple(wanted.filters.platform))
    return SimilarQuery(
        wanted.app_id,
        wanted.app.query if wanted.app else None,
        wanted.version or chosen or service.settings.apps.versions[0],
        wanted.k,
        filters or NO_APP_FILTERS,
    )


def _answer(
    found: SimilarApps, participation: Participation | None, started: float
) -> SimilarAnswer:
    return SimilarAnswer(
        version=found.version,
        index_version=found.index_version,
        placed_by=found.placed_by,
        experiment=participation,
        results=found.results,
        took_ms=round((time.perf_counter() - started) * 1000, 2),
    )


def _require_moderate(service: Service, queries: Sequence[SimilarRequest]) -> None:
    settings = service.settings.service
    if len(queries) > settings.max_batch:
        raise RequestError(
            f"{len(queries)} queries are too many.", f"Send {settings.max_batch} at most.", 422
        )
    if (k := max(query.k for query in queries)) > settings.max_k:
        raise RequestError(f"{k} results are too many.", f"Ask for {settings.max_k} at most.", 422)
