"""What may be said of an experiment now: a winner, no difference, keep going, or invalid."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from embedding_assets.experiments import wording
from embedding_assets.experiments.comparisons import Comparison, Samples, compare, compare_all
from embedding_assets.experiments.plan import ExperimentPlan
from embedding_assets.experiments.ratio import SampleRatio, sample_ratio

Outcome = Literal["winner", "no_difference", "keep_going", "invalid"]


@dataclass(frozen=True)
class Judgement:
    """The decision, why, and the numbers behind it.

    winner: the variant that should stay; the control, where every other is worse or barred.
    """

    decision: Outcome
    winner: str | None
    reasons: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    sample_ratio: SampleRatio


@dataclass(frozen=True)
class Verdict:
    """A decision and its reasons."""

    decision: Outcome
    reasons: tuple[str, ...]
    winner: str | None = None


@dataclass(frozen=True)
class Evidence:
    """All comparisons of an experiment after so many days."""

    plan: ExperimentPlan
    samples: Samples
    comparisons: tuple[Comparison, ...]
    days: float

    @property
    def breaches(self) -> tuple[Comparison, ...]:
        """Guards that are certainly worse than allowed."""
        return tuple(found for found in self.comparisons if found.is_breached)

    @property
    def open(self) -> tuple[Comparison, ...]:
        """The primary metric of each variant that no guard bars."""
        barred = {found.variant for found in self.breaches}
        ours = (one for one in self.comparisons if one.metric == self.plan.primary.name)
        return tuple(found for found in ours if found.variant not in barred)

    @property
    def findings(self) -> tuple[str, ...]:
        """The open comparisons in words."""
        return tuple(wording.finding(found) for found in self.open)

    @property
    def is_over(self) -> bool:
        """No more time is planned."""
        return self.plan.maximum_days is not None and self.days >= self.plan.maximum_days


def judge(
    plan: ExperimentPlan, samples: Samples, exposures: Mapping[str, int], days: float
) -> Judgement:
    """The decision of an experiment after so many days; it may be asked for at any time and often.

    samples: of units whose value is final, by metric and variant. exposures: all units, by variant.
    The first rule that applies decides:

    1. The sample ratio is not as planned: invalid.
    2. Guards bar variants that are certainly worse than their margin; if all are barred, the
       control wins at once.
    3. A variant has fewer than `minimum_units`, or fewer than `minimum_days` have passed: keep
       going, until `maximum_days` are over.
    4. Of the variants that certainly beat the control the best wins, unless it is certainly worse
       than another that may win. The control wins if every other is certainly worse or barred.
    5. All variants that may win are certainly within the indifference margin: no difference.
    6. `maximum_days` are over: no difference that could be shown. Otherwise: keep going.

    "Certainly" is meant at the plan's alpha, over all looks together (`comparisons.mixture_of`).
    Raises InputError for exposures of a variant that is not in the plan.
    """
    ratio = sample_ratio(exposures, {variant.name: variant.weight for variant in plan.variants})
    evidence = Evidence(plan, samples, compare_all(plan, samples), days)
    verdict = _verdict(evidence, ratio)
    reasons = tuple(f"{reason}." for reason in verdict.reasons)
    return Judgement(verdict.decision, verdict.winner, reasons, evidence.comparisons, ratio)


def _verdict(evidence: Evidence, ratio: SampleRatio) -> Verdict:
    if not ratio.is_sound:
        return Verdict("invalid", (wording.mismatch(ratio),))
    barring = tuple(wording.breach(evidence.plan, found) for found in evidence.breaches)
    control = evidence.plan.control.name
    if not evidence.open:
        return Verdict("winner", (*barring, f"{control} stays"), control)
    waiting = tuple(_waiting(evidence))
    verdict = None if waiting else _winner(evidence) or _within_margin(evidence)
    verdict = verdict or _over(evidence, waiting) or _keep_going(evidence, waiting)
    silent = tuple(_silent(evidence))
    return Verdict(verdict.decision, (*verdict.reasons, *barring, *silent), verdict.winner)


def _silent(evidence: Evidence) -> Iterator[str]:
    """The guards of which nothing is known: they keep nobody from winning, and that is said."""
    for metric in evidence.plan.metrics:
        seen = [found for found in evidence.comparisons if found.metric == metric.name]
        if metric.guard and seen and not any(found.n and found.n_control for found in seen):
            yield f"The guard {metric.name} has seen nothing yet"


def _waiting(evidence: Evidence) -> Iterator[str]:
    plan = evidence.plan
    units = {plan.control.name: min(found.n_control for found in evidence.open)}
    units |= {found.variant: found.n for found in evidence.open}
    for name, count in units.items():
        if count < plan.minimum_units:
            yield f"{name} has {count:,} of the {plan.minimum_units:,} units that it needs at least"
    if evidence.days < plan.minimum_days:
        yield f"{evidence.days:.1f} of at least {plan.minimum_days:g} days have passed"


def _winner(evidence: Evidence) -> Verdict | None:
    control = evidence.plan.control.name
    beating = [found for found in evidence.open if found.is_better]
    if not beating:
        if all(found.is_worse for found in evidence.open):
            reasons = (f"{control} wins: nothing that could win beats it", *evidence.findings)
            return Verdict("winner", reasons, control)
        return None
    sign = 1 if evidence.plan.primary.direction == "up" else -1
    best = max(beating, key=lambda found: sign * found.mean)
    others = [found for found in evidence.open if found != best]
    rivals = [_against(evidence, other, best) for other in others]
    if any(rival.is_worse for rival in rivals):
        return None
    unsure = (
        f"{best.variant} is not certainly better than {rival.control}: {wording.change(rival)}"
        for rival in rivals
        if not rival.is_better
    )
    findings = (wording.finding(found) for found in others)
    return Verdict("winner", (wording.finding(best), *findings, *unsure), best.variant)


def _against(evidence: Evidence, other: Comparison, best: Comparison) -> Comparison:
    plan = evidence.plan
    return compare(plan, plan.primary, evidence.samples, (other.variant, best.variant))


def _within_margin(evidence: Evidence) -> Verdict | None:
    margin = evidence.plan.indifference
    if margin is None or not all(found.is_within(margin) for found in evidence.open):
        return None
    reason = f"Any difference is smaller than the {wording.percent(margin)} that matter"
    return Verdict("no_difference", (reason, *evidence.findings))


def _over(evidence: Evidence, waiting: tuple[str, ...]) -> Verdict | None:
    if not evidence.is_over:
        return None
    limit = f"{evidence.plan.maximum_days:g}"
    reason = f"{evidence.days:.1f} days have passed, at most {limit} were planned, and none has won"
    return Verdict("no_difference", (reason, *waiting, *evidence.findings))


def _keep_going(evidence: Evidence, waiting: tuple[str, ...]) -> Verdict:
    unclear = () if waiting else ("It is not yet certain which variant is best",)
    return Verdict("keep_going", (*waiting, *evidence.findings, *unclear))
