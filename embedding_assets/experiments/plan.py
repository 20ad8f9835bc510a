"""What an experiment is: its variants, its metrics, and when it may be decided."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from embedding_assets.errors import EmbeddingAssetsError, InputError, NotFoundError

State = Literal["draft", "running", "stopped", "decided"]
Endpoint = Literal["find-similar", "search", "none"]

OBSERVED_GUARDS: Mapping[str, str] = {"latency": "mean", "errors": "rate", "empty": "rate"}
"""Guards that the service observes by itself, request by request, with their kind."""

SLOTS = 10_000
"""Into how many equal parts a layer is divided: shares are whole numbers of them."""

CHAMPION, CHALLENGER = MODELS = ("champion", "challenger")
"""What a variant of search chooses for an experiment on embedding models: the one that serves, or
the one that is tried beside it."""
_SEARCH_MODES = ("semantic", "keyword", "hybrid")
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MOST_VARIANTS = 100
_MOST_METRICS = 20
_MOST_WEIGHT = 1_000_000
_MOST_DAYS = 366.0
_MOST_UNITS = 1_000_000_000
_MOST_TEXT = 2_000
_DAY = 86_400.0
_STRICT = ConfigDict(extra="forbid", strict=True)


class ExperimentError(EmbeddingAssetsError):
    """An experiment cannot do what was asked of it."""


class ExperimentConflictError(ExperimentError):
    """The experiment, or another one, is in a state that does not allow it (now)."""


class UnknownExperimentError(NotFoundError):
    """No experiment has that id."""


class PlanError(InputError):
    """The plan of an experiment cannot be run as it stands."""


@dataclass(frozen=True)
class Variant:
    """One of the ways that are compared.

    weight: its part of the units, relative to the other variants' weights.
    setting: what it chooses, such as the model version "v2" or the search mode "hybrid".
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    weight: int
    setting: str = ""


@dataclass(frozen=True)
class Metric:
    """What is measured of each unit.

    kind: "rate" is 0 or 1 per unit (any positive outcome within its window); "mean" is the sum of
    its outcomes (0 without one).
    direction: where better is.
    guard: must not get worse, and never makes a winner.
    margin: the relative loss of a guard that is tolerated.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    kind: Literal["rate", "mean"]
    direction: Literal["up", "down"] = "up"
    guard: bool = False
    margin: float | None = None


@dataclass(frozen=True)
class ExperimentPlan:
    """What is compared, on whom, by what, and when it may be decided.

    variants: the first is the control.
    metrics: the first that is no guard is the primary one.
    layer: experiments of one layer exclude each other; None stands alone.
    share: the part of the layer's units (of all units, without layer) that take part.
    minimum_units: per variant; minimum_days, maximum_days: since the start.
    attribution_seconds: how long after its first exposure a unit's outcomes count.
    indifference: the relative lift below which "no difference" may be said.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    id: str
    variants: tuple[Variant, ...]
    metrics: tuple[Metric, ...]
    endpoint: Endpoint = "none"
    layer: str | None = None
    share: float = 1.0
    alpha: float = 0.05
    minimum_units: int = 500
    minimum_days: float = 7.0
    maximum_days: float | None = None
    attribution_seconds: float = _DAY
    indifference: float | None = None
    hypothesis: str = ""

    @property
    def control(self) -> Variant:
        """The variant that the others are compared with."""
        return self.variants[0]

    @property
    def primary(self) -> Metric:
        """The metric that decides."""
        return next(metric for metric in self.metrics if not metric.guard)

    @property
    def slots(self) -> int:
        """How many slots of its layer the plan asks for."""
        return round(self.share * SLOTS)


@dataclass(frozen=True)
class Decision:
    """How an experiment ended.

    outcome: "winner" or "no_difference", as judged; "by_hand" when a person chose before the
    statistics did. chosen: the variant that stays.
    """

    outcome: Literal["winner", "no_difference", "by_hand"]
    chosen: str
    reasons: tuple[str, ...]
    by: str
    at: datetime


@dataclass(frozen=True)
class Experiment:
    """An experiment as it is stored. All times are UTC.

    share: the part of its layer in use now, which is the plan's unless it was raised since.
    """

    plan: ExperimentPlan
    state: State
    share: float
    created: datetime
    started: datetime | None = None
    ended: datetime | None = None
    decision: Decision | None = None


def plan_of(fields: Mapping[str, Any]) -> ExperimentPlan:
    """The plan that `fields` (parsed JSON) describes.

    Raises PlanError naming every field that is absent, unknown, of the wrong type or out of range.
    """
    try:
        plan = PLANS.validate_json(json.dumps(fields))
    except (ValidationError, ValueError, TypeError) as error:
        raise _refused(_reading_faults(error)) from None
    require_valid(plan)
    return plan


