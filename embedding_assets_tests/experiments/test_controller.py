from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from embedding_assets.errors import InputError
from embedding_assets.experiments import events
from embedding_assets.experiments.choices import Choice, DecisionError
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.outcomes import Outcome, OutcomeError, Recorded
from embedding_assets.experiments.plan import (
    ExperimentConflictError,
    Metric,
    PlanError,
    UnknownExperimentError,
    Variant,
)
from embedding_assets_tests.experiments.conftest import START, plan

UNITS = [f"user-{number}" for number in range(200)]


def clicks(units, metric="clicks", value=1.0):
    return [Outcome(f"{metric}-{unit}", unit, metric, value) for unit in units]


def at_once(calls):
    """What each call returned or refused, all begun together."""

    def outcome(call):
        try:
            return call()
        except ExperimentConflictError as refused:
            return refused

    with ThreadPoolExecutor(len(calls)) as threads:
        return list(threads.map(outcome, calls))


class TestCreate:
    def test_keeps_a_draft(self, controller):
        created = controller.create(plan(hypothesis="newer is better"))
        assert (created.state, created.created, created.started) == ("draft", START, None)
        assert controller.find("apps") == created
        assert created.plan == plan(hypothesis="newer is better")

    def test_refuses_an_id_in_use(self, controller):
        controller.create(plan())
        with pytest.raises(ExperimentConflictError, match="'apps' already"):
            controller.create(plan())

    def test_refuses_a_plan_that_cannot_be_run(self, controller):
        with pytest.raises(PlanError, match="alpha"):
            controller.create(plan(alpha=2.0))
        assert controller.experiments() == []

    def test_the_newest_is_listed_first(self, controller):
        controller.create(plan("one"))
        controller.create(plan("two"))
        assert [found.plan.id for found in controller.experiments()] == ["two", "one"]

    @pytest.mark.parametrize("id", ["nothing", "no\0thing"])
    def test_an_unknown_id_is_named(self, controller, id):
        with pytest.raises(UnknownExperimentError, match="No experiment is called 'no"):
            controller.find(id)


class TestStates:
    def test_a_draft_runs_stops_and_is_decided(self, running, clock):
        clock.forward(days=1)
        assert running.stop("apps").ended == START + timedelta(days=1)
        clock.forward(days=1)
        decided = running.decide("apps", "anna", Choice("v2", "the summer sale is over"))
        assert (decided.state, decided.ended) == ("decided", START + timedelta(days=1))
        assert (decided.decision.by, decided.decision.at) == ("anna", START + timedelta(days=2))
        assert decided.decision.outcome == "by_hand"
        assert decided.decision.reasons[0] == "the summer sale is over"
        assert running.find("apps") == decided

    def test_each_step_is_refused_in_other_states(self, controller):
        controller.create(plan())
        for early in (controller.stop, lambda id: controller.decide(id, "anna")):
            with pytest.raises(ExperimentConflictError, match="apps is draft"):
                early("apps")
        controller.start("apps")
        with pytest.raises(ExperimentConflictError, match="apps is running"):
            controller.start("apps")
        controller.stop("apps")
        for late in (controller.start, controller.stop):
            with pytest.raises(ExperimentConflictError, match="apps is stopped"):
                late("apps")

    def test_only_one_of_several_starts_wins(self, url, controller):
        controller.create(plan())
        workers = [ABTestController(url) for _ in range(4)]
        found = at_once([lambda worker=worker: worker.start("apps") for worker in workers])
        assert sum(isinstance(one, ExperimentConflictError) for one in found) == 3
        for worker in workers:
            worker.store.engine.dispose()

    def test_only_one_of_several_decisions_is_kept(self, url, running, clock):
        workers = [ABTestController(url, clock) for _ in range(4)]
        choice = Choice("v1", "enough")
        found = at_once(
            [lambda n=n, w=w: w.decide("apps", f"p{n}", choice) for n, w in enumerate(workers)]
        )
        kept = [one for one in found if not isinstance(one, ExperimentConflictError)]
        assert [one.decision for one in kept] == [running.find("apps").decision]
        for worker in workers:
            worker.store.engine.dispose()

    def test_only_one_of_several_gets_the_endpoint(self, url, controller):
        ids = ["one", "two", "three"]
        for id in ids:
            controller.create(plan(id, endpoint="find-similar"))
        workers = [ABTestController(url) for _ in ids]
        found = at_once([lambda id=i, w=w: w.start(id) for i, w in zip(ids, workers, strict=True)])
        assert sum(isinstance(one, ExperimentConflictError) for one in found) == 2
        for worker in workers:
            worker.store.engine.dispose()


