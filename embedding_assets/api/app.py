"""The service as one ASGI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from fastapi import FastAPI

from embedding_assets import __version__
from embedding_assets.api.handlers import add_handlers
from embedding_assets.api.middleware.stack import add_middleware
from embedding_assets.api.openapi import PROBLEMS, describe
from embedding_assets.api.service import Service
from embedding_assets.embedding.encoder import Encoder
from embedding_assets.settings import Settings

_ROUTES = (
    "embedding_assets.api.routes.health",
    "embedding_assets.api.routes.metrics",
    "embedding_assets.api.routes.reference",
    "embedding_assets.api.routes.embed",
    "embedding_assets.api.routes.search",
    "embedding_assets.api.routes.documents",
    "embedding_assets.api.routes.accounts",
    "embedding_assets.api.routes.maps",
    "embedding_assets.api.routes.apps",
    "embedding_assets.api.routes.predict",
    "embedding_assets.api.routes.experiments",
    "embedding_assets.api.routes.page",
)
"""Modules with a `router`; one may also have `prepare(service)`, which is called once."""


def create_app(
    settings: Settings,
    *,
    encoder: Callable[[], Encoder] | None = None,
    is_loopback: bool = True,
) -> FastAPI:
    """The application that answers for what stands in the data folder of the settings.

    encoder: opens another encoder than that of the settings' model.
    is_loopback: whether the server can only be reached from its own machine; else keys are needed
    unless the settings say never.
    """
    service = Service(settings, encoder=encoder, is_loopback=is_loopback)
    app = FastAPI(
        title="Embedding assets",
        version=__version__,
        lifespan=_lifespan,
        responses=PROBLEMS,
        docs_url=None,  # it loads scripts from elsewhere
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    app.state.service = service
    for module in route_modules():
        app.include_router(module.router)
        prepare = getattr(module, "prepare", None)
        if prepare is not None:
            prepare(service)
    add_handlers(app)
    add_middleware(app, service)
    describe(app)
    return app


def route_modules() -> list[ModuleType]:
    """The modules of routes that this installation has, in the order in which they match."""
    return [import_module(name) for name in _ROUTES if find_spec(name)]


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    service.open()
    try:
        yield
    finally:
        await service.close()
