"""Whether the process lives, whether it can answer, and which part of it cannot."""

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.health import Report
from embedding_assets.api.problems import OverloadedError

router = APIRouter(tags=["operation"])


class Live(BaseModel):
    """The process answers."""

    status: Literal["live"] = "live"


class PartHealth(BaseModel):
    """How a part is; reason and mend in words where it is not `ok`."""

    state: Literal["ok", "starting", "absent", "failed"]
    reason: str | None
    mend: str | None
    details: dict[str, Any]


class Ready(BaseModel):
    """Requests can be answered. missing: what there is nothing to answer from yet, in words."""

    status: Literal["ready"] = "ready"
    missing: list[str]


class Health(BaseModel):
    """All parts: `ok` when each works or was never filled, else `degraded`."""

    status: Literal["ok", "starting", "degraded"]
    version: str
    parts: dict[str, PartHealth]


@router.get("/health/live", summary="Does the process answer?")
async def live() -> Live:
    """Always `live`: no other part is asked."""
    return Live()


@router.get("/health/ready", summary="Can requests be answered?")
async def ready(request: Request) -> Ready:
    """503 while the model or an index is being opened; says what is missing."""
    service = service_of(request)
    reports = await service.parts.reports()
    if service.parts.is_ready(reports):
        return Ready(missing=[_in_words(*each) for each in reports.items() if each[1].reason])
    waiting = " ".join(_in_words(*each) for each in reports.items() if each[1].reason)
    raise OverloadedError(f"Not ready. {waiting}", "Wait a few seconds, or mend what is named.")


@router.get("/health", dependencies=[scope("metrics")], summary="How is each part?")
async def health(request: Request) -> Health:
    """Model, indexes with their versions and rows, database: each works, or why not."""
    service = service_of(request)
    reports = await service.parts.reports()
    states = {report.state for report in reports.values()}
    status = "starting" if "starting" in states else "degraded" if "failed" in states else "ok"
    return Health(
        status=status,
        version=request.app.version,
        parts={
            name: PartHealth(
                state=report.state,
                reason=report.reason,
                mend=report.mend,
                details=dict(report.details),
            )
            for name, report in reports.items()
        },
    )


def _in_words(name: str, report: Report) -> str:
    return f"{name}: {report.reason} {report.mend}"