class TestLayers:
    def test_a_full_layer_takes_no_more_until_one_ends(self, controller):
        for id in ("one", "two", "three"):
            controller.create(plan(id, layer="page", share=0.5))
            if id != "three":
                controller.start(id)
        with pytest.raises(ExperimentConflictError, match=r"Layer page has 0\.00% .* needs 50"):
            controller.start("three")
        controller.stop("one")
        assert controller.start("three").share == 0.5

    def test_experiments_of_a_layer_share_no_unit(self, controller):
        for id in ("one", "two"):
            controller.create(plan(id, layer="page", share=0.5, endpoint="find-similar"))
            controller.start(id)
        for unit in UNITS:
            parts = [controller.assign(id, unit) for id in ("one", "two")]
            assert parts.count(None) == 1

    def test_no_unit_moves_when_another_experiment_ends_or_starts(self, controller):
        for id in ("one", "two", "three"):
            controller.create(plan(id, layer="page", share=0.3))
        controller.start("one")
        controller.start("two")
        before = [controller.assign("two", unit) for unit in UNITS]
        controller.stop("one")
        controller.start("three")
        controller._assigners.clear()
        assert [controller.assign("two", unit) for unit in UNITS] == before

    def test_an_endpoint_has_one_experiment_outside_a_layer(self, controller):
        controller.create(plan("one", endpoint="find-similar"))
        controller.create(plan("two", endpoint="find-similar"))
        controller.create(plan("three", endpoint="find-similar", layer="page", share=0.5))
        controller.start("one")
        for other in ("two", "three"):
            with pytest.raises(ExperimentConflictError, match="one runs on find-similar already"):
                controller.start(other)
        controller.stop("one")
        controller.start("three")

    def test_other_endpoints_and_none_are_free(self, controller):
        modes = (Variant("k", 1, "keyword"), Variant("h", 1, "hybrid"))
        controller.create(plan("one", endpoint="find-similar"))
        controller.create(plan("two", endpoint="search", variants=modes))
        for id in ("three", "four"):
            controller.create(plan(id))
        for id in ("one", "two", "three", "four"):
            assert controller.start(id).state == "running"

    def test_a_raised_share_keeps_units_and_variants(self, controller):
        controller.create(plan(share=0.2, layer="page"))
        controller.start("apps")
        before = {unit: controller.assign("apps", unit) for unit in UNITS}
        assert controller.raise_share("apps", 0.6).share == 0.6
        after = {unit: controller.assign("apps", unit) for unit in UNITS}
        stayed = {unit: variant for unit, variant in before.items() if variant is not None}
        assert stayed == {unit: after[unit] for unit in stayed}
        assert sum(variant is not None for variant in after.values()) > 2 * len(stayed)

    def test_a_share_is_not_lowered_nor_raised_beyond_the_layer(self, controller):
        controller.create(plan("one", share=0.5, layer="page"))
        controller.create(plan("two", share=0.3, layer="page"))
        controller.start("one")
        controller.start("two")
        with pytest.raises(PlanError, match="cannot get 0.4"):
            controller.raise_share("one", 0.4)
        with pytest.raises(ExperimentConflictError, match="Layer page"):
            controller.raise_share("one", 0.8)
        assert controller.raise_share("one", 0.7).share == 0.7


