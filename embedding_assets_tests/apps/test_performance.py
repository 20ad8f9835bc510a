from dataclasses import replace

import numpy as np
import pytest

from embedding_assets.apps.candidates import SETTINGS, Candidates
from embedding_assets.apps.expectation import Expectation
from embedding_assets.apps.performance import PERFORMANCE_CODE, PerformanceModel
from embedding_assets.apps.validation import Trials
from embedding_assets.errors import InputError, StoreDamagedError, StoreVersionError
from embedding_assets_tests.apps.outcome_data import made_outcomes, part, shuffled


@pytest.fixture(scope="module")
def outcomes():
    return made_outcomes(300)


@pytest.fixture(scope="module")
def model(outcomes):
    return PerformanceModel.fit(outcomes)


def predict(model, outcomes, **more):
    return model.predict_many(outcomes.vectors, outcomes.categories, outcomes.platforms, **more)


def shrunk(model, outcomes):
    """The rates of apps as the model would shrink them."""
    numbers = {name: number for number, name in enumerate(model.categories)}
    category = np.array([numbers[name] for name in outcomes.categories])
    prior = model.expectation.lessons[-1].prior
    return prior.posterior(outcomes.clicks, outcomes.impressions, category).mean


def test_where_the_vectors_say_something_it_is_learnt(model):
    scores = model.evaluation.scores
    assert model.has_signal
    assert model.evaluation.p_value <= 0.01
    assert model.evaluation.rank_correlation > 0.6
    assert scores["best"].rmse < 0.75 * scores["mean"].rmse
    assert scores["best"].rmse < scores["neighbours"].rmse
    assert scores["best"].log_loss < scores["category"].log_loss < scores["mean"].log_loss


def test_new_apps_are_predicted_better_than_by_the_mean():
    every = made_outcomes(500)
    model, new = PerformanceModel.fit(part(every, range(250))), part(every, range(250, 500))
    rates = np.array([each.rate for each in predict(model, new)])
    errors = rates - shrunk(model, new)
    mean = model.expectation.lessons[-1].prior.overall
    assert (errors**2).mean() < 0.6 * ((mean - shrunk(model, new)) ** 2).mean()


@pytest.mark.parametrize(("count", "skew"), [(60, 1.0), (60, 3.0), (400, 1.0), (400, 3.0)])
def test_intervals_hold_nine_of_ten_apps_that_were_held_out(count, skew):
    found = [
        PerformanceModel.fit(made_outcomes(count, seed, skew=skew)).evaluation.coverage
        for seed in range(4)
    ]
    assert 0.85 <= np.mean(found) <= 0.95


def test_intervals_hold_nine_of_ten_new_apps():
    every = made_outcomes(3_000, 5)
    model, new = PerformanceModel.fit(part(every, range(500))), part(every, range(500, 3_000))
    found = predict(model, new)
    rates = shrunk(model, new)
    inside = [each.low <= rate <= each.high for each, rate in zip(found, rates, strict=True)]
    assert 0.85 <= np.mean(inside) <= 0.95
    assert {each.level for each in found} == {0.9}


def test_shuffled_outcomes_hold_no_signal():
    every = made_outcomes(60, signal=2.0)
    models = [PerformanceModel.fit(shuffled(every, seed), seed=seed) for seed in range(40)]
    assert sum(model.has_signal for model in models) <= 2


def test_without_a_signal_the_mean_is_expected_of_all_with_one_interval():
    outcomes = made_outcomes(100, signal=0.0)
    model = PerformanceModel.fit(outcomes)
    found = {(each.rate, each.low, each.high, each.model) for each in predict(model, outcomes)}
    [(rate, low, high, name)] = found
    assert not model.has_signal
    assert name == "mean"
    assert rate == pytest.approx(model.expectation.lessons[-1].prior.overall)
    assert low < rate < high < 0.5


def test_a_known_app_is_predicted_as_if_it_was_new(outcomes, model):
    clicks = outcomes.clicks.copy()
    clicks[7] += clicks[7] // 2
    other = PerformanceModel.fit(replace(outcomes, clicks=clicks))
    app = part(outcomes, [7])
    [found], [same] = (predict(each, app, known=app.app_ids) for each in (model, other))
    assert model.expectation.setting == other.expectation.setting
    assert found.rate == same.rate
    assert predict(model, app)[0].rate != predict(other, app)[0].rate


