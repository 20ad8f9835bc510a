"""The service's own description: how its problems look, and who may call what."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from embedding_assets.api.problems import MEDIA_TYPE

_REFERENCE = {"$ref": "#/components/schemas/Problem"}
_EXAMPLE = {
    "type": "urn:embedding-assets:problem:not-found",
    "title": "Not Found",
    "status": 404,
    "detail": "No app has the id 'APP_0'.",
    "mend": "Check the id.",
    "request_id": "0b5c2d6c7c0e4b0f9a0d",
}
_STATUSES = {
    400: "The request cannot be read.",
    401: "No key, or none that is valid.",
    403: "The key lacks the scope, or the request comes from a foreign page.",
    404: "Something that the request names does not exist.",
    405: "The path does not know this method.",
    408: "The body did not arrive in time.",
    409: "It contradicts the state that something is in.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    421: "The service does not go by that host name.",
    422: "A value is not allowed.",
    429: "More requests than the key may send.",
    500: "The service broke.",
    503: "A part of the service does not work, or there is too much to do.",
}
_DESCRIPTION = """Similar apps, search in documents, embeddings and experiments.

Every failure is `application/problem+json`: what is wrong, how to mend it, and the id under which
the log speaks of the request. Answers carry `X-Request-ID`, and `RateLimit` where requests are
counted. Keys go into the header `Authorization: Bearer KEY` or `X-API-Key: KEY`; on a loopback
address none is needed until one was created.
"""
_TAGS = {
    "search": "Passages of documents.",
    "apps": "Similar apps, and how an app will perform.",
    "embeddings": "Vectors of texts.",
    "documents": "What was read.",
    "accounts": "Accounts like another one.",
    "maps": "All vectors of a kind on a plane.",
    "experiments": "Which of several variants does better.",
    "operation": "Whether the service works.",
}
_PROBLEM = {
    "title": "Problem",
    "type": "object",
    "description": "What went wrong (RFC 9457), and how to mend it.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong."},
        "mend": {"type": "string", "description": "What to do about it."},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"where": {"type": "string"}, "what": {"type": "string"}},
                "required": ["where", "what"],
            },
        },
    },
    "required": ["type", "title", "status", "detail", "mend", "request_id"],
}

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": description,
        "content": {MEDIA_TYPE: {"schema": _REFERENCE, "example": _EXAMPLE}},
    }
    for status, description in _STATUSES.items()
}
"""The answers that every route may give; FastAPI's own 422 is replaced by ours."""


def describe(app: FastAPI) -> None:
    """Let the application describe itself with tags, problems and keys."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _schema(app)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _schema(app: FastAPI) -> dict[str, Any]:
    schema = get_openapi(
        title=app.title,
        version=app.version,
        description=_DESCRIPTION,
        routes=app.routes,
        tags=[{"name": name, "description": text} for name, text in _TAGS.items()],
    )
    schemas = schema.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    schemas.pop("HTTPValidationError", None)
    schemas.pop("ValidationError", None)
    return schema