class TestAssign:
    def test_is_the_same_in_every_process(self, url, running):
        other = ABTestController(url)
        for unit in UNITS:
            assert running.assign("apps", unit) == other.assign("apps", unit)
        other.store.engine.dispose()

    def test_only_while_the_experiment_runs(self, running):
        running.assign("apps", "user-1")
        running.stop("apps")
        with pytest.raises(ExperimentConflictError, match="apps is stopped"):
            running.assign("apps", "user-1")

    @pytest.mark.parametrize("unit", ["", "x" * 501], ids=["empty", "long"])
    def test_refuses_what_cannot_be_a_unit(self, running, unit):
        for asked in (lambda: running.assign("apps", unit), lambda: running.expose("apps", [unit])):
            with pytest.raises(OutcomeError, match="the unit"):
                asked()


class TestExposures:
    def test_a_unit_counts_once(self, running):
        first = running.expose("apps", UNITS)
        assert running.expose("apps", UNITS) == first
        assert sum(running.analyse("apps").exposures.values()) == len(UNITS)

    def test_the_first_one_stays(self, running, clock):
        running.expose("apps", ["user-1"])
        clock.forward(minutes=50)
        running.expose("apps", ["user-1"])
        assert running.analyse("apps").waiting == 1
        clock.forward(minutes=11)
        assert running.analyse("apps").waiting == 0

    def test_who_takes_no_part_is_not_exposed(self, controller):
        controller.create(plan(share=0.1))
        controller.start("apps")
        assert 0 < len(controller.expose("apps", UNITS)) < 60

    def test_no_unit_is_stored_as_it_is(self, running):
        running.expose("apps", ["anna@example.org"])
        running.record("apps", clicks(["anna@example.org"]))
        running.add_covariates("apps", {"anna@example.org": 3.0})
        assert b"anna" not in everything(running.store.engine)


class TestOutcomes:
    def test_an_id_counts_once(self, running, clock):
        running.expose("apps", UNITS)
        assert running.record("apps", clicks(UNITS[:50])) == Recorded(50, 0, ())
        assert running.record("apps", clicks(UNITS[:60])) == Recorded(10, 50, ())
        twice = [Outcome("same", "user-1", "revenue", 5.0), Outcome("same", "user-1", "revenue")]
        assert running.record("apps", twice) == Recorded(1, 1, ())
        clock.forward(hours=2)
        found = {c.metric: c for c in running.analyse("apps").judgement.comparisons}
        clicked = found["clicks"]
        assert total(clicked) == 60
        revenue = found["revenue"]
        assert total(revenue) == 5.0

    def test_units_that_were_never_exposed_are_named_and_may_be_sent_again(self, running):
        running.expose("apps", ["user-1"])
        both = clicks(["user-1", "user-2"])
        assert running.record("apps", both) == Recorded(1, 0, ("user-2",))
        running.expose("apps", ["user-2"])
        assert running.record("apps", both) == Recorded(1, 1, ())

    def test_only_the_window_counts(self, running, clock):
        running.expose("apps", UNITS)
        late, moment = START + timedelta(hours=1), timedelta(microseconds=1)
        by_a_slow_clock = START - timedelta(seconds=60)
        times = {"user-1": START, "user-2": late - moment, "user-3": by_a_slow_clock}
        times |= {"user-4": by_a_slow_clock - moment, "user-5": late}
        clock.forward(hours=2)
        sent = [Outcome(unit, unit, "clicks", 1.0, at) for unit, at in times.items()]
        assert running.record("apps", sent).accepted == 5
        clicked = running.analyse("apps").judgement.comparisons[0]
        assert total(clicked) == 3

    def test_a_rate_is_any_positive_outcome_and_a_mean_the_sum(self, running, clock):
        shown = running.expose("apps", UNITS)
        mine = [unit for unit, variant in shown.items() if variant.name == "v2"]
        values = [("a", 2.0), ("b", 3.0), ("c", -1.0)]
        for metric in ("clicks", "revenue"):
            sent = [Outcome(metric + id, mine[0], metric, value) for id, value in values]
            running.record("apps", [*sent, Outcome(f"{metric}0", mine[1], metric, 0.0)])
        clock.forward(hours=2)
        clicked, revenue = running.analyse("apps").judgement.comparisons
        assert (clicked.mean, clicked.control_mean) == (pytest.approx(1 / len(mine)), 0.0)
        assert (revenue.mean, revenue.control_mean) == (pytest.approx(4 / len(mine)), 0.0)

    @pytest.mark.parametrize(
        ("wrong", "named"),
        [
            (Outcome("", "user-1", "clicks"), "the id ''"),
            (Outcome("x" * 501, "user-1", "clicks"), "501 characters"),
            (Outcome("1", "", "clicks"), "the unit ''"),
            (Outcome("1", "user-1", "sales"), r"'sales' is no metric .*clicks, revenue"),
            (Outcome("1", "user-1", "clicks", float("nan")), "nan is no usable number"),
            (Outcome("1", "user-1", "clicks", 1e13), "no usable number"),
            (Outcome("1", "user-1", "clicks", 1, START + timedelta(seconds=61)), "not come yet"),
        ],
        ids=lambda value: value if isinstance(value, str) else None,
    )
    def test_a_wrong_one_is_named_and_none_is_kept(self, running, wrong, named):
        running.expose("apps", ["user-1", "user-2"])
        with pytest.raises(OutcomeError, match=named):
            running.record("apps", [*clicks(["user-2"]), wrong])
        assert running.record("apps", clicks(["user-2"])).accepted == 1

    def test_many_faults_are_counted_not_listed(self, running):
        with pytest.raises(OutcomeError, match="and 195 more"):
            running.record("apps", clicks(UNITS, metric="sales"))

    def test_are_taken_until_the_decision(self, running):
        running.expose("apps", ["user-1"])
        running.stop("apps")
        assert running.record("apps", clicks(["user-1"])).accepted == 1
        running.decide("apps", "anna", Choice("v1", "enough"))
        with pytest.raises(ExperimentConflictError, match="apps is decided"):
            running.record("apps", clicks(["user-1"]))

    def test_more_than_one_statement_can_ask_for_are_kept(self, running, monkeypatch):
        monkeypatch.setattr(events, "_KEYS_AT_ONCE", 30)
        running.expose("apps", UNITS)
        assert running.record("apps", clicks(UNITS)) == Recorded(200, 0, ())


