"""Passages of documents that answer a query."""

import math
import time
from dataclasses import asdict, dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi import Query as QueryParameter
from pydantic import BaseModel, Field, StringConstraints

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.problems import RequestError
from embedding_assets.api.schemas import Body
from embedding_assets.api.service import Service
from embedding_assets.api.steering import Participation, Steering, steered
from embedding_assets.documents.document import Box
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError
from embedding_assets.experiments.plan import CHALLENGER, MODELS
from embedding_assets.search.documents import Answer, DocumentSearch, Hit, Mode, QueryVectors
from embedding_assets.search.facets import MOST, Facets, facets_of_hits
from embedding_assets.search.filters import Filters, parse_filters
from embedding_assets.search.highlight import find_highlights, query_terms
from embedding_assets.search.query_log import Asked
from embedding_assets.search.serving import Served

Query = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Condition = Annotated[str, StringConstraints(min_length=1, max_length=5_000)]
Unit = Annotated[str, StringConstraints(min_length=1, max_length=200)]
router = APIRouter(tags=["search"])


class SearchRequest(Body):
    """What to look for, and where."""

    query: Query
    mode: Mode | None = Field(
        None,
        description="Empty: hybrid, or what an experiment chooses for the unit. A mode that is "
        "given is used, and the request takes part in no experiment.",
    )
    k: int = Field(10, ge=1, strict=True, description="Most results; at most service.max_k.")
    filters: list[Condition] = Field(
        [],
        max_length=32,
        description="As `document=reports/*.pdf`, `page=3..5`, `format=pdf`, `title=*`, "
        "`category=law`, `entity=acme`, `entity=org:*`, `date>=2026-01-01`: different fields must "
        "all hold, of a repeated one any value.",
    )
    facets: bool = Field(
        False, strict=True, description="Count the categories and entities of the results."
    )
    unit: Unit | None = Field(
        None, description="The user or session, so that experiments serve it the same way again."
    )
    model_config = {
        "json_schema_extra": {
            "examples": [
                {"query": "how are late fees charged", "k": 3, "filters": ["format=pdf"]},
                {"query": "APP_29786", "mode": "keyword", "unit": "session-1"},
            ]
        }
    }