def test_a_known_app_is_no_evidence_for_itself(outcomes, model):
    app = part(outcomes, [7])
    known, new = (predict(model, app, known=known)[0] for known in (app.app_ids, ["unheard of"]))
    assert "APP_00007" in {name for segment in new.segments for name in segment.apps}
    assert "APP_00007" not in {name for segment in known.segments for name in segment.apps}
    assert sum(len(segment.apps) for segment in known.segments) == 20


def test_segments_name_the_nearest_apps_and_their_weights_sum_to_1(outcomes, model):
    [found] = predict(model, part(outcomes, [3]), known=["APP_00003"])
    directions = outcomes.vectors / np.linalg.norm(outcomes.vectors, axis=1, keepdims=True)
    nearest = np.argsort(-(directions @ directions[3]))[1:21]
    named = [name for segment in found.segments for name in segment.apps]
    assert sorted(named) == sorted(outcomes.app_ids[row] for row in nearest)
    assert sum(segment.weight for segment in found.segments) == pytest.approx(1.0)
    for segment in found.segments:
        rows = [outcomes.app_ids.index(name) for name in segment.apps]
        assert {outcomes.categories[row] for row in rows} == {segment.category}
        assert {outcomes.platforms[row] for row in rows} == {segment.platform}
        assert segment.low < segment.rate < segment.high


def test_a_category_and_a_platform_that_nobody_had_are_like_none(outcomes, model):
    app = part(outcomes, [3])
    [unheard] = model.predict_many(app.vectors, ["Unheard of"], ["console"])
    [unknown] = model.predict_many(app.vectors, [None], [None])
    assert unheard == unknown
    assert unknown.category_rate == pytest.approx(model.expectation.lessons[-1].prior.overall)
    assert predict(model, app)[0].category_rate != unknown.category_rate


def test_categories_are_compared_without_letter_case(outcomes, model):
    app = part(outcomes, [3])
    [upper] = model.predict_many(app.vectors, [app.categories[0].upper()], app.platforms)
    assert [upper] == predict(model, app)


def test_the_order_of_the_apps_does_not_matter(outcomes, model):
    order = np.random.default_rng(0).permutation(300)
    assert predict(PerformanceModel.fit(part(outcomes, order)), outcomes) == predict(
        model, outcomes
    )


def test_apps_without_impressions_change_nothing(outcomes, model):
    more = made_outcomes(310)
    unseen = np.arange(310) >= 300
    some = replace(
        more,
        vectors=np.concatenate([outcomes.vectors, more.vectors[300:]]),
        categories=(*outcomes.categories, *["Unheard of"] * 10),
        platforms=(*outcomes.platforms, *["console"] * 10),
        clicks=np.append(outcomes.clicks, [0] * 10),
        impressions=np.append(outcomes.impressions, [0] * 10),
    )
    found = PerformanceModel.fit(some)
    assert found.app_ids == model.app_ids
    assert predict(found, part(some, np.flatnonzero(~unseen))) == predict(model, outcomes)


@pytest.mark.parametrize("count", [1, 2, 19])
def test_few_apps_are_expected_to_be_like_their_mean_and_anything_is_possible(count):
    outcomes = made_outcomes(count)
    model = PerformanceModel.fit(outcomes)
    [found, *_] = predict(model, outcomes, known=outcomes.app_ids)
    assert (found.low, found.high, found.model) == (0.0, 1.0, "mean")
    assert found.rate == pytest.approx(outcomes.clicks.sum() / outcomes.impressions.sum(), rel=0.5)
    assert not found.has_signal
    named = {name for segment in found.segments for name in segment.apps}
    assert named <= {*outcomes.app_ids[1:]}
    assert model.evaluation.figures() == {"apps": count, "folds": 0, "alpha": 0.05, "level": 0.9}


def test_apps_that_were_never_shown_leave_every_rate_possible():
    outcomes = made_outcomes(30)
    never = np.zeros(30, dtype=np.int64)
    model = PerformanceModel.fit(replace(outcomes, clicks=never, impressions=never))
    [found] = predict(model, part(outcomes, [0]))
    assert (found.rate, found.low, found.high) == (0.5, 0.0, 1.0)
    assert (found.has_signal, found.segments) == (False, ())


def test_without_apps_every_rate_is_possible():
    model = PerformanceModel.fit(part(made_outcomes(1), []))
    [found] = model.predict_many(np.ones((1, 8), dtype=np.float32), ["Games"], ["ios"])
    assert (found.low, found.rate, found.high) == (0.0, 0.5, 1.0)


