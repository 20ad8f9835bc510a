"""Judges an experiment that ran elsewhere, from a CSV file."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from pathlib import Path
from typing import Literal

import numpy as np

from embedding_assets.errors import InputError
from embedding_assets.experiments.comparisons import Curve, curves
from embedding_assets.experiments.cuped import Observed, adjust
from embedding_assets.experiments.decision import Judgement, judge
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.experiments.samples import Sample
from embedding_assets.experiments.units import Columns, Units, read_units

_LOOKS = 50
_MOST_VARIANTS = 100


@dataclass(frozen=True)
class Setup:
    """How the experiment was meant.

    control: the variant that the others are compared with; by default the one called "control",
    else the first by name. weights: the planned split, by default equal.
    """

    control: str | None = None
    weights: Mapping[str, int] | None = None
    lower_is_better: bool = False
    minimum_units: int = 100
    alpha: float = 0.05


@dataclass(frozen=True)
class Reduction:
    """What a covariate did: the slope, the share of variance it took away, units without one."""

    theta: float
    variance: float
    missing: float


@dataclass(frozen=True)
class Analysis:
    """What a file shows.

    excluded_units: seen in more than one variant, left out. samples: by variant, adjusted where
    there is a covariate. curves: what would have been seen after each fiftieth of the units.
    """

    file: str
    metric: Metric
    control: str
    rows: int
    units: int
    excluded_units: int
    is_split_assumed: bool
    reduction: Reduction | None
    samples: dict[str, Sample]
    judgement: Judgement
    curves: tuple[Curve, ...]


def analyse(path: Path, columns: Columns, setup: Setup | None = None) -> Analysis:
    """The judgement of the experiment in a CSV file with one or several rows per unit.

    A unit's rows are summed. If every unit's sum is then 0 or 1, the metric is a rate, else a mean
    per unit. Raises what `read_units` raises, and InputError for fewer than two variants, and for a
    control or weights that are not those of the file.
    """
    setup = setup or Setup()
    units = read_units(path, columns)
    plan = _plan(units, columns, setup)
    looks = _looks(units, plan)
    last = adjust(looks[-1])
    reduction = Reduction(last.theta, last.reduction, last.missing)
    counts = {name: sample.n for name, sample in last.samples.items()}
    return Analysis(
        file=str(path),
        metric=plan.primary,
        control=plan.control.name,
        rows=units.rows,
        units=sum(counts.values()),
        excluded_units=units.excluded,
        is_split_assumed=setup.weights is None,
        reduction=reduction if columns.covariate else None,
        samples=last.samples,
        judgement=judge(plan, {plan.primary.name: last.samples}, counts, 0.0),
        curves=curves(plan, [{plan.primary.name: adjust(look).samples} for look in looks]),
    )


def _plan(units: Units, columns: Columns, setup: Setup) -> ExperimentPlan:
    names = sorted(set(units.variants.tolist()))
    if not 2 <= len(names) <= _MOST_VARIANTS:
        raise InputError(
            f"The column '{columns.variant}' holds {len(names):,} variants ({_list(names)}).",
            f"An experiment has 2 to {_MOST_VARIANTS}; check that it is the right column.",
        )
    control = setup.control or ("control" if "control" in names else names[0])
    weights = setup.weights or dict.fromkeys(names, 1)
    if control not in names or set(weights) != set(names) or min(weights.values()) < 1:
        given = f"control '{control}', weights {_list(sorted(weights))}"
        raise InputError(
            f"The variants of the file are {_list(names)}, which do not go with {given}.",
            "Name a variant of the file as control, and give each a whole weight above 0.",
        )
    ordered = [control, *(name for name in names if name != control)]
    is_rate = bool(np.isin(units.values, (0.0, 1.0)).all())
    direction: Literal["up", "down"] = "down" if setup.lower_is_better else "up"
    return ExperimentPlan(
        id="offline",
        variants=tuple(Variant(name, weights[name]) for name in ordered),
        metrics=(Metric(columns.metric, "rate" if is_rate else "mean", direction),),
        alpha=setup.alpha,
        minimum_units=setup.minimum_units,
        minimum_days=0.0,
    )


def _list(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _looks(units: Units, plan: ExperimentPlan) -> list[dict[str, Observed]]:
    """What each variant has shown after each part of the units, of which the last is all."""
    looks = min(_LOOKS, len(units.values))
    part = np.arange(len(units.values)) * looks // len(units.values)
    running = []
    for variant in plan.variants:
        is_ours = units.variants == variant.name
        values, covariates = units.values[is_ours], units.covariates[is_ours]
        edges = np.searchsorted(part[is_ours], np.arange(1, looks))
        pieces = zip(np.split(values, edges), np.split(covariates, edges), strict=True)
        running.append(accumulate((Observed.of(*piece) for piece in pieces), add))
    names = [variant.name for variant in plan.variants]
    return [dict(zip(names, look, strict=True)) for look in zip(*running, strict=True)]
