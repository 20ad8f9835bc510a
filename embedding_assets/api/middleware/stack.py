"""The layers around the routes, in their order."""

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from embedding_assets.api.callers import is_shut
from embedding_assets.api.middleware.body import Body
from embedding_assets.api.middleware.boundary import Boundary
from embedding_assets.api.middleware.deadline import Deadline
from embedding_assets.api.middleware.door import Door
from embedding_assets.api.middleware.origin import Origin
from embedding_assets.api.service import Service


def add_middleware(app: FastAPI, service: Service) -> None:
    """Put the layers around an application; the last that is added is the outermost."""
    settings = service.settings.service
    app.add_middleware(Deadline, seconds=settings.timeout_seconds)
    app.add_middleware(
        Body, max_bytes=round(settings.max_body_mb * 1e6), seconds=settings.timeout_seconds
    )
    app.add_middleware(Door, is_shut=is_shut)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type", "X-API-Key", "X-Request-ID"),
            expose_headers=("RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-ID"),
        )
    app.add_middleware(Origin, hosts=settings.hosts, origins=settings.cors_origins)
    app.add_middleware(Boundary, metrics=service.metrics)
