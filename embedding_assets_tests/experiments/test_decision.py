from dataclasses import replace

import pytest

from embedding_assets.errors import InputError
from embedding_assets.experiments.comparisons import compare, curves
from embedding_assets.experiments.decision import judge
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets.experiments.samples import Sample

CLICKS = Metric("clicks", "rate")
ERRORS = Metric("errors", "rate", "down", guard=True, margin=0.1)
PLAN = ExperimentPlan(
    id="test", variants=(Variant("control", 1), Variant("v2", 1)), metrics=(CLICKS,)
)
GUARDED = replace(PLAN, metrics=(CLICKS, ERRORS))
THREE = replace(PLAN, variants=(*PLAN.variants, Variant("v3", 1)))


def clicks(*hits, units=10_000):
    names = ("control", "v2", "v3")
    return {name: Sample.of_rate(units, count) for name, count in zip(names, hits, strict=False)}


def judged(plan, samples, *, days=10.0, exposures=None):
    units = {variant.name: 10_000 for variant in plan.variants}
    return judge(plan, samples, exposures or units, days)


def test_a_variant_that_certainly_converts_better_wins():
    found = judged(PLAN, {"clicks": clicks(470, 620)})
    assert (found.decision, found.winner) == ("winner", "v2")
    assert found.reasons == (
        "clicks: 6.2 % with v2 against 4.7 % with control, +32 % "
        "(95 % always-valid interval +9.9 % to +60 %) after 20,000 units.",
    )


def test_the_interval_of_a_comparison_by_hand():
    found = judged(PLAN, {"clicks": clicks(470, 620)}).comparisons[0]
    # standard error sqrt((0.047 * 0.953 + 0.062 * 0.938) / 9,999) = 0.00321
    # u = 20,000 / (10,000 / 8.18) = 16.4; threshold sqrt((1 + 1/16.4) * (ln 17.4 + 5.99)) = 3.064
    assert found.difference == pytest.approx(0.015)
    assert (found.low, found.high) == pytest.approx((0.015 - 0.00983, 0.015 + 0.00983), abs=2e-5)
    # z = 0.015 / 0.00321 = 4.675; 1 / (exp(16.4 / 17.4 * z^2 / 2) / sqrt(17.4))
    assert found.p_value == pytest.approx(1.4e-4, rel=0.01)
    # the wider of two: roots of A r^2 - 2 B r + C with the shared variance 5.148e-6 of a mean,
    # A = 0.047^2 - 3.064^2 * 5.148e-6, B = 0.047 * 0.062, C = 0.062^2 - 3.064^2 * 5.148e-6
    assert (found.lift_low, found.lift_high) == pytest.approx((0.0993, 0.598), abs=5e-4)
    assert (found.is_significant, found.is_better, found.is_worse) == (True, True, False)


def test_the_control_wins_when_the_variant_is_certainly_worse():
    found = judged(PLAN, {"clicks": clicks(620, 470)})
    assert (found.decision, found.winner) == ("winner", "control")
    assert found.reasons[0] == "control wins: nothing that could win beats it."
    assert "-24 % (95 % always-valid interval" in found.reasons[1]


def test_less_is_better_where_the_metric_says_so():
    plan = replace(PLAN, metrics=(replace(CLICKS, direction="down"),))
    assert judged(plan, {"clicks": clicks(620, 470)}).winner == "v2"
    assert judged(plan, {"clicks": clicks(470, 620)}).winner == "control"


def test_an_interval_around_0_keeps_the_experiment_going():
    found = judged(PLAN, {"clicks": clicks(500, 530)})
    assert (found.decision, found.winner) == ("keep_going", None)
    assert found.reasons[-1] == "It is not yet certain which variant is best."


def test_a_winner_waits_for_the_minimum_of_units_and_of_days():
    few = {"clicks": clicks(10, 90, units=400)}
    found = judge(PLAN, few, {"control": 400, "v2": 400}, 2.0)
    assert found.comparisons[0].is_better
    assert found.decision == "keep_going"
    assert found.reasons[:3] == (
        "control has 400 of the 500 units that it needs at least.",
        "v2 has 400 of the 500 units that it needs at least.",
        "2.0 of at least 7 days have passed.",
    )


def test_a_difference_that_is_certainly_small_is_no_difference():
    plan = replace(PLAN, indifference=0.02)
    samples = {"clicks": clicks(300_000, 300_500, units=1_000_000)}
    found = judged(plan, samples)
    assert found.decision == "no_difference"
    assert found.reasons[0] == "Any difference is smaller than the 2 % that matter."
    assert judged(replace(plan, indifference=0.005), samples).decision == "keep_going"


def test_a_certain_gain_wins_even_where_it_is_small():
    plan = replace(PLAN, indifference=0.05)
    found = judged(plan, {"clicks": clicks(300_000, 306_000, units=1_000_000)})
    assert (found.decision, found.winner) == ("winner", "v2")


