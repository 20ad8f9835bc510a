"""The web page: its files as they lie in `api/web`, without a build step."""

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from fastapi import APIRouter, Request
from starlette.responses import Response

from embedding_assets.api.problems import RequestError

router = APIRouter(include_in_schema=False)

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_METHODS = ["GET", "HEAD"]


@dataclass(frozen=True)
class PageFile:
    """A file of the page as it is sent."""

    body: bytes
    media_type: str
    etag: str


@cache
def page_files() -> dict[str, PageFile]:
    """The files of the page by name, read once: a name that is not among them reaches no disk."""
    folder = files("embedding_assets.api").joinpath("web")
    found = {}
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        suffix = entry.name[entry.name.rfind(".") :]
        if suffix in _TYPES:
            body = entry.read_bytes()
            etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
            found[entry.name] = PageFile(body, _TYPES[suffix], etag)
    return found


@router.api_route("/", methods=_METHODS)
async def page(request: Request) -> Response:
    """The page."""
    return _answer(request, "index.html")


@router.api_route("/web/{name}", methods=_METHODS)
async def page_file(request: Request, name: str) -> Response:
    """A file that the page loads."""
    return _answer(request, name)


def _answer(request: Request, name: str) -> Response:
    """The file, or that the browser has it already.

    Raises RequestError with 404 for a name that the page does not have.
    """
    file = page_files().get(name)
    if file is None:
        raise RequestError("The page has no such file.", "Open the page at /.", 404)
    # Names carry no version, so that a browser asks each time and mostly hears 304.
    headers = {"ETag": file.etag, "Cache-Control": "no-cache"}
    if file.etag in _known_to(request):
        return Response(status_code=304, headers=headers)
    return Response(file.body, media_type=file.media_type, headers=headers)


def _known_to(request: Request) -> set[str]:
    """The ETags in If-None-Match, compared weakly as RFC 9110 asks for."""
    sent = request.headers.get("if-none-match", "")
    return {etag.strip().removeprefix("W/") for etag in sent.split(",")}
