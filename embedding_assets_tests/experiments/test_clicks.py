from datetime import date, timedelta

from embedding_assets.experiments.clicks import days_of_variants
from embedding_assets.experiments.outcomes import Outcome
from embedding_assets.experiments.plan import Variant
from embedding_assets_tests.experiments.conftest import START, plan

MODES = (Variant("usual", 1, "hybrid"), Variant("new", 1, "semantic"))


def test_users_who_clicked_are_counted_by_variant_and_day(controller, clock):
    controller.create(plan("modes", endpoint="search", variants=MODES))
    controller.start("modes")
    units = [f"user {n}" for n in range(40)]
    seen = controller.expose("modes", units)
    controller.record("modes", [Outcome(unit, unit, "clicks") for unit in units[:10]])
    clock.forward(days=3)
    found = list(days_of_variants(controller.store.engine, clock.now, date(2026, 2, 1)))
    assert {each.day for each in found} == {START.date()}
    assert sum(each.units for each in found) == 40
    assert sum(each.successes for each in found) == 10
    counts = {each.variant: each.units for each in found}
    names = [each.name for each in seen.values()]
    assert counts == {name: names.count(name) for name in counts}
    assert {each.metric for each in found} == {"clicks"}


def test_days_whose_outcomes_may_still_come_and_old_ones_are_left_out(controller, clock):
    controller.create(plan("modes", endpoint="search", variants=MODES))
    controller.start("modes")
    controller.expose("modes", ["user"])
    clock.forward(minutes=30)
    engine = controller.store.engine
    assert list(days_of_variants(engine, clock.now, date(2026, 2, 1))) == []
    clock.forward(days=2)
    assert list(days_of_variants(engine, clock.now, date(2026, 2, 1))) != []
    tomorrow = START.date() + timedelta(days=1)
    assert list(days_of_variants(engine, clock.now, tomorrow)) == []


def test_experiments_that_steer_no_requests_are_left_out(running, clock):
    running.expose("apps", ["user"])
    clock.forward(days=3)
    assert list(days_of_variants(running.store.engine, clock.now, date(2026, 2, 1))) == []


def test_clicks_that_a_slow_clock_puts_before_the_answer_are_counted(controller, clock):
    controller.create(plan("modes", endpoint="search", variants=MODES))
    controller.start("modes")
    controller.expose("modes", ["user", "other"])
    times = {"user": START - timedelta(seconds=60), "other": START - timedelta(seconds=61)}
    controller.record("modes", [Outcome(unit, unit, "clicks", at=at) for unit, at in times.items()])
    clock.forward(days=3)
    found = days_of_variants(controller.store.engine, clock.now, date(2026, 2, 1))
    assert sum(each.successes for each in found) == 1
