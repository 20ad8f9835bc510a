import numpy as np
import pytest
from scipy.stats import betabinom

from embedding_assets.apps.rates import RatePrior, fit_prior, from_logit, log_loss, logit

PRIOR = RatePrior(
    overall=0.1, overall_concentration=50.0, categories=np.array([0.2, 0.4]), concentration=100.0
)


def counts(*values):
    return np.array(values, dtype=np.int64)


def test_a_rate_is_shrunk_towards_its_category_by_as_many_impressions_as_the_concentration():
    found = PRIOR.posterior(counts(10, 900, 10), counts(100, 900, 100), counts(0, 1, -1))
    assert found.mean == pytest.approx([30 / 200, 940 / 1000, 15 / 150])


def test_without_impressions_the_rate_is_what_is_expected():
    found = PRIOR.posterior(counts(0, 0), counts(0, 0), counts(1, -1))
    assert found.mean == pytest.approx([0.4, 0.1])


def test_the_reliability_is_the_share_of_the_own_clicks():
    found = PRIOR.reliability(counts(0, 100, 150), counts(0, 0, -1))
    assert found == pytest.approx([0.0, 0.5, 0.75])


def test_the_credible_interval_narrows_with_impressions():
    low, high = PRIOR.posterior(counts(2, 2_000), counts(10, 10_000), counts(0, 0)).interval(0.9)
    assert low[0] < low[1] < 0.2 < high[1] < high[0]
    assert (low[0], high[0]) == pytest.approx((0.1413, 0.2653), abs=1e-3)


def test_two_apps_that_differ_give_the_concentration_of_the_method_of_moments():
    prior = fit_prior(counts(10, 30), counts(100, 100), counts(0, 0), 1)
    # (0.02 - 0.0016) / (0.16 - 0.0016) is the correlation of the impressions of an app.
    assert prior.concentration == pytest.approx(0.1584 / 0.0184 - 1)
    assert prior.overall == pytest.approx(0.2)


def test_the_spread_and_the_rates_that_made_the_clicks_are_found_again():
    chance = np.random.default_rng(3)
    category = chance.integers(0, 10, 4_000)
    true = np.linspace(0.01, 0.1, 10)
    rates = chance.beta(true[category] * 80, (1 - true[category]) * 80)
    impressions = chance.lognormal(5, 2, 4_000).astype(np.int64)
    prior = fit_prior(chance.binomial(impressions, rates), impressions, category, 10)
    assert prior.concentration == pytest.approx(80, rel=0.15)
    assert prior.categories == pytest.approx(true, rel=0.15)
    assert prior.overall_concentration < prior.concentration


def test_a_category_with_few_impressions_is_drawn_further_to_the_overall_rate():
    clicks, impressions = (
        counts(1, 2_000, 1_000, 1_000, 900),
        counts(10, 20_000, 20_000, 20_000, 20_000),
    )
    prior = fit_prior(clicks, impressions, counts(0, 1, 2, 2, 2), 3)
    assert prior.overall < prior.categories[0] < prior.categories[1] < 0.1


def test_a_category_nobody_was_seen_in_has_the_overall_rate():
    prior = fit_prior(counts(5, 20), counts(100, 100), counts(0, -1), 3)
    assert prior.categories[1:] == pytest.approx([prior.overall] * 2)
    assert prior.expected(counts(-1, 2)) == pytest.approx([prior.overall] * 2)


def test_where_rates_do_not_differ_the_concentration_is_all_impressions():
    prior = fit_prior(counts(50, 50, 50), counts(1_000, 1_000, 1_000), counts(0, 0, 1), 2)
    assert prior.concentration == prior.overall_concentration == 3_000


def test_without_any_impression_every_rate_is_possible():
    prior = fit_prior(counts(0, 0), counts(0, 0), counts(0, -1), 1)
    low, high = prior.posterior(counts(0), counts(0), counts(0)).interval(0.9)
    assert prior.overall == 0.5
    assert (low[0], high[0]) == pytest.approx((0.00616, 0.99384), abs=1e-5)


@pytest.mark.parametrize(("clicks", "overall"), [(0, 0.5 / 201), (100, 1 - 0.5 / 201)])
def test_rates_of_nobody_and_of_everybody_stay_within_0_and_1(clicks, overall):
    prior = fit_prior(counts(clicks, clicks), counts(100, 100), counts(0, 1), 2)
    rates = prior.posterior(counts(clicks), counts(100), counts(0)).mean
    assert prior.overall == pytest.approx(overall)
    assert 0 < rates[0] < 1


def test_one_impression_each_tells_nothing_of_the_spread():
    prior = fit_prior(counts(0, 1, 0, 1), counts(1, 1, 1, 1), counts(0, 0, 0, 0), 1)
    assert prior.overall == pytest.approx(0.5)
    assert prior.concentration == 4


def test_the_margin_is_that_of_as_many_impressions_as_say_as_much():
    # 100 impressions of one app count as 100 * 51 / 150 = 34; 1.645 standard errors are 90 %.
    found = PRIOR.margin(counts(100, 100), 0.9)
    assert found == pytest.approx(1.6449 / np.sqrt(68 * 0.1 * 0.9), rel=1e-4)


def test_the_log_loss_is_that_of_the_beta_binomial_distribution():
    found = log_loss(counts(3, 0), counts(40, 7), np.array([0.1, 0.02]), np.array(25.0))
    wanted = [-betabinom.logpmf(3, 40, 2.5, 22.5), -betabinom.logpmf(0, 7, 0.5, 24.5)]
    assert found == pytest.approx(wanted)


def test_the_logarithm_of_the_odds_goes_back_to_the_rate():
    assert logit(np.array([0.5, 0.2])) == pytest.approx([0.0, np.log(0.25)])
    assert from_logit(logit(np.array([0.0, 0.01, 1.0]))) == pytest.approx([0, 0.01, 1], abs=1e-9)
