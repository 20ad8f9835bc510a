"""Experiments from their plan to their decision."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from time import monotonic
from typing import TYPE_CHECKING, Any

from embedding_assets.database import open_engine, reading, writing
from embedding_assets.experiments import events
from embedding_assets.experiments.analysis import Analysis, analyse
from embedding_assets.experiments.assignment import Assigner, Slots, reserve, size, unit_key
from embedding_assets.experiments.choices import Choice, decide, require_choice
from embedding_assets.experiments.outcomes import (
    Outcome,
    Recorded,
    covariate_values,
    outcome_rows,
    require_units,
)
from embedding_assets.experiments.plan import (
    SLOTS,
    Experiment,
    ExperimentConflictError,
    ExperimentPlan,
    PlanError,
    State,
    Variant,
    require_valid,
)
from embedding_assets.experiments.store import (
    ExperimentStore,
    Stored,
    add,
    change,
    exists,
    find,
    micros,
    running,
)

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine

_REMEMBER_SECONDS = 1.0
_UNDECIDED: tuple[State, ...] = ("running", "stopped")


class ABTestController:
    """Creates experiments, assigns their units, keeps what happens, judges and ends them.

    Any number of processes may work with one database at once. Every method raises
    DatabaseUnavailableError when it cannot be reached, and UnknownExperimentError for an id that
    there is not.
    """

    def __init__(
        self,
        database: "Engine | str",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`database` is an engine, or a URL as `open_engine` takes it."""
        engine = open_engine(database) if isinstance(database, str) else database
        self.store = ExperimentStore(engine)
        self._clock = clock
        self._assigners: dict[str, tuple[float, Stored, Assigner]] = {}

    def create(self, plan: ExperimentPlan) -> Experiment:
        """Keep the plan as a draft.

        Raises PlanError for a plan that cannot be run, ExperimentConflictError for an id in use.
        """
        require_valid(plan)
        with self.store.changing() as connection:
            if exists(connection, plan.id):
                raise ExperimentConflictError(
                    f"There is an experiment {plan.id!r} already.", "Give the new one another id."
                )
            add(connection, plan, self._clock())
            return find(connection, plan.id).experiment

    def experiments(self) -> list[Experiment]:
        """Every experiment, the newest first."""
        return [stored.experiment for stored in self.store.all()]

    def find(self, id: str) -> Experiment:
        """One experiment."""
        return self.store.find(id).experiment

    def start(self, id: str) -> Experiment:
        """Let a draft run: from now on its share of the layer is its own.

        Raises ExperimentConflictError when it is no draft, when its layer has too few units left,
        or when another experiment, not of its layer, runs on its endpoint.
        """
        with self.store.changing() as connection:
            stored = _in_state(find(connection, id), "started", "draft")
            others = running(connection)
            _require_free_endpoint(stored.plan, others)
            slots = _reserved(stored, stored.plan.slots, others)
            return self._changed(connection, stored, slots, state="running", started=self._clock())

    def raise_share(self, id: str, share: float) -> Experiment:
        """Give a running experiment more of its layer; units that take part go on as they are.

        Raises PlanError for a share below the present one, ExperimentConflictError when it does not
        run or its layer has too few units left.
        """
        with self.store.changing() as connection:
            stored = _in_state(find(connection, id), "given more units", "running")
            if not stored.experiment.share <= share <= 1:
                raise PlanError(
                    f"{id} has a share of {stored.experiment.share:g} and cannot get {share:g}.",
                    "Give a larger one, at most 1: units that take part must not leave.",
                )
            slots = _reserved(stored, round(share * SLOTS), running(connection))
            return self._changed(connection, stored, slots)

    def stop(self, id: str) -> Experiment:
        """End a running experiment, to be decided later; its share of the layer is free again.

        Raises ExperimentConflictError when it does not run.
        """
        with self.store.changing() as connection:
            stored = _in_state(find(connection, id), "stopped", "running")
            return self._changed(
                connection, stored, stored.slots, state="stopped", ended=self._clock()
            )

    def assign(self, id: str, unit: str) -> Variant | None:
        """The variant of the unit, the same at every time; None when it takes no part.

        What is known of the experiment may be a second old. Raises ExperimentConflictError when it
        does not run, OutcomeError for a unit of no or very many characters.
        """
        require_units([unit])
        stored, assigner = self._assigner(id)
        index = assigner.variant(unit)
        return None if index is None else stored.plan.variants[index]

    def expose(self, id: str, units: Iterable[str]) -> dict[str, Variant]:
        """Note that the units see their variants now, and tell these; left out: who takes no part.

        Raises ExperimentConflictError when the experiment does not run.
        """
        stored, assigner = self._assigner(id)
        seen = {unit: assigner.variant(unit) for unit in units}
        require_units(list(seen))
        rows = [
            events.ExposureRow(
                stored.number, unit_key(stored.salt, unit), index, micros(self._clock())
            )
            for unit, index in seen.items()
            if index is not None
        ]
        with writing(self.store.engine) as connection:
            events.add_exposures(connection, rows)
        return {u: stored.plan.variants[index] for u, index in seen.items() if index is not None}

    def record(self, id: str, outcomes: Iterable[Outcome]) -> Recorded:
        """Keep what units did; each id counts once, however often it is sent.

        When this returns, what was accepted is durable. Outcomes of units that were never exposed
        are not kept; they may be sent again when the unit was. Raises OutcomeError when one cannot
        be used (then none is kept), ExperimentConflictError for a draft or a decided experiment.
        """
        stored = self.store.find(id)
        _in_state(stored, "given outcomes", *_UNDECIDED)
        sent = outcome_rows(stored, list(outcomes), self._clock())
        with writing(self.store.engine) as connection:
            exposed = events.exposed(connection, stored.number, set(sent.units))
            rows = [row for row in sent.rows if row.unit in exposed]
            accepted = events.add_outcomes(connection, rows)
        unknown = tuple(name for key, name in sent.units.items() if key not in exposed)
        return Recorded(accepted, len(rows) - accepted, unknown)

    def add_covariates(self, id: str, values: Mapping[str, float]) -> None:
        """Keep what was known of units before the experiment, to take noise out of its metrics.

        Raises ExperimentConflictError when it has ended. A value that the experiment could have
        changed makes its result wrong.
        """
        stored = _in_state(self.store.find(id), "given covariates", "draft", "running")
        keyed = covariate_values(stored, values)
        with writing(self.store.engine) as connection:
            events.add_covariates(connection, stored.number, keyed)

    def analyse(self, id: str) -> Analysis:
        """What may be said of the experiment now."""
        with reading(self.store.engine) as connection:
            return analyse(connection, find(connection, id), self._clock())

    def decide(self, id: str, by: str, choice: Choice | None = None) -> Experiment:
        """End the experiment as it is judged now, or as a person chooses, and keep why.

        by: who decides. choice: before or against the judgement. Raises ExperimentConflictError
        when it neither runs nor was stopped, when its result is invalid, or when nothing can be
        said yet and nothing was chosen; DecisionError for a choice without variant or reason.
        """
        stored = _in_state(self.store.find(id), "decided", *_UNDECIDED)
        require_choice(stored.plan, by, choice)
        decision = decide(self.analyse(id), by, choice)
        with self.store.changing() as connection:
            stored = _in_state(find(connection, id), "decided", *_UNDECIDED)
            ended = stored.experiment.ended or decision.at
            return self._changed(
                connection, stored, stored.slots, state="decided", ended=ended, decision=decision
            )

    def _assigner(self, id: str) -> tuple[Stored, Assigner]:
        known = self._assigners.get(id)
        if known is None or monotonic() - known[0] > _REMEMBER_SECONDS:
            stored = self.store.find(id)
            known = self._assigners[id] = (monotonic(), stored, stored.assigner())
        _in_state(known[1], "given units", "running")
        return known[1], known[2]

    def _changed(
        self, connection: "Connection", stored: Stored, slots: Slots, **values: Any
    ) -> Experiment:
        changed = replace(stored, slots=slots, experiment=replace(stored.experiment, **values))
        change(connection, changed)
        self._assigners.pop(stored.plan.id, None)
        return find(connection, stored.plan.id).experiment