@pytest.mark.parametrize(
    ("clicks", "low", "high"),
    [(0, 0.0, 0.001), (10, 0.0938, 0.1066), (100, 0.999, 1.0)],
)
def test_constant_rates_hold_no_signal_and_are_as_sure_as_all_impressions_make_them(
    clicks, low, high
):
    outcomes = made_outcomes(60)
    constant = replace(outcomes, clicks=np.full(60, clicks), impressions=np.full(60, 100))
    model = PerformanceModel.fit(constant)
    [found] = predict(model, part(outcomes, [0]))
    assert not model.has_signal
    assert found.rate == pytest.approx(clicks / 100, abs=0.001)
    assert (found.low, found.high) == pytest.approx((low, high), abs=2e-4)
    assert model.evaluation.coverage == 1.0


def test_apps_of_equal_rates_are_all_in_the_middle():
    outcomes = made_outcomes(60)
    constant = replace(outcomes, clicks=np.full(60, 10), impressions=np.full(60, 100))
    [found] = predict(PerformanceModel.fit(constant), part(outcomes, [0]))
    assert {segment.tier for segment in found.segments} == {"middle"}


def test_zero_vectors_and_missing_metadata_are_no_obstacle():
    outcomes = replace(
        made_outcomes(60),
        vectors=np.zeros((60, 8), dtype=np.float32),
        categories=(None,) * 60,
        platforms=(None,) * 60,
    )
    model = PerformanceModel.fit(outcomes)
    [found] = model.predict_many(np.ones((1, 8), dtype=np.float32), ["Games"], [None])
    assert not model.has_signal
    assert 0 < found.low < found.rate < found.high < 1


def test_a_vector_of_another_version_is_refused(model):
    with pytest.raises(InputError, match=r"shape \(1, 9\) do not fit a model of 8 dimensions"):
        model.predict_many(np.ones((1, 9), dtype=np.float32), [None], [None])


def test_a_vector_that_is_not_finite_is_refused(model):
    with pytest.raises(InputError, match="not finite"):
        model.predict_many(np.full((1, 8), np.nan, dtype=np.float32), [None], [None])


@pytest.mark.parametrize("count", [0, 1, 60])
def test_a_stored_model_predicts_the_same(tmp_path, count):
    outcomes = made_outcomes(60)
    model = PerformanceModel.fit(part(outcomes, range(count)))
    model.save(tmp_path)
    loaded = PerformanceModel.load(tmp_path)
    known = outcomes.app_ids
    assert predict(loaded, outcomes, known=known) == predict(model, outcomes, known=known)
    assert loaded.evaluation == model.evaluation


@pytest.mark.parametrize("family", ["mean", "category", "neighbours", "ridge"])
def test_each_candidate_can_be_stored(tmp_path, outcomes, family):
    base = PerformanceModel.fit(outcomes)
    apps = base.expectation.apps
    trials = Trials.of(Candidates.of(apps))
    number = next(at for at, each in enumerate(SETTINGS) if each.family == family)
    expectation = Expectation.learn(apps, SETTINGS[number], trials.residuals(number))
    model = replace(base, expectation=expectation)
    model.save(tmp_path)
    found = predict(model, outcomes, known=outcomes.app_ids)
    assert predict(PerformanceModel.load(tmp_path), outcomes, known=outcomes.app_ids) == found
    held_out = trials.expected[..., number][trials.own]
    rates = np.array([each.rate for each in found])
    assert np.log(rates / (1 - rates)) == pytest.approx(held_out)


def test_the_same_outcomes_and_seed_give_the_same_files(tmp_path, outcomes, model):
    model.save(tmp_path / "one")
    PerformanceModel.fit(outcomes).save(tmp_path / "other")
    for name in ("performance.npz", "performance.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_a_damaged_model_is_named(tmp_path, model):
    model.save(tmp_path)
    path = tmp_path / "performance.npz"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreDamagedError, match="Fit the model again"):
        PerformanceModel.load(tmp_path)


def test_a_model_of_other_code_is_named(tmp_path, model, monkeypatch):
    model.save(tmp_path)
    monkeypatch.setattr("embedding_assets.apps.performance.PERFORMANCE_CODE", "0")
    with pytest.raises(StoreVersionError, match=f"{PERFORMANCE_CODE!r}, not '0'"):
        PerformanceModel.load(tmp_path)
