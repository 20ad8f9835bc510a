"""What goes wrong as `application/problem+json` (RFC 9457): what, and how to mend it."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import JSONResponse
from starlette.types import Scope

from embedding_assets.api.concealment import public
from embedding_assets.errors import (
    EmbeddingAssetsError,
    InputError,
    ModelError,
    NotEnoughMemoryError,
    NotFoundError,
    OutputError,
    RegistryError,
    SettingsError,
    StoreError,
)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:embedding-assets:problem:"
_STATUS: dict[type[EmbeddingAssetsError], int] = {
    NotFoundError: 404,
    InputError: 422,
    ModelError: 503,
    StoreError: 503,
    OutputError: 503,
    RegistryError: 503,
    SettingsError: 503,
    NotEnoughMemoryError: 503,
}


class RequestError(EmbeddingAssetsError):
    """A request that the service refuses, with the status and the headers of the answer."""

    def __init__(
        self,
        problem: str,
        mend: str,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(problem, mend)
        self.status = status
        self.headers = dict(headers or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel whole between processes."""
        return type(self), (self.problem, self.mend, self.status, self.headers)


class OverloadedError(RequestError):
    """More is asked for at once than can be answered in time."""

    def __init__(self, problem: str, mend: str = "Try again in a second.") -> None:
        super().__init__(problem, mend, 503, {"Retry-After": "1"})

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors travel whole between processes."""
        return type(self), (self.problem, self.mend)


def answer_with(status: int, *errors: type[EmbeddingAssetsError]) -> None:
    """Let errors of these classes, and those below them, be answered with `status`."""
    _STATUS.update(dict.fromkeys(errors, status))


def status_of(error: EmbeddingAssetsError) -> int:
    """The HTTP status of a named error: that of the nearest class which has one."""
    if isinstance(error, RequestError):
        return error.status
    known = (_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)
    return next(known, 500)


def problem_of(error: EmbeddingAssetsError, request_id: str) -> dict[str, Any]:
    """A named error as the JSON of its answer, without paths or passwords of the server."""
    status = status_of(error)
    kind = "" if type(error) in (RequestError, OverloadedError) else _slug(type(error).__name__)
    return problem_body(
        status, request_id, detail=public(error.problem), mend=public(error.mend), kind=kind
    )


def problem_body(
    status: int, request_id: str, *, detail: str, mend: str, kind: str = ""
) -> dict[str, Any]:
    """The JSON of an answer that is no success. kind: the status' own name where empty."""
    title = _phrase(status)
    return {
        "type": _TYPE + (kind or title.lower().replace(" ", "-").replace("'", "")),
        "title": title,
        "status": status,
        "detail": detail,
        "mend": mend,
        "request_id": request_id,
    }


def problem_response(
    body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The answer to a request that failed."""
    return JSONResponse(
        dict(body), status_code=body["status"], headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def error_response(error: EmbeddingAssetsError, scope: Scope) -> JSONResponse:
    """The answer to a request that a named error ended."""
    own = error.headers if isinstance(error, RequestError) else {}
    later = {"Retry-After": "5"} if status_of(error) == 503 else {}
    return problem_response(problem_of(error, request_id_of(scope)), {**later, **own})


def request_id_of(scope: Scope) -> str:
    """The id under which a request is found in the log."""
    return str(scope.get("state", {}).get("request_id", ""))


def _slug(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name.removesuffix("Error")).lower()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
