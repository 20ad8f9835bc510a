"""Whether the variants got the shares of units that were planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, lgamma, log

from embedding_assets.errors import InputError

ALPHA = 0.001
"""How often a sound experiment is called unsound, over all looks together."""

_CONCENTRATION = 100.0


@dataclass(frozen=True)
class SampleRatio:
    """The units of each variant beside the planned shares.

    p_value: always-valid; is_sound: it did not fall to `alpha`.
    """

    counts: dict[str, int]
    planned: dict[str, float]
    p_value: float
    is_sound: bool
    alpha: float = ALPHA

    @property
    def units(self) -> int:
        """Units of all variants together."""
        return sum(self.counts.values())

    @property
    def observed(self) -> dict[str, float]:
        """The share of units that each variant got."""
        return {name: count / max(self.units, 1) for name, count in self.counts.items()}


def sample_ratio(counts: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Check the counts of units against the planned weights, at any time and as often as wanted.

    The inverse of the martingale of Lindon and Malek 2022, "Anytime-valid inference for multinomial
    count data" (NeurIPS), which bets on shares from a Dirichlet distribution around the planned
    ones. In a sound experiment the p-value ever falls to alpha with a probability of at most alpha.
    Its concentration of 100 units lets it see gross faults after a few hundred units, and costs
    little against a larger one later.

    weights: of every variant, above 0, of any scale. Raises InputError for others, and for counts
    of a variant without weight.
    """
    strangers = sorted(set(counts) - set(weights))
    if strangers or not all(0 < weight < float("inf") for weight in weights.values()):
        named = f"no weight for {', '.join(strangers)}" if strangers else f"weights {dict(weights)}"
        raise InputError(
            f"The sample ratio cannot be checked: {named}.", "Give each variant a weight above 0."
        )
    total = sum(weights.values())
    planned = {name: weight / total for name, weight in weights.items()}
    complete = {name: int(counts.get(name, 0)) for name in planned}
    p_value = exp(-max(_log_martingale(complete, planned), 0.0))
    return SampleRatio(complete, planned, p_value, p_value > ALPHA)


def _log_martingale(counts: Mapping[str, int], planned: Mapping[str, float]) -> float:
    result = lgamma(_CONCENTRATION) - lgamma(_CONCENTRATION + sum(counts.values()))
    for name, share in planned.items():
        prior = _CONCENTRATION * share
        result += lgamma(prior + counts[name]) - lgamma(prior) - counts[name] * log(share)
    return result
