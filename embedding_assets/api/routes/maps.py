"""Embeddings on a plane."""

from enum import StrEnum
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel

from embedding_assets.api.callers import Caller, scope, service_of
from embedding_assets.quality.maps import Map

router = APIRouter(tags=["maps"])


class MapName(StrEnum):
    """What is shown."""

    APPS = "apps"
    DOCUMENTS = "documents"
    ACCOUNTS = "accounts"


_SCOPES = {MapName.APPS: "similar", MapName.DOCUMENTS: "documents", MapName.ACCOUNTS: "accounts"}


class MapSummary(BaseModel):
    """A map that there is. points: how many things it shows."""

    name: MapName
    title: str
    points: int


class MapList(BaseModel):
    """The maps of which there is anything to show."""

    maps: list[MapSummary]


class MapPoints(BaseModel):
    """Things on a plane: `x`, `y`, `id`, `label` and `group` have one value for each.

    x, y: from -1 to 1. group: its place in `groups`. explained: the share of all variance that each
    axis shows; empty where `method` is tsne, whose axes mean nothing.
    """

    name: MapName
    title: str
    method: str
    x: list[float]
    y: list[float]
    id: list[str]
    label: list[str]
    group: list[int]
    groups: list[str]
    explained: list[float]


@router.get("/maps", summary="The maps")
async def maps(request: Request, caller: Annotated[Caller, scope("search")]) -> MapList:
    """The maps of which there is anything to show, and which the caller may see."""
    service = service_of(request)
    found = await service.run(lambda: service.content.maps().available())
    seen = [m for m in found if {_SCOPES[MapName(m.name)], "admin"} & caller.scopes]
    return MapList(
        maps=[MapSummary(name=MapName(m.name), title=m.title, points=len(m.x)) for m in seen]
    )


def _add_map(name: MapName, title: str) -> None:
    """Each map has the scope of what it shows."""

    async def points(request: Request) -> MapPoints:
        """At most 2,000 things by their embeddings. A new map shows principal components at once,
        and neighbourhoods (t-SNE) a few seconds later."""
        service = service_of(request)
        found = await service.run(lambda: service.content.maps().get(name))
        return _points(found)

    router.add_api_route(
        f"/maps/{name}",
        points,
        dependencies=[scope(_SCOPES[name])],
        operation_id=f"map_of_{name}",
        summary=title,
    )


def _points(found: Map) -> MapPoints:
    return MapPoints.model_validate(found, from_attributes=True)


_add_map(MapName.APPS, "The map of apps")
_add_map(MapName.DOCUMENTS, "The map of passages")
_add_map(MapName.ACCOUNTS, "The map of accounts")