class TestAnalyse:
    def test_waits_until_windows_are_closed(self, running, clock):
        running.expose("apps", UNITS[:150])
        clock.forward(minutes=30)
        running.expose("apps", UNITS[150:])
        clock.forward(minutes=30, microseconds=1)
        found = running.analyse("apps")
        assert (sum(found.exposures.values()), found.waiting) == (200, 50)
        clicked = found.judgement.comparisons[0]
        assert clicked.n_control + clicked.n == 150

    def test_the_curves_end_at_what_is_judged(self, running, clock):
        shown = expose_in_turn(running, clock)
        running.record("apps", clicks([unit for unit in shown if shown[unit].name == "v2"][:60]))
        clock.forward(hours=2)
        found = running.analyse("apps")
        for comparison, curve in zip(found.judgement.comparisons, found.curves, strict=True):
            assert (curve.metric, curve.variant) == (comparison.metric, comparison.variant)
            assert [point.n for point in curve.points] == list(range(4, 201, 4))
            assert curve.points[-1].difference == comparison.difference
            assert curve.points[-1].low == comparison.low

    def test_a_draft_has_nothing_to_say(self, controller):
        controller.create(plan())
        found = controller.analyse("apps")
        assert found.judgement.decision == "keep_going"
        assert (found.exposures, found.waiting) == ({"v1": 0, "v2": 0}, 0)

    def test_a_covariate_takes_noise_away(self, running, clock):
        running.expose("apps", UNITS)
        known = {unit: float(number) for number, unit in enumerate(UNITS)}
        running.record(
            "apps",
            [
                Outcome(unit, unit, "revenue", 2 * value + number % 3)
                for number, (unit, value) in enumerate(known.items())
            ],
        )
        clock.forward(hours=2)
        before = running.analyse("apps").judgement.comparisons[1]
        running.add_covariates("apps", known)
        after = running.analyse("apps").judgement.comparisons[1]
        assert after.high - after.low < 0.1 * (before.high - before.low)
        assert abs(after.difference) < 1

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e13])
    def test_a_covariate_that_is_no_number_is_refused(self, running, value):
        with pytest.raises(OutcomeError, match="the covariate"):
            running.add_covariates("apps", {"user-1": value})

    def test_days_count_until_the_end(self, controller, clock):
        controller.create(plan(minimum_days=5.0))
        controller.start("apps")
        controller.expose("apps", UNITS)
        clock.forward(days=3)
        controller.stop("apps")
        clock.forward(days=30)
        reasons = controller.analyse("apps").judgement.reasons
        assert any("3.0 of at least 5 days" in reason for reason in reasons)


