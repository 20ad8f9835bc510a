"""How an experiment is decided: as it was judged, or as a person chooses."""

from dataclasses import dataclass

from embedding_assets.errors import InputError
from embedding_assets.experiments.analysis import Analysis
from embedding_assets.experiments.plan import Decision, ExperimentConflictError, ExperimentPlan

_MOST_CHARACTERS = 500


class DecisionError(InputError):
    """A decision lacks who made it, or a choice its variant or its reason."""


@dataclass(frozen=True)
class Choice:
    """What a person decides, before or against the statistics, and why."""

    variant: str
    reason: str


def require_choice(plan: ExperimentPlan, by: str, choice: Choice | None) -> None:
    """Raise DecisionError unless all that a decision needs is said."""
    names = [variant.name for variant in plan.variants]
    if choice is not None and choice.variant not in names:
        raise DecisionError(
            f"{plan.id} has no variant {choice.variant!r}.", f"Choose one of {', '.join(names)}."
        )
    said = [by] if choice is None else [by, choice.reason]
    if not all(0 < len(text.strip()) <= _MOST_CHARACTERS for text in said):
        raise DecisionError(
            "A decision needs who decides, and a choice its reason.",
            f"Say so in 1 to {_MOST_CHARACTERS} characters.",
        )


def decide(found: Analysis, by: str, choice: Choice | None) -> Decision:
    """The decision that follows.

    Raises ExperimentConflictError for an invalid result, and when nothing can be said yet and
    nothing was chosen.
    """
    plan, judgement, at = found.experiment.plan, found.judgement, found.at
    if judgement.decision == "invalid":
        raise ExperimentConflictError(
            f"{plan.id} cannot be decided: {' '.join(judgement.reasons)}",
            "Stop it, find the fault and begin a new experiment.",
        )
    if choice is not None:
        return Decision("by_hand", choice.variant, (choice.reason, *judgement.reasons), by, at)
    if judgement.decision == "keep_going":
        raise ExperimentConflictError(
            f"{plan.id} cannot be decided yet: {' '.join(judgement.reasons)}",
            "Let it run on, or choose a variant and say why.",
        )
    winner = judgement.winner or plan.control.name
    return Decision(judgement.decision, winner, judgement.reasons, by, at)