def test_the_end_of_the_time_is_no_difference_and_says_so():
    plan = replace(PLAN, maximum_days=28.0)
    samples = {"clicks": clicks(500, 530)}
    assert judged(plan, samples, days=27.9).decision == "keep_going"
    found = judged(plan, samples, days=28.0)
    assert found.decision == "no_difference"
    assert found.reasons[0] == "28.0 days have passed, at most 28 were planned, and none has won."


def test_the_end_of_the_time_does_not_take_a_win_away():
    plan = replace(PLAN, maximum_days=28.0)
    assert judged(plan, {"clicks": clicks(470, 620)}, days=30.0).winner == "v2"


def test_a_win_of_too_few_units_is_none_even_at_the_end():
    plan = replace(PLAN, maximum_days=28.0)
    found = judge(plan, {"clicks": clicks(10, 90, units=400)}, {"control": 400, "v2": 400}, 30.0)
    assert (found.decision, found.winner) == ("no_difference", None)


def test_a_split_that_is_not_as_planned_makes_all_invalid():
    exposures = {"control": 10_000, "v2": 9_000}
    found = judged(PLAN, {"clicks": clicks(470, 620)}, exposures=exposures)
    assert (found.decision, found.winner) == ("invalid", None)
    assert found.reasons[0].startswith(
        "The units are not split as planned: control 52.6 % instead of 50 %, "
        "v2 47.4 % instead of 50 % of 19,000 units (always-valid p < 0.0001, limit 0.001)."
    )


def test_a_planned_split_of_any_weights_is_sound():
    plan = replace(PLAN, variants=(Variant("control", 70), Variant("v2", 30)))
    samples = {"clicks": {"control": Sample.of_rate(70_000, 3_300)}}
    samples["clicks"]["v2"] = Sample.of_rate(30_000, 1_800)
    found = judge(plan, samples, {"control": 70_000, "v2": 30_000}, 10.0)
    assert (found.decision, found.winner) == ("winner", "v2")


def test_a_guard_that_is_certainly_worse_than_its_margin_bars_the_win():
    samples = {"clicks": clicks(470, 620), "errors": clicks(100, 220)}
    found = judged(GUARDED, samples)
    assert (found.decision, found.winner) == ("winner", "control")
    assert found.reasons == (
        "v2 cannot win, it worsens a guard more than the 10 % that are tolerated; "
        "errors: 2.2 % with v2 against 1 % with control, +120 % "
        "(95 % always-valid interval +51 % to +266 %) after 20,000 units.",
        "control stays.",
    )


@pytest.mark.parametrize("hits", [(100, 110), (100, 150), (220, 100)])
def test_a_guard_that_may_be_within_its_margin_does_not(hits):
    samples = {"clicks": clicks(470, 620), "errors": clicks(*hits)}
    assert judged(GUARDED, samples).winner == "v2"


def test_the_margin_of_a_guard_is_tolerated():
    metrics = (CLICKS, replace(ERRORS, margin=0.5))
    samples = {"clicks": clicks(470, 620), "errors": clicks(1_000, 1_200)}
    assert judged(replace(PLAN, metrics=metrics), samples).winner == "v2"
    strict = replace(PLAN, metrics=(CLICKS, replace(ERRORS, margin=None)))
    assert judged(strict, samples).winner == "control"


def test_a_guard_stops_a_harmful_variant_before_the_minimum_of_days():
    samples = {"clicks": clicks(470, 470), "errors": clicks(0, 220)}
    found = judged(GUARDED, samples, days=0.5)
    assert (found.decision, found.winner) == ("winner", "control")
    assert "errors: 2.2 % with v2 against 0 % with control, +2.2 points" in found.reasons[0]


def test_a_guard_of_more_is_better_is_breached_from_below():
    revenue = Metric("revenue", "mean", guard=True, margin=0.05)
    plan = replace(PLAN, metrics=(CLICKS, revenue))
    even = {"control": Sample(10_000, 10.0, 100.0)}
    low = {"revenue": even | {"v2": Sample(10_000, 8.5, 100.0)}, "clicks": clicks(470, 620)}
    fine = {"revenue": even | {"v2": Sample(10_000, 9.3, 100.0)}, "clicks": clicks(470, 620)}
    assert judged(plan, low).winner == "control"
    assert judged(plan, fine).winner == "v2"


def test_a_guard_over_a_negative_control_tolerates_a_part_of_its_size():
    profit = Metric("profit", "mean", guard=True, margin=0.5)
    plan = replace(PLAN, metrics=(CLICKS, profit))
    even = {"control": Sample(10_000, -1.0, 1.0)}
    fine = {"profit": even | {"v2": Sample(10_000, -1.4, 1.0)}, "clicks": clicks(470, 620)}
    low = {"profit": even | {"v2": Sample(10_000, -1.6, 1.0)}, "clicks": clicks(470, 620)}
    assert judged(plan, fine).winner == "v2"
    assert judged(plan, low).winner == "control"


