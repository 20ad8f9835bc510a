"""How whatever ends a request becomes a problem in words."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from embedding_assets.api.problems import (
    RequestError,
    error_response,
    problem_body,
    problem_response,
    request_id_of,
    status_of,
)
from embedding_assets.errors import EmbeddingAssetsError

_log = structlog.get_logger()
_MOST = 20
_WORDS = {
    400: ("The body cannot be read as JSON.", "Send valid JSON in UTF-8."),
    404: ("There is nothing at this path.", "/docs shows what there is."),
    405: ("This path does not know this method.", "Use one of those in the header Allow."),
}


def add_handlers(app: FastAPI) -> None:
    """Answer every failure of a route as a problem."""
    app.add_exception_handler(EmbeddingAssetsError, _named)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)


async def _named(request: Request, error: Exception) -> Response:
    assert isinstance(error, EmbeddingAssetsError)
    if status_of(error) >= 500 and not isinstance(error, RequestError):
        _log.warning(
            "request_failed",
            request_id=request_id_of(request.scope),
            error=type(error).__name__,
            problem=error.problem,
        )
    return error_response(error, request.scope)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = error.errors()
    request_id = request_id_of(request.scope)
    if found and found[0]["type"] == "json_invalid":
        detail, mend = _WORDS[400]
        return problem_response(problem_body(400, request_id, detail=detail, mend=mend))
    errors = [_explained(each) for each in found[:_MOST]]
    detail = "; ".join(f"{each['where']}: {each['what']}" for each in errors) + "."
    mend = "Correct what is named; /docs shows what is allowed."
    body = problem_body(422, request_id, detail=detail, mend=mend, kind="invalid-request")
    return problem_response({**body, "errors": errors})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = (str(error.detail), "/docs shows what there is.")
    detail, mend = _WORDS.get(error.status_code, words)
    body = problem_body(error.status_code, request_id_of(request.scope), detail=detail, mend=mend)
    return problem_response(body, error.headers)


def _explained(error: Mapping[str, Any]) -> dict[str, str]:
    """A fault without the value that has it: that may be anything, of any size."""
    return {"where": _place(error["loc"]), "what": str(error["msg"])}


def _place(parts: Iterable[object]) -> str:
    return ".".join(str(part)[:100] for part in parts).encode("utf-8", "replace").decode()
