"""Experiments over HTTP: from their plan to their decision."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field, StringConstraints

from embedding_assets.api.callers import scope, service_of
from embedding_assets.api.health import Part
from embedding_assets.api.problems import RequestError, answer_with
from embedding_assets.api.schemas import Body
from embedding_assets.api.service import Service
from embedding_assets.experiments.analysis import Analysis
from embedding_assets.experiments.choices import Choice
from embedding_assets.experiments.comparisons import Curve
from embedding_assets.experiments.decision import Judgement
from embedding_assets.experiments.outcomes import MOST_CHARACTERS, MOST_VALUE, Outcome
from embedding_assets.experiments.outcomes import Recorded as Kept
from embedding_assets.experiments.plan import (
    PLANS,
    Decision,
    Experiment,
    ExperimentConflictError,
    ExperimentPlan,
    State,
    plan_of,
)

router = APIRouter(tags=["experiments"])
Text = Annotated[str, StringConstraints(min_length=1, max_length=MOST_CHARACTERS)]
_MOST_OUTCOMES = 10_000
_EXPOSED_WITHIN = 0.5
"""Seconds after which the exposures of every worker are written."""
_READ, _WRITE = scope("experiments:read"), scope("experiments:write")
_PLAN = {
    "id": "search-hybrid",
    "hypothesis": "Hybrid search finds what keyword search misses.",
    "endpoint": "search",
    "variants": [
        {"name": "keyword", "weight": 50, "setting": "keyword"},
        {"name": "hybrid", "weight": 50, "setting": "hybrid"},
    ],
    "metrics": [
        {"name": "click", "kind": "rate"},
        {"name": "latency", "kind": "mean", "direction": "down", "guard": True, "margin": 1.0},
    ],
    "minimum_days": 7,
}


def _plan_schema() -> Any:
    """The schema of a plan, which is read by `plan_of`, without references."""
    schema = PLANS.json_schema()
    parts = schema.pop("$defs", {})

    def inlined(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return inlined(parts[value["$ref"].rsplit("/", 1)[1]])
            return {name: inlined(each) for name, each in value.items()}
        return [inlined(each) for each in value] if isinstance(value, list) else value

    return inlined(schema)


class Summary(BaseModel):
    """An experiment without its numbers."""

    plan: ExperimentPlan
    state: State
    share: float
    created: datetime
    started: datetime | None
    ended: datetime | None
    decision: Decision | None


class Summaries(BaseModel):
    """All experiments, the newest first."""

    experiments: list[Summary]


class Report(Summary):
    """An experiment with what may be said of it now.

    exposures: units by variant; waiting: those whose time for outcomes is not over, which are not
    judged yet. judgement, curves: None and empty before the start.
    """

    exposures: Mapping[str, int]
    waiting: int
    judgement: Judgement | None
    curves: list[Curve]


class OutcomeFields(Body):
    """What a unit did. id: your own, so that sending it twice counts once. at: now where left out;
    without zone UTC."""

    id: Text
    unit: Text
    metric: Text
    value: float = Field(1.0, ge=-MOST_VALUE, le=MOST_VALUE)
    at: datetime | None = None


class Outcomes(Body):
    """Outcomes of one experiment."""

    outcomes: list[OutcomeFields] = Field(min_length=1, max_length=_MOST_OUTCOMES)
    model_config = {
        "json_schema_extra": {
            "examples": [{"outcomes": [{"id": "c-1", "unit": "user-17", "metric": "click"}]}]
        }
    }


class Exposures(Body):
    """Units that see their variants."""

    units: list[Text] = Field(min_length=1, max_length=_MOST_OUTCOMES)
    model_config = {"json_schema_extra": {"examples": [{"units": ["user-17", "user-18"]}]}}


class Exposed(BaseModel):
    """The variant of each unit that takes part."""

    variants: dict[str, str]


class Recorded(BaseModel):
    """What became of outcomes: counted for the first time, counted before, or of units that were
    never exposed, of which nothing was kept."""

    accepted: int
    known: int
    unknown_units: tuple[str, ...]


class DecideRequest(Body):
    """Who decides. variant, reason: to decide by hand, before or against the statistics."""

    by: Text | None = None
    variant: Text | None = None
    reason: Text | None = None


class Assignment(BaseModel):
    """The variant of a unit and its setting; null for one that takes no part."""

    experiment: str
    variant: str | None
    setting: str | None


def prepare(service: Service) -> None:
    """Let health speak of experiments, and conflicts be answered as such."""
    answer_with(409, ExperimentConflictError)
    experiments = service.experiments
    service.parts.add(Part("experiments", experiments.look, experiments.open))


@router.get("/experiments", dependencies=[_READ], summary="All experiments")
async def list_experiments(request: Request) -> Summaries:
    """Every experiment with its state, the newest first."""
    service = service_of(request)
    found = await service.run_database(lambda: service.experiments.controller().experiments())
    return Summaries(experiments=[Summary(**_fields(each)) for each in found])


@router.post(
    "/experiments",
    status_code=201,
    dependencies=[_WRITE],
    summary="Plan an experiment",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": _plan_schema(),
                    "examples": {"search": {"value": _PLAN}},
                }
            },
        }
    },
)
async def create(request: Request, plan: dict[str, Any]) -> Summary:
    """Keep a plan as a draft; the first variant is the control, the first metric that is no guard
    decides."""
    service, wanted = service_of(request), plan_of(plan)
    made = await service.run_database(lambda: service.experiments.controller().create(wanted))
    return Summary(**_fields(made))


@router.get("/experiments/{id}", dependencies=[_READ], summary="One experiment, judged")
async def read(request: Request, id: str) -> Report:
    """The plan, the units, the comparisons and their curves, and what may be decided; as of three
    seconds ago at most."""
    service = service_of(request)
    found = await service.reports.get(id, lambda: service.experiments.controller().analyse(id))
    return _report(found)


@router.post("/experiments/{id}/start", dependencies=[_WRITE], summary="Start it")
async def start(request: Request, id: str) -> Summary:
    """Let a draft choose variants from now on."""
    service = service_of(request)
    await service.run_database(_require_settings, service, id)
    return await _changed(
        service, id, service.run_database(lambda: service.experiments.controller().start(id))
    )


@router.post("/experiments/{id}/stop", dependencies=[_WRITE], summary="Stop it")
async def stop(request: Request, id: str) -> Summary:
    """End a running experiment, to be decided later."""
    service = service_of(request)
    return await _changed(
        service, id, service.run_database(lambda: service.experiments.controller().stop(id))
    )


@router.post("/experiments/{id}/decide", dependencies=[_WRITE], summary="Decide it")
async def decide(request: Request, id: str, wanted: DecideRequest | None = None) -> Summary:
    """End an experiment as it is judged now; or, with a variant and a reason, by hand."""
    service, wanted = service_of(request), wanted or DecideRequest()
    by = wanted.by or f"key {request.state.key_id}"
    choice = Choice(wanted.variant, wanted.reason or "") if wanted.variant else None
    # It judges anew by all units.
    decided = service.run_report(lambda: service.experiments.controller().decide(id, by, choice))
    return await _changed(service, id, decided)


@router.post(
    "/experiments/{id}/outcomes", dependencies=[scope("outcomes")], summary="What units did"
)
async def record(request: Request, id: str, wanted: Outcomes) -> Recorded:
    """Keep outcomes; what is acknowledged is durable, and each id counts once."""
    service = service_of(request)
    outcomes = [Outcome(o.id, o.unit, o.metric, o.value, o.at) for o in wanted.outcomes]
    kept = await service.run_database(_record, service, id, outcomes)
    if not kept.unknown_units:
        return Recorded(**asdict(kept))
    await asyncio.sleep(_EXPOSED_WITHIN)  # another worker may just be writing the exposure
    unknown = set(kept.unknown_units)
    again = [outcome for outcome in outcomes if outcome.unit in unknown]
    late = await service.run_database(_record, service, id, again)
    return Recorded(
        accepted=kept.accepted + late.accepted,
        known=kept.known + late.known,
        unknown_units=late.unknown_units,
    )


@router.post(
    "/experiments/{id}/exposures", dependencies=[scope("outcomes")], summary="Who sees a variant"
)
async def expose(request: Request, id: str, wanted: Exposures) -> Exposed:
    """Note that units see their variants now, and tell which: for what this service does not
    answer itself. What is acknowledged is durable; a unit counts from its first exposure."""
    service = service_of(request)
    seen = await service.run_database(
        lambda: service.experiments.controller().expose(id, wanted.units)
    )
    return Exposed(variants={unit: variant.name for unit, variant in seen.items()})


@router.get("/experiments/{id}/assignment", dependencies=[_READ], summary="The variant of a unit")
async def assignment(request: Request, id: str, unit: Text) -> Assignment:
    """Which variant a unit gets; it does not count as exposed by that."""
    service = service_of(request)
    found = await service.run_database(lambda: service.experiments.controller().assign(id, unit))
    return Assignment(
        experiment=id,
        variant=found.name if found else None,
        setting=found.setting if found else None,
    )


def _record(service: Service, id: str, outcomes: list[Outcome]) -> Kept:
    service.experiments.flush()
    return service.experiments.controller().record(id, outcomes)


async def _changed(service: Service, id: str, change: Awaitable[Experiment]) -> Summary:
    try:
        changed = await change
    finally:
        service.reports.forget(id)
    await service.run_database(service.experiments.refresh)
    return Summary(**_fields(changed))


def _require_settings(service: Service, id: str) -> None:
    """Check that every version which a plan chooses can be asked for. Raises RequestError."""
    plan = service.experiments.controller().find(id).plan
    if plan.endpoint != "find-similar":
        return
    known = service.apps().index.versions
    unknown = [each.setting for each in plan.variants if each.setting not in known]
    if unknown:
        raise RequestError(
            f"The index of apps has no version {', '.join(unknown)}.",
            f"It has {', '.join(known)}: materialize app_index with the others, or plan these.",
            409,
        )


def _report(found: Analysis) -> Report:
    is_draft = found.experiment.state == "draft"
    return Report(
        **_fields(found.experiment),
        exposures=found.exposures,
        waiting=found.waiting,
        judgement=None if is_draft else found.judgement,
        curves=[] if is_draft else list(found.curves),
    )


def _fields(experiment: Experiment) -> dict[str, Any]:
    return {name: getattr(experiment, name) for name in Summary.model_fields}
