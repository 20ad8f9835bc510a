"""The rows of the apps' two tables, with the gaps, repetitions and noise of real ones."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from samples.app_places import PLATFORMS, Apps, Floats, Numbers, seeded, themes

REPEATED = 0.12
MISSING = {"app_name": 0.02, "super_category": 0.04, "app_platform": 0.05}
# Of repeated rows, those that name another category.
CONFLICTING = 0.05

USUAL_RATE = 0.035
CATEGORY_EFFECT, THEME_EFFECT, PLATFORM_EFFECT = 0.5, 0.4, 0.15
# How close an app's own rate is to that of its category, theme and platform (of a beta).
CONCENTRATION = 180.0
NEVER_SHOWN = 0.07
MOST_ROWS = 6
USUAL_IMPRESSIONS, IMPRESSIONS_SPREAD, NO_IMPRESSIONS = 700.0, 1.1, 0.02
EVENTS_PER_CLICK, REVENUE_PER_EVENT, UNKNOWN = 0.25, 1.8, 0.15


def catalogue_rows(apps: Apps, seed: int) -> Iterator[Sequence[object]]:
    """The header, then each app once and some again further down, with other gaps."""
    rng = seeded(seed, "catalogue")
    count = len(apps.ids)
    again = np.flatnonzero(rng.random(count) < REPEATED)
    order = np.arange(count)
    if len(again):
        places = [rng.integers(number, count) + 1 for number in again]
        order = np.insert(order, places, again)
    gaps = rng.random((len(order), len(MISSING))) < [*MISSING.values()]
    names = [theme.category_name for theme in themes()]
    other = (rng.random(len(order)) < CONFLICTING) & _seen_before(order, count)
    yield ["app_id", *MISSING]
    for place, number in enumerate(order):
        theme = (apps.themes[number] + other[place] * len(themes()) // 2) % len(themes())
        values = (apps.names[number], names[theme], PLATFORMS[apps.platforms[number]])
        shown = ["" if gap else value for gap, value in zip(gaps[place], values, strict=True)]
        yield [apps.ids[number], *shown]


def _seen_before(order: Numbers, count: int) -> npt.NDArray[np.bool_]:
    first = np.full(count, len(order))
    np.minimum.at(first, order, np.arange(len(order)))
    return first[order] < np.arange(len(order))


def performance_rows(apps: Apps, seed: int) -> Iterator[Sequence[object]]:
    """The header, then the rows of most apps in no order."""
    rng = seeded(seed, "performance")
    rates = _rates(apps, seed, rng)
    counts = rng.integers(1, MOST_ROWS + 1, len(rates)) * (rng.random(len(rates)) >= NEVER_SHOWN)
    counts[0] = max(1, counts[0])  # A table without rows would be no sample.
    number = rng.permutation(np.repeat(np.arange(len(rates)), counts))
    impressions = rng.lognormal(np.log(USUAL_IMPRESSIONS), IMPRESSIONS_SPREAD, len(number))
    impressions = impressions.astype(np.int64) * (rng.random(len(number)) >= NO_IMPRESSIONS)
    clicks = rng.binomial(impressions, rates[number])
    events = rng.binomial(clicks, EVENTS_PER_CLICK)
    revenue = rng.gamma(np.maximum(events, 1e-9), REVENUE_PER_EVENT)
    unknown = rng.random((2, len(number))) < UNKNOWN
    yield ["app_id", "clicks", "impressions", "event_count", "mmp_offer_default_revenue"]
    for place, app in enumerate(number):
        known_events = "" if unknown[0, place] else events[place]
        known_revenue = "" if unknown[1, place] else f"{revenue[place]:.2f}"
        yield [apps.ids[app], clicks[place], impressions[place], known_events, known_revenue]


def _rates(apps: Apps, seed: int, rng: np.random.Generator) -> Floats:
    """Each app's click rate: beta-distributed around that of its category, theme and platform."""
    fixed = seeded(seed, "rates")
    of_category = CATEGORY_EFFECT * fixed.standard_normal(len(themes()))
    of_theme = THEME_EFFECT * fixed.standard_normal(len(themes()))
    of_platform = PLATFORM_EFFECT * fixed.standard_normal(len(PLATFORMS))
    effect = of_category[apps.categories] + of_theme[apps.themes] + of_platform[apps.platforms]
    usual = 1 / (1 + np.exp(-np.log(USUAL_RATE / (1 - USUAL_RATE)) - effect))
    return rng.beta(CONCENTRATION * usual, CONCENTRATION * (1 - usual))