class BoxOnPage(BaseModel):
    """A rectangle in points from the top left corner of the page as it is shown."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


class NamedEntity(BaseModel):
    """Something that is named in a passage, and what kind of thing it is."""

    label: str
    text: str


class SearchResult(BaseModel):
    """A passage. category: of its document, null where nothing is said.

    highlights: ranges [start, end) of `text` in Unicode code points. image: the first page it
    stands on, with its boxes marked; null where its document is no PDF.
    """

    text: str
    highlights: list[tuple[int, int]]
    score: float
    doc_id: str
    path: str
    title: str | None
    pages: list[int]
    boxes: list[BoxOnPage]
    heading_path: list[str]
    chunk_id: str
    kind: str
    image: str | None
    category: str | None
    entities: list[NamedEntity]


class CategoryFound(BaseModel):
    """A category. count: of documents."""

    category: str
    count: int


class LabelFound(BaseModel):
    """A kind of entities. count: of passages."""

    label: str
    count: int


class EntityFound(BaseModel):
    """An entity. count: of passages."""

    label: str
    text: str
    count: int


class FacetsFound(BaseModel):
    """What occurs in some passages of some documents, the most frequent first."""

    passages: int
    documents: int
    categories: list[CategoryFound]
    labels: list[LabelFound]
    entities: list[EntityFound]


class SearchAnswer(BaseModel):
    """The best passages first, all from one version of the index."""

    query: str
    mode: Mode
    model_version: str
    index_version: str
    experiment: Participation | None
    results: list[SearchResult]
    facets: FacetsFound | None
    took_ms: float


@router.post("/search", dependencies=[scope("search")], summary="Search in documents")
async def search(request: Request, wanted: SearchRequest) -> SearchAnswer:
    """By meaning, by words, or by both (the default); filters hold before the ranking."""
    began = time.perf_counter()
    service = service_of(request)
    _require_moderate(wanted.k, service.settings.service.max_k)
    filters = parse_filters(wanted.filters)
    unit = wanted.unit if wanted.mode is None else None
    with steered(service, "search", unit) as steering:
        chosen = _Chosen(wanted.mode) if wanted.mode else _chosen(steering)
        searched = await service.run(_searched, service, chosen, steering)
        vectors = await _vectors(service, wanted.query, chosen.mode, searched)
        answer = await service.run(
            _answer, service, searched, wanted, chosen.mode, filters, vectors
        )
        steering.is_empty = not answer.results
    answer.experiment = steering.participation
    answer.took_ms = round((time.perf_counter() - began) * 1000, 2)
    return answer


@router.get("/facets", dependencies=[scope("search")], summary="Categories and entities")
async def facets(
    request: Request,
    filters: Annotated[
        list[Condition], QueryParameter(alias="filter", max_length=32, description="As in /search.")
    ] = [],  # noqa: B006
    most: Annotated[int, QueryParameter(ge=0, le=1_000, description="Entities named.")] = MOST,
) -> FacetsFound:
    """How many documents have each category, and how many passages name each entity, among all
    passages that meet the filters."""
    service = service_of(request)
    return await service.run(_index_facets, service, parse_filters(filters), most)


def _index_facets(service: Service, filters: Filters, most: int) -> FacetsFound:
    try:
        return _facets(service.documents().facets(filters, most))
    except NotFoundError:
        return FacetsFound(passages=0, documents=0, categories=[], labels=[], entities=[])


def _facets(found: Facets) -> FacetsFound:
    return FacetsFound.model_validate(asdict(found))


def _require_moderate(k: int, most: int) -> None:
    if k > most:
        raise RequestError(f"{k} results are too many.", f"Ask for {most} at most.", 422)


@dataclass(frozen=True)
class _Chosen:
    """How a request is answered: by which mode, and whether by the model that is tried."""

    mode: Mode = Mode.HYBRID
    challenger: bool = False


@dataclass(frozen=True)
class _Searched:
    """The version of the index that answers a request to its end."""

    documents: DocumentSearch
    served: Served


def _chosen(steering: Steering) -> _Chosen:
    """What the variant chooses: a mode, or a model; one that does not exist chooses nothing."""
    setting = steering.setting
    if setting in {each.value for each in Mode}:
        return _Chosen(Mode(setting))
    if setting in MODELS:
        return _Chosen(challenger=setting == CHALLENGER)
    steering.routed = None
    return _Chosen()


def _searched(service: Service, chosen: _Chosen, steering: Steering) -> _Searched:
    """A challenger that cannot answer is charged with it, and the champion answers."""
    if chosen.challenger:
        try:
            documents = service.challenger()
            return _Searched(documents, documents.served)
        except EmbeddingAssetsError:
            steering.is_error = True
    documents = service.documents()
    return _Searched(documents, documents.served)


async def _vectors(
    service: Service, query: str, mode: Mode, searched: _Searched
) -> QueryVectors | None:
    """The query's vector by the model of the version that is searched, computed together with those
    of others; None where words are enough."""
    if mode is Mode.KEYWORD or not query.strip():
        return None
    encoder = service.encoder_of(searched.served.version.manifest.model.fingerprint)
    encoding = await encoder.encode_soon([query])
    return QueryVectors(encoder.fingerprint, encoding.vectors)


def _answer(
    service: Service,
    searched: _Searched,
    wanted: SearchRequest,
    mode: Mode,
    filters: Filters,
    vectors: QueryVectors | None,
) -> SearchAnswer:
    found = searched.documents.answer(
        wanted.query, mode, wanted.k, filters, vectors=vectors, served=searched.served
    )
    _note(service, wanted.query, mode, found, vectors)
    terms = query_terms(wanted.query)
    return SearchAnswer(
        query=wanted.query,
        mode=mode,
        model_version=found.manifest.model.version,
        index_version=found.manifest.version,
        experiment=None,
        results=[_result(hit, terms) for hit in found.hits],
        facets=_facets(facets_of_hits(found.hits)) if wanted.facets else None,
        took_ms=0.0,
    )


def _note(
    service: Service, query: str, mode: Mode, found: Answer, vectors: QueryVectors | None
) -> None:
    """Let the search be kept, so that drift is seen; nobody waits for it."""
    log = service.query_log()
    if log is None:
        return
    model = found.manifest.model
    asked = Asked(
        mode=mode.value,
        hits=len(found.hits),
        top_score=found.hits[0].score if found.hits else None,
        model=f"{model.name} v{model.version}",
        fingerprint=model.fingerprint,
        index=found.manifest.version,
        vector=None if vectors is None else vectors.vectors[0].copy(),
        text=query,
    )
    log.note(asked)


def _result(hit: Hit, terms: frozenset[str]) -> SearchResult:
    return SearchResult(
        text=hit.text,
        highlights=find_highlights(terms, hit.text),
        score=hit.score,
        doc_id=hit.doc_id,
        path=hit.path,
        title=hit.title,
        pages=list(hit.pages),
        boxes=[_box(box) for box in hit.boxes if _is_finite(box)],
        heading_path=list(hit.heading_path),
        chunk_id=hit.chunk_id,
        kind=hit.kind,
        image=image_of(hit),
        category=hit.category,
        entities=[NamedEntity(label=each.label, text=each.text) for each in hit.entities],
    )


def image_of(hit: Hit) -> str | None:
    """Where the picture of the page with the passage is."""
    pages = [box.page for box in hit.boxes] or list(hit.pages)
    if not pages or not hit.path.lower().endswith(".pdf"):
        return None
    place = {"doc_id": hit.doc_id, "page": pages[0], "chunk_id": hit.chunk_id}
    return f"/documents/image?{urlencode(place)}"


def _box(box: Box) -> BoxOnPage:
    sides = (round(side, 2) for side in (box.left, box.top, box.right, box.bottom))
    left, top, right, bottom = sides
    return BoxOnPage(page=box.page, left=left, top=top, right=right, bottom=bottom)


def _is_finite(box: Box) -> bool:
    return all(map(math.isfinite, (box.left, box.top, box.right, box.bottom)))
