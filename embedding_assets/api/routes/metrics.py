"""The numbers of the service, for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from embedding_assets.api.callers import scope, service_of

router = APIRouter(tags=["operation"])


@router.get(
    "/metrics",
    dependencies=[scope("metrics")],
    response_class=Response,
    responses={200: {"description": "Prometheus text.", "content": {"text/plain": {}}}},
    summary="Numbers for Prometheus",
)
async def metrics(request: Request) -> Response:
    """Requests, latencies, batches, cache, limits, indexes: over all worker processes."""
    service = service_of(request)
    await service.parts.reports()  # looks at which versions are served
    text = await service.run(service.metrics.text)
    return Response(text, media_type=CONTENT_TYPE_PLAIN_0_0_4)
