"""What an experiment has shown, in plain words with numbers."""

from embedding_assets.experiments.comparisons import Comparison
from embedding_assets.experiments.plan import ExperimentPlan
from embedding_assets.experiments.ratio import SampleRatio


def percent(share: float) -> str:
    """A share with three digits: "4.71 %"."""
    return f"{_digits(100 * share)} %"


def signed_percent(share: float) -> str:
    """A change with its sign, and one decimal where it is small: "+11 %", "-0.4 %"."""
    change = 100 * share
    return f"{change:+.0f} %" if abs(change) >= 9.95 else f"{change:+.1f} %"


def value(kind: str, mean: float) -> str:
    """A mean as people read it: a rate in percent."""
    return percent(mean) if kind == "rate" else _digits(mean)


def p_value(p: float) -> str:
    """A p-value, with a floor where its digits say nothing more: "p = 0.0023", "p < 0.0001"."""
    return "p < 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def finding(found: Comparison) -> str:
    """A comparison in one sentence: both means, the lift with its interval, the units."""
    return (
        f"{found.metric}: {value(found.kind, found.mean)} with {found.variant} against "
        f"{value(found.kind, found.control_mean)} with {found.control}, {change(found)} "
        f"after {found.n_control + found.n:,} units"
    )


def change(found: Comparison) -> str:
    """The lift and its interval; the difference where no lift can be given."""
    level = f"{_digits(100 * found.level)} % always-valid interval"
    if found.lift is not None and found.lift_low is not None and found.lift_high is not None:
        bounds = f"{signed_percent(found.lift_low)} to {signed_percent(found.lift_high)}"
        return f"{signed_percent(found.lift)} ({level} {bounds})"
    if found.low is None or found.high is None:
        return "too few events for an interval"
    scale, unit = (100, " points") if found.kind == "rate" else (1, "")
    bounds = f"{scale * found.low:+.3g} to {scale * found.high:+.3g}{unit}"
    return f"{scale * found.difference:+.3g}{unit} ({level} {bounds})"


def breach(plan: ExperimentPlan, found: Comparison) -> str:
    """Why a guard bars a variant."""
    margin = next(m.margin for m in plan.metrics if m.name == found.metric) or 0.0
    allowed = f"more than the {percent(margin)} that are tolerated" if margin else "certainly"
    return f"{found.variant} cannot win, it worsens a guard {allowed}; {finding(found)}"


def mismatch(ratio: SampleRatio) -> str:
    """Why the sample ratio makes an experiment invalid."""
    shares = ", ".join(
        f"{name} {percent(share)} instead of {percent(ratio.planned[name])}"
        for name, share in ratio.observed.items()
    )
    return (
        f"The units are not split as planned: {shares} of {ratio.units:,} units "
        f"(always-valid {p_value(ratio.p_value)}, limit {ratio.alpha:g}). Something loses or adds "
        "units in one variant, so the variants cannot be compared; find out what, then start anew"
    )


def _digits(number: float) -> str:
    rounded = float(f"{number:.3g}")
    return f"{rounded:,.0f}" if 1_000 <= abs(rounded) < 1e15 else f"{rounded:g}"