class TestDecide:
    def test_a_clear_winner_is_chosen_with_its_reasons(self, running, clock):
        units = [f"user-{number}" for number in range(2_000)]
        shown = running.expose("apps", units)
        better = [unit for unit, variant in shown.items() if variant.name == "v2"]
        running.record("apps", clicks(better[: len(better) // 2]))
        running.record("apps", clicks([unit for unit in units if unit not in set(better)][:100]))
        clock.forward(hours=2)
        judged = running.analyse("apps").judgement
        decided = running.decide("apps", "anna").decision
        assert (decided.outcome, decided.chosen) == ("winner", "v2")
        assert decided.reasons == judged.reasons

    def test_without_evidence_only_a_person_can_choose(self, running):
        with pytest.raises(ExperimentConflictError, match="cannot be decided yet"):
            running.decide("apps", "anna")
        assert running.find("apps").state == "running"

    def test_no_difference_keeps_the_control(self, controller, clock):
        controller.create(plan(maximum_days=1.0))
        controller.start("apps")
        controller.expose("apps", UNITS)
        clock.forward(days=2)
        decided = controller.decide("apps", "anna").decision
        assert (decided.outcome, decided.chosen) == ("no_difference", "v1")

    def test_an_invalid_result_is_refused_even_by_hand(self, running):
        units = [f"user-{number}" for number in range(2_000)]
        only = [unit for unit in units if running.assign("apps", unit).name == "v1"]
        running.expose("apps", only)
        for choice in (None, Choice("v1", "I know better")):
            with pytest.raises(ExperimentConflictError, match="find the fault"):
                running.decide("apps", "anna", choice)

    @pytest.mark.parametrize(
        ("by", "choice"),
        [("", None), ("anna", Choice("v1", " ")), ("anna", Choice("v3", "newest"))],
        ids=["nobody", "no reason", "no variant"],
    )
    def test_a_decision_says_who_what_and_why(self, running, by, choice):
        with pytest.raises(DecisionError):
            running.decide("apps", by, choice)
        assert issubclass(DecisionError, InputError)


def expose_in_turn(controller, clock):
    shown = {}
    for start in range(0, len(UNITS), 20):
        clock.forward(seconds=1)
        shown |= controller.expose("apps", UNITS[start : start + 20])
    return shown


def total(comparison):
    """The sum of the values of all units."""
    arms = [
        comparison.control_mean * comparison.n_control,
        comparison.mean * comparison.n,
    ]
    return round(sum(arms), 9)


def everything(engine):
    """All that the database holds, as bytes."""
    from embedding_assets.database import reading
    from embedding_assets.experiments.store import TABLES

    with reading(engine) as connection:
        rows = [repr(connection.execute(table.select()).all()) for table in TABLES.sorted_tables]
    return "".join(rows).encode()


def test_an_outcome_of_a_clock_that_is_a_little_ahead_counts_as_of_now(controller):
    controller.create(plan())
    controller.start("apps")
    controller.expose("apps", ["user-1"])
    ahead = Outcome("1", "user-1", "clicks", 1, START + timedelta(seconds=30))
    assert controller.record("apps", [ahead]).accepted == 1


def test_a_metric_can_be_a_guard(controller, clock):
    guarded = (Metric("clicks", "rate"), Metric("errors", "rate", "down", guard=True))
    controller.create(plan(metrics=guarded, endpoint="find-similar"))
    controller.start("apps")
    with pytest.raises(OutcomeError, match="'errors' is no metric"):
        controller.record("apps", clicks(["user-1"], metric="errors"))
