"""Analyses and simulations as text for people."""

from collections.abc import Iterable, Sequence

from embedding_assets.experiments.decision import Judgement
from embedding_assets.experiments.offline import Analysis
from embedding_assets.experiments.scenarios import Simulation
from embedding_assets.experiments.simulate import Simulated
from embedding_assets.experiments.wording import change, p_value, percent, value

_DECISIONS = {
    "winner": "{} wins",
    "no_difference": "no difference",
    "keep_going": "none yet, keep going",
    "invalid": "invalid",
}


def analysis_text(analysis: Analysis) -> str:
    """What a file shows: a table of the variants, what was left out, and the decision."""
    judgement, metric = analysis.judgement, analysis.metric
    kind = "share of units" if metric.kind == "rate" else "mean per unit"
    lines = [
        f"{analysis.file}: {analysis.units:,} units in {analysis.rows:,} rows",
        f"{metric.name}: {kind}, {'lower' if metric.direction == 'down' else 'higher'} is better",
        "",
        *_table(_variant_rows(analysis)),
        "",
        *_notes(analysis),
        "",
        f"Decision: {decision_text(judgement)}",
        *(f"- {reason}" for reason in judgement.reasons),
    ]
    return "\n".join(lines)


def decision_text(judgement: Judgement) -> str:
    """The decision in a few words: "v2 wins", "none yet, keep going"."""
    return _DECISIONS[judgement.decision].format(judgement.winner)


def simulation_text(simulation: Simulation) -> str:
    """Two tables: false winners where nothing differs, found winners where one is better."""
    head: tuple[str, ...] = ("", "t-test each time", "always-valid", "one t-test, at the end")
    lines = _title(simulation.same, "A/A, nothing differs: share with a (false) winner")
    lines += _table([head, *((one.scenario.name, *_shares(one)) for one in simulation.same)])
    if simulation.different:
        head = ("", "lift", "always-valid", "after units, mean", "one t-test, at the end")
        lines += ["", *_title(simulation.different, "A/B, the last variant is better: share found")]
        lines += _table([head, *map(_found_row, simulation.different)])
    return "\n".join(lines)


def _title(simulated: Sequence[Simulated], text: str) -> list[str]:
    first = simulated[0].scenario
    return [
        f"{text}; {first.experiments:,} experiments of {first.units:,} units, "
        f"peeked at {first.peeks} times"
    ]


def _shares(one: Simulated) -> tuple[str, ...]:
    return tuple(f"{100 * share:.1f} %" for share in (one.repeated, one.always_valid, one.single))


def _found_row(one: Simulated) -> tuple[str, ...]:
    units = "" if one.units_at_decision is None else f"{one.units_at_decision:,.0f}"
    found, single = f"{100 * one.right:.1f} %", f"{100 * one.single:.1f} %"
    return (one.scenario.name, f"{100 * one.scenario.lift:+g} %", found, units, single)


def _variant_rows(analysis: Analysis) -> Iterable[tuple[str, ...]]:
    ratio, kind = analysis.judgement.sample_ratio, analysis.metric.kind
    yield ("variant", "units", "share", "planned", "rate" if kind == "rate" else "mean", "lift")
    found = {one.variant: one for one in analysis.judgement.comparisons}
    for name, sample in analysis.samples.items():
        yield (
            name,
            f"{sample.n:,}",
            percent(ratio.observed[name]),
            percent(ratio.planned[name]),
            value(kind, sample.mean),
            f"{change(found[name])}, {p_value(found[name].p_value)}" if name in found else "",
        )


def _notes(analysis: Analysis) -> Iterable[str]:
    ratio = analysis.judgement.sample_ratio
    state = "as planned" if ratio.is_sound else "not as planned"
    assumed = " (an equal split is assumed, as no weights were given)"
    yield (
        f"Sample ratio: {state}, always-valid {p_value(ratio.p_value)}"
        f"{assumed if analysis.is_split_assumed else ''}"
    )
    if analysis.excluded_units:
        yield f"Left out: {analysis.excluded_units:,} units that were seen in several variants"
    if analysis.reduction:
        yield (
            f"Covariate: takes away {percent(analysis.reduction.variance)} of the variance; "
            f"{percent(analysis.reduction.missing)} of the units have none"
        )


def _table(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Rows in columns, of which the first stands on the left."""
    cells = list(rows)
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if place == 0 else text.rjust(width)
            for place, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
