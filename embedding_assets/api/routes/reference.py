"""The service's description for people, made from its OpenAPI; nothing is loaded from elsewhere."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

router = APIRouter(include_in_schema=False)

_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; padding: .5rem 0; }
h3 { font-size: 1rem; margin: .5rem 0; } code, pre { font: 14px/1.4 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; background: #8882; border-radius: .4rem; }
table { border-collapse: collapse; } td { padding: .1rem 1rem .1rem 0; vertical-align: top; }
"""


@router.get("/docs")
async def reference(request: Request) -> Response:
    """Every endpoint with its parameters and an example."""
    schema = request.app.openapi()
    return Response("".join(_page(schema)), media_type="text/html; charset=utf-8")


@router.get("/docs/style.css")
async def style() -> Response:
    """How it looks."""
    return Response(_STYLE, media_type="text/css; charset=utf-8")


def _page(schema: dict[str, Any]) -> Iterator[str]:
    info = schema["info"]
    title = escape(info["title"])
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<link rel="stylesheet" href="/docs/style.css"></head><body>'
    yield f"<h1>{title} {escape(info['version'])}</h1>"
    yield from (f"<p>{escape(part)}</p>" for part in info["description"].strip().split("\n\n"))
    yield '<p>For programs: <a href="/openapi.json">openapi.json</a>.</p>'
    for tag in schema.get("tags", ()):
        operations = [*_operations(schema, tag["name"])]
        if operations:
            yield f"<h2>{escape(tag['name'].capitalize())}</h2><p>{escape(tag['description'])}</p>"
            for method, path, operation in operations:
                yield from _section(method, path, operation)
    yield "</body></html>"


def _operations(schema: dict[str, Any], tag: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if tag in operation.get("tags", ()):
                yield method.upper(), path, operation


def _section(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<section><h3><code>{method} {escape(path)}</code> {escape(operation['summary'])}</h3>"
    yield f"<p>{escape(operation.get('description', ''))}</p>"
    if parameters := operation.get("parameters"):
        rows = "".join(
            f"<tr><td><code>{escape(each['name'])}</code></td><td>{escape(each['in'])}</td>"
            f"<td>{escape(each.get('description', ''))}</td></tr>"
            for each in parameters
        )
        yield f"<table>{rows}</table>"
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    if (example := _example(content)) is not None:
        yield f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>"
    yield "</section>"


def _example(content: dict[str, Any]) -> Any:
    """The example of a request's body, where one is given."""
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    return content.get("example")
