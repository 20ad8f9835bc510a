"""What was read: the documents, their blocks, and pictures of their pages."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.problems import answer_with
from embedding_assets.api.routes.search import BoxOnPage
from embedding_assets.api.service import Service
from embedding_assets.documents.listing import page_of_documents, read_blocks
from embedding_assets.documents.painter import PictureDelayedError
from embedding_assets.documents.picture import (
    DEFAULT_WIDTH,
    MAX_WIDTH,
    MIN_WIDTH,
    ChangedDocumentError,
)
from embedding_assets.documents.process import WorkerStartError
from embedding_assets.errors import NotFoundError

answer_with(409, ChangedDocumentError)
answer_with(503, PictureDelayedError, WorkerStartError)

_MOST_PAGES = 1_000_000
DocId = Annotated[str, Query(min_length=1, max_length=1_000, description="As in `/documents`.")]
router = APIRouter(tags=["documents"])


class DocumentSummary(BaseModel):
    """A document that is searched. pages: 0 where its format has none. chunks: its passages."""

    doc_id: str
    path: str | None
    title: str | None
    format: str | None
    pages: int
    chunks: int
    category: str | None
    modified: datetime | None


class DocumentList(BaseModel):
    """Documents by id. next: what to give as `after` for more; null at the end."""

    documents: list[DocumentSummary]
    next: str | None
    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "documents": [
                        {
                            "doc_id": "handbook.pdf", "path": "handbook.pdf", "title": "Handbook",
                            "format": "pdf", "pages": 12, "chunks": 40, "category": None,
                            "modified": "2026-01-01T00:00:00Z",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    }  # fmt: skip


class PageSize(BaseModel):
    """A page; sizes in points, null where the format has none."""

    number: int
    width: float | None
    height: float | None


class BlockRead(BaseModel):
    """A piece of a document; a table is Markdown."""

    kind: str
    text: str
    level: int
    marker: str
    pages: list[int]
    boxes: list[BoxOnPage]


class DocumentRead(BaseModel):
    """A stretch of a document in reading order. next: the `start` of the next one."""

    doc_id: str
    path: str
    format: str
    title: str | None
    language: str | None
    pages: list[PageSize]
    blocks: list[BlockRead]
    next: int | None


@router.get("/documents", dependencies=[scope("documents")], summary="The documents")
async def documents(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str, Query(max_length=1_000, description="`next` as given.")] = "",
) -> DocumentList:
    """The documents that are searched, by id."""
    return await service_of(request).run(_listed, service_of(request), limit, after)


@router.get("/documents/read", dependencies=[scope("documents")], summary="What stands in one")
async def read(
    request: Request,
    doc_id: DocId,
    start: Annotated[int, Query(ge=0, le=2**31, description="The first block.")] = 0,
    limit: Annotated[int, Query(ge=1, le=2_000, description="Most blocks.")] = 500,
) -> DocumentRead:
    """The blocks of a document in reading order: headings, paragraphs, tables, with their places
    on the pages."""
    return await service_of(request).run(_read, service_of(request), doc_id, (start, limit))


@router.get(
    "/documents/image",
    dependencies=[scope("documents")],
    response_class=Response,
    responses={200: {"description": "The page as PNG.", "content": {"image/png": {}}}},
    summary="The picture of a page",
)
async def image(
    request: Request,
    doc_id: DocId,
    page: Annotated[int, Query(ge=1, le=_MOST_PAGES, description="From 1.")],
    chunk_id: Annotated[str, Query(max_length=200, description="The passage to mark.")] = "",
    width: Annotated[int, Query(ge=MIN_WIDTH, le=MAX_WIDTH, description="Pixels.")] = DEFAULT_WIDTH,
) -> Response:
    """A page of a PDF, the boxes of a passage marked. 409 while its file is not the one that was
    read; 404 for other formats, which have no picture."""
    content = service_of(request).content
    png = await content.draw(lambda: content.pages().picture(doc_id, page, chunk_id or None, width))
    return Response(png, media_type="image/png")


def _listed(service: Service, limit: int, after: str) -> DocumentList:
    try:
        table = service.documents().served.documents
    except NotFoundError:
        return DocumentList(documents=[], next=None)
    rows = page_of_documents(table, after, limit + 1)
    shown = [_summary(service, row) for row in rows[:limit]]
    return DocumentList(documents=shown, next=shown[-1].doc_id if len(rows) > limit else None)


def _summary(service: Service, row: dict[str, Any]) -> DocumentSummary:
    footer = service.workspace().library.table("documents").footer(row["doc_id"])
    pages = int(footer.stats.get("pages", 0)) if footer else 0
    names = ("doc_id", "path", "title", "format", "category", "modified")
    return DocumentSummary(**{name: row[name] for name in names}, pages=pages, chunks=row["rows"])


def _read(service: Service, doc_id: str, stretch: tuple[int, int]) -> DocumentRead:
    library = service.workspace().library
    forgotten = library.snapshots.tombstones.ids()
    found = read_blocks(library.table("documents"), forgotten, doc_id, stretch)
    return DocumentRead.model_validate(vars(found))
