"""Outcomes of apps whose click rates depend on their vectors and categories as much as is asked."""

from dataclasses import replace

import numpy as np

from embedding_assets.apps.outcomes import AppOutcomes


def made_outcomes(count, seed=0, *, signal=1.0, spread=0.2, skew=1.0):
    """Apps of six categories; `signal` 0 lets neither vector nor category matter."""
    chance = np.random.default_rng(seed)
    category = chance.integers(0, 6, count)
    vectors = chance.normal(size=(6, 8))[category] + chance.normal(size=(count, 8))
    odds = -3.5 + signal * (vectors @ chance.normal(size=8)) / 5
    odds += spread * chance.normal(size=count)
    impressions = chance.lognormal(7, skew, count).astype(np.int64) + 1
    return AppOutcomes(
        tuple(f"APP_{number:05}" for number in range(count)),
        vectors.astype(np.float32),
        tuple(f"category {number}" for number in category),
        tuple([None, "ios", "android"][number] for number in chance.integers(0, 3, count)),
        chance.binomial(impressions, 1 / (1 + np.exp(-odds))),
        impressions,
    )


def shuffled(outcomes, seed):
    """The same apps, each with the clicks and impressions of another one."""
    order = np.random.default_rng(seed).permutation(len(outcomes.app_ids))
    return replace(outcomes, clicks=outcomes.clicks[order], impressions=outcomes.impressions[order])


def part(outcomes, rows):
    """Some of the apps."""
    return AppOutcomes(
        tuple(outcomes.app_ids[row] for row in rows),
        outcomes.vectors[rows],
        tuple(outcomes.categories[row] for row in rows),
        tuple(outcomes.platforms[row] for row in rows),
        outcomes.clicks[rows],
        outcomes.impressions[rows],
    )