def _in_state(stored: Stored, asked: str, *states: State) -> Stored:
    if stored.experiment.state not in states:
        raise ExperimentConflictError(
            f"{stored.plan.id} is {stored.experiment.state} and cannot be {asked}.",
            f"Only what is {' or '.join(states)} can.",
        )
    return stored


def _require_free_endpoint(plan: ExperimentPlan, others: Iterable[Stored]) -> None:
    for other in others:
        is_apart = plan.layer is not None and plan.layer == other.plan.layer
        if plan.endpoint == other.plan.endpoint != "none" and not is_apart:
            raise ExperimentConflictError(
                f"{other.plan.id} runs on {plan.endpoint} already.",
                "Stop it first, or plan both in the same layer, each with a share of it.",
            )


def _reserved(stored: Stored, count: int, others: Iterable[Stored]) -> Slots:
    layer = stored.plan.layer
    taken = [
        other.slots
        for other in others
        if layer is not None and other.plan.layer == layer and other.number != stored.number
    ]
    slots = reserve(count, taken, stored.slots)
    if slots is None:
        free = (SLOTS - sum(map(size, taken))) / SLOTS
        raise ExperimentConflictError(
            f"Layer {layer} has {free:.2%} of its units left, {stored.plan.id} needs "
            f"{count / SLOTS:.2%}.",
            "Stop another experiment of the layer, or plan a smaller share.",
        )
    return slots