def require_valid(plan: ExperimentPlan) -> None:
    """Raise PlanError naming everything that keeps the plan from being run."""
    faults = [*_name_and_share_faults(plan), *_limit_faults(plan)]
    faults += [*_variant_faults(plan), *_metric_faults(plan)]
    if faults:
        raise _refused(faults)


def _refused(faults: Iterable[str]) -> PlanError:
    return PlanError(
        f"The plan of the experiment cannot be run: {'; '.join(faults)}.",
        "Correct what is named and send the plan again.",
    )


def _reading_faults(error: Exception) -> Iterator[str]:
    if not isinstance(error, ValidationError):
        yield str(error)
        return
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        unknown = problem["type"] == "unexpected_keyword_argument"
        yield f"'{where}' is no field of a plan" if unknown else f"{where}: {problem['msg']}"


def is_id(text: str) -> bool:
    """Whether an experiment may have that id."""
    return _ID.fullmatch(text) is not None


def _name_and_share_faults(plan: ExperimentPlan) -> Iterator[str]:
    if not is_id(plan.id):
        yield f"id = {plan.id!r}: 1 to 63 of a-z, 0-9, - and _, beginning with a letter or digit"
    if plan.layer is not None and not _NAME.fullmatch(plan.layer):
        yield f"layer = {plan.layer!r} is no name of letters, digits, dots, - and _"
    if not 0 < plan.share <= 1 or plan.slots < 1:
        yield f"share = {plan.share}: above 0 and at most 1, in steps of {1 / SLOTS}"
    if len(plan.hypothesis) > _MOST_TEXT:
        yield f"hypothesis: at most {_MOST_TEXT} characters"


def _limit_faults(plan: ExperimentPlan) -> Iterator[str]:
    if not 0 < plan.alpha <= 0.5:
        yield f"alpha = {plan.alpha}: above 0 and at most 0.5"
    if not 2 <= plan.minimum_units <= _MOST_UNITS:
        yield f"minimum_units = {str(plan.minimum_units)[:20]}: 2 to {_MOST_UNITS}"
    if not 0 <= plan.minimum_days <= _MOST_DAYS:
        yield f"minimum_days = {plan.minimum_days}: 0 to {_MOST_DAYS}"
    most = plan.maximum_days
    if most is not None and not max(plan.minimum_days, 1 / _DAY) <= most <= _MOST_DAYS:
        yield f"maximum_days = {most}: at least minimum_days and at most {_MOST_DAYS}"
    if not 0 < plan.attribution_seconds <= _MOST_DAYS * _DAY:
        yield f"attribution_seconds = {plan.attribution_seconds}: above 0, at most a year"
    if plan.indifference is not None and not 0 < plan.indifference < math.inf:
        yield f"indifference = {plan.indifference}: a relative lift above 0"


def _variant_faults(plan: ExperimentPlan) -> Iterator[str]:
    if not 2 <= len(plan.variants) <= _MOST_VARIANTS:
        yield f"{len(plan.variants)} variants: 2 to {_MOST_VARIANTS}"
    yield from _name_faults("variant", [variant.name for variant in plan.variants])
    for variant in plan.variants:
        if not 1 <= variant.weight <= _MOST_WEIGHT:
            yield f"variant {variant.name!r}: weight {variant.weight} is not 1 to {_MOST_WEIGHT}"
        if plan.endpoint == "search" and variant.setting not in (*_SEARCH_MODES, *MODELS):
            yield f"variant {variant.name!r}: setting {variant.setting!r} is no search mode"
        if plan.endpoint == "find-similar" and not _NAME.fullmatch(variant.setting):
            yield f"variant {variant.name!r}: setting {variant.setting!r} is no model version"


def _metric_faults(plan: ExperimentPlan) -> Iterator[str]:
    if len(plan.metrics) > _MOST_METRICS:
        yield f"{len(plan.metrics)} metrics: at most {_MOST_METRICS}"
    if all(metric.guard for metric in plan.metrics):
        yield "metrics: one must not be a guard, to decide by"
    yield from _name_faults("metric", [metric.name for metric in plan.metrics])
    for metric in plan.metrics:
        observed = OBSERVED_GUARDS.get(metric.name)
        if observed and plan.endpoint == "none":
            yield f"metric {metric.name!r} is observed by the service, which answers nothing here"
        elif observed and (metric.kind, metric.direction, metric.guard) != (observed, "down", True):
            yield f"metric {metric.name!r} is observed: a guard, of kind {observed!r}, 'down'"
        if metric.margin is not None and not (metric.guard and 0 <= metric.margin < math.inf):
            yield f"metric {metric.name!r}: margin {metric.margin} is for guards, 0 or more"


def _name_faults(what: str, names: list[str]) -> Iterator[str]:
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"{what} {name!r} is no name of letters, digits, dots, - and _"
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"two {what}s are called {name!r}"


PLANS = TypeAdapter(ExperimentPlan)
"""Plans from JSON and to it; `plan_of` also looks whether they can be run."""