def test_the_best_of_several_that_beat_the_control_wins():
    found = judged(THREE, {"clicks": clicks(470, 640, 800)})
    assert (found.decision, found.winner) == ("winner", "v3")
    assert "97.5 % always-valid interval" in found.reasons[0]
    close = judged(THREE, {"clicks": clicks(470, 790, 800)})
    assert close.winner == "v3"
    assert close.reasons[-1].startswith("v3 is not certainly better than v2: +1.3 % (97.5 %")


def test_one_that_beats_the_control_wins_though_another_is_undecided():
    assert judged(THREE, {"clicks": clicks(470, 640, 480)}).winner == "v2"


def test_no_variant_wins_that_is_certainly_worse_than_another():
    # v3 is certainly better than v2, but has too few units yet to be certainly above the control
    samples = {
        "clicks": {
            "control": Sample(600, 10.0, 41_300.0),
            "v2": Sample(20_000, 40.0, 6.0),
            "v3": Sample(600, 41.0, 6.0),
        }
    }
    found = judged(replace(THREE, metrics=(Metric("clicks", "mean"),)), samples)
    assert [one.is_better for one in found.comparisons] == [True, False]
    assert (found.decision, found.winner) == ("keep_going", None)


def test_a_barred_variant_leaves_the_win_to_the_next_best():
    plan = replace(THREE, metrics=(CLICKS, ERRORS))
    found = judged(plan, {"clicks": clicks(470, 640, 800), "errors": clicks(100, 100, 300)})
    assert (found.decision, found.winner) == ("winner", "v2")
    assert found.reasons[-1].startswith("v3 cannot win, it worsens a guard")


def test_the_control_wins_only_when_all_others_are_worse_or_barred():
    assert judged(THREE, {"clicks": clicks(800, 470, 780)}).decision == "keep_going"
    assert judged(THREE, {"clicks": clicks(800, 470, 500)}).winner == "control"
    plan = replace(THREE, metrics=(CLICKS, ERRORS))
    samples = {"clicks": clicks(800, 470, 900), "errors": clicks(100, 100, 300)}
    assert judged(plan, samples).winner == "control"


def test_alpha_is_shared_by_the_comparisons_of_a_family():
    plan = replace(
        THREE, metrics=(CLICKS, ERRORS, replace(ERRORS, name="slow"), Metric("a", "rate"))
    )
    levels = {found.metric: found.level for found in judged(plan, {}).comparisons}
    assert levels == pytest.approx({"clicks": 0.975, "errors": 0.9875, "slow": 0.9875, "a": 0.975})


def test_a_corrected_p_value_is_alpha_where_the_interval_touches_0():
    samples = {"clicks": {"control": Sample(10_000, 1.0, 1.0), "v2": Sample(10_000, 1.04, 1.0)}}
    metric = Metric("clicks", "mean")
    found = compare(replace(THREE, metrics=(metric,)), metric, samples, ("control", "v2"))
    assert found.low is not None
    touching = {"control": Sample(10_000, 1.0, 1.0), "v2": Sample(10_000, 1.04 - found.low, 1.0)}
    again = compare(
        replace(THREE, metrics=(metric,)), metric, {"clicks": touching}, ("control", "v2")
    )
    assert again.p_value == pytest.approx(0.05)


def test_before_enough_events_nothing_is_said():
    found = judged(PLAN, {"clicks": clicks(0, 39)})
    assert found.decision == "keep_going"
    assert (found.comparisons[0].low, found.comparisons[0].p_value) == (None, 1.0)
    assert "too few events for an interval" in found.reasons[0]
    assert judged(PLAN, {"clicks": clicks(0, 40)}).winner == "v2"


@pytest.mark.parametrize("samples", [{}, {"clicks": {}}, {"clicks": {"v2": Sample.of([1])}}])
def test_an_experiment_that_has_just_begun_keeps_going(samples):
    found = judge(PLAN, samples, {}, 0.0)
    assert (found.decision, found.sample_ratio.is_sound) == ("keep_going", True)


def test_units_of_an_unknown_variant_are_refused():
    with pytest.raises(InputError, match="no weight for v9"):
        judge(PLAN, {}, {"control": 5, "v9": 5}, 1.0)


def test_a_curve_has_a_point_for_each_look():
    looks = [{"clicks": clicks(2, 1, units=40)}, {"clicks": clicks(470, 620)}]
    (curve,) = curves(PLAN, looks)
    assert (curve.metric, curve.variant) == ("clicks", "v2")
    assert [point.n for point in curve.points] == [80, 20_000]
    assert (curve.points[0].low, curve.points[1].difference) == (None, pytest.approx(0.015))
    assert curves(PLAN, []) == ()


def test_a_guard_that_has_seen_nothing_is_named():
    found = judged(GUARDED, {"clicks": clicks(470, 620)})
    assert (found.decision, found.winner) == ("winner", "v2")
    assert found.reasons[-1] == "The guard errors has seen nothing yet."
    errors = {"control": Sample.of_rate(5_000, 10), "v2": Sample.of_rate(5_000, 10)}
    found = judged(GUARDED, {"clicks": clicks(470, 620), "errors": errors})
    assert not any("seen nothing" in reason for reason in found.reasons)
