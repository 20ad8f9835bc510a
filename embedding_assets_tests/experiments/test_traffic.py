from threading import Event

import pytest

from embedding_assets import database
from embedding_assets.database import sqlite_url, writing
from embedding_assets.errors import StoreDamagedError
from embedding_assets.experiments import traffic as module
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.events import add_events
from embedding_assets.experiments.plan import Metric, Variant
from embedding_assets.experiments.store import experiments
from embedding_assets.experiments.traffic import Traffic
from embedding_assets_tests.experiments.conftest import plan

UNITS = [f"user-{number}" for number in range(100)]
GUARDED = (
    Metric("clicks", "rate"),
    Metric("latency", "mean", "down", guard=True),
    Metric("errors", "rate", "down", guard=True),
    Metric("empty", "rate", "down", guard=True),
)


def see(traffic, unit):
    """A unit is shown its variant."""
    traffic.answered(traffic.route("find-similar", unit), 1.0)


@pytest.fixture
def served(controller):
    """A controller with an experiment that steers /find-similar."""
    controller.create(plan(endpoint="find-similar", metrics=GUARDED))
    controller.start("apps")
    return controller


@pytest.fixture
def traffic(served, clock):
    found = Traffic(served.store, clock=lambda: clock.now.timestamp())
    found.refresh()
    return found


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.02)
    return tmp_path / "own" / "service.db"


@pytest.fixture
def local(file):
    """A controller whose database is a file, with an experiment that steers /find-similar."""
    found = ABTestController(sqlite_url(file))
    found.create(plan(endpoint="find-similar", metrics=GUARDED))
    found.start("apps")
    yield found
    found.store.engine.dispose()


class TestRoute:
    def test_is_what_the_controller_assigns(self, traffic, served):
        for unit in UNITS:
            routed, variant = traffic.route("find-similar", unit), served.assign("apps", unit)
            assert (routed.experiment, routed.variant) == ("apps", variant.name)
            assert routed.setting == variant.setting

    def test_other_endpoints_have_no_experiment(self, traffic):
        assert traffic.route("search", "user-1") is None

    def test_before_the_first_reading_there_is_none(self, served):
        assert Traffic(served.store).route("find-similar", "user-1") is None

    def test_experiments_of_one_layer_share_out_an_endpoint(self, controller):
        for id in ("one", "two"):
            controller.create(plan(id, endpoint="find-similar", layer="page", share=0.4))
            controller.start(id)
        found = Traffic(controller.store)
        found.refresh()
        routed = [found.route("find-similar", unit) for unit in UNITS]
        assert {one and one.experiment for one in routed} == {"one", "two", None}

    def test_a_stopped_experiment_routes_no_more(self, traffic, served):
        served.stop("apps")
        traffic.refresh()
        assert traffic.route("find-similar", "user-1") is None

    def test_a_variant_chooses_its_setting(self, controller):
        modes = (Variant("words", 1, "keyword"), Variant("both", 1, "hybrid"))
        controller.create(plan(endpoint="search", variants=modes))
        controller.start("apps")
        found = Traffic(controller.store)
        found.refresh()
        settings = {found.route("search", unit).setting for unit in UNITS}
        assert settings == {"keyword", "hybrid"}


class TestExposures:
    def test_are_written_once_however_often_seen(self, traffic, served):
        for _ in range(3):
            for unit in UNITS:
                see(traffic, unit)
            traffic.flush()
        assert sum(served.analyse("apps").exposures.values()) == 100
        assert (traffic.status().written, traffic.status().waiting) == (100, 0)

    def test_beyond_the_bound_are_dropped_and_counted(self, served):
        found = Traffic(served.store, most_waiting=30)
        found.refresh()
        for unit in UNITS:
            see(found, unit)
        assert (found.status().waiting, found.status().dropped) == (30, 70)
        found.flush()
        assert (found.status().written, found.status().waiting) == (30, 0)

    def test_a_unit_counts_from_when_it_was_seen_not_written(self, traffic, served, clock):
        see(traffic, "user-1")
        clock.forward(hours=2)
        traffic.flush()
        assert served.analyse("apps").waiting == 0


class TestObservations:
    def test_become_the_guards(self, traffic, served, clock):
        latency = {"v1": 10.0, "v2": 30.0}
        for number in range(2_000):
            routed = traffic.route("find-similar", f"user-{number}")
            traffic.answered(
                routed,
                latency[routed.variant] + number % 3,
                is_error=routed.variant == "v2" and number % 2 == 0,
                is_empty=routed.variant == "v1" and number % 4 == 0,
            )
        traffic.flush()
        found = {c.metric: c for c in served.analyse("apps").judgement.comparisons}
        assert found["latency"].control_mean == pytest.approx(11.0, abs=0.1)
        assert found["latency"].mean == pytest.approx(31.0, abs=0.1)
        assert (found["latency"].is_breached, found["errors"].is_breached) == (True, True)
        assert not found["empty"].is_breached
        assert found["latency"].n + found["latency"].n_control == 2_000

    def test_count_once_for_a_unit_whoever_answers_it_and_however_often(self, served):
        for _ in range(3):  # workers, or lives of one
            found = Traffic(served.store, most_waiting=50)
            found.refresh()
            for _ in range(2):
                for unit in UNITS:
                    see(found, unit)
                    found.flush()
        found = {c.metric: c for c in served.analyse("apps").judgement.comparisons}
        assert found["latency"].n + found["latency"].n_control == 100

    def test_a_writer_that_does_not_know_whether_it_wrote_may_write_again(self, served, traffic):
        see(traffic, "user-1")
        waiting = dict(traffic._waiting)
        traffic.flush()
        add_events(served.store.engine, dict(waiting.values()))
        found = {c.metric: c for c in served.analyse("apps").judgement.comparisons}
        assert found["latency"].n + found["latency"].n_control == 1


class TestDatabaseGone:
    def test_the_known_experiments_go_on_and_nothing_is_lost(self, local, file):
        found = Traffic(local.store)
        found.refresh()
        file.rename(file.with_name("away"))
        for unit in UNITS:
            routed = found.route("find-similar", unit)
            found.answered(routed, 5.0)
        found.refresh()
        found.flush()
        gone = found.status()
        assert (gone.running, gone.waiting, gone.written) == (1, 100, 0)
        assert "service.db" in gone.problem
        file.with_name("away").rename(file)
        found.refresh()
        found.flush()
        back = found.status()
        assert (back.problem, back.waiting, back.written, back.dropped) == (None, 0, 100, 0)
        latency = local.analyse("apps").judgement.comparisons[1]
        assert latency.n + latency.n_control == 100

    def test_what_waits_stays_bounded(self, local, file):
        found = Traffic(local.store, most_waiting=30)
        found.refresh()
        file.rename(file.with_name("away"))
        for unit in UNITS[:30]:
            see(found, unit)
        found.flush()
        for unit in UNITS[30:60]:
            see(found, unit)
        assert (found.status().waiting, found.status().dropped) == (30, 30)

    def test_closing_counts_what_could_not_be_written(self, local, file):
        found = Traffic(local.store)
        found.refresh()
        see(found, "user-1")
        file.rename(file.with_name("away"))
        found.close()
        assert (found.status().waiting, found.status().dropped) == (0, 1)

    def test_a_service_starts_without_it(self, tmp_path):
        controller = ABTestController(f"postgresql://anna@/db?host={tmp_path}")
        found = Traffic(controller.store)
        found.refresh()
        assert found.route("find-similar", "user-1") is None
        assert found.status().age is None
        assert "does not answer" in found.status().problem


class TestThread:
    def test_survives_what_nobody_expects_and_says_so(self, served, monkeypatch):
        monkeypatch.setattr(module, "_WRITE_SECONDS", 0.001)
        found, is_over = Traffic(served.store), Event()
        calls = []

        def refresh():
            calls.append(1)
            if len(calls) == 1:
                raise ZeroDivisionError
            Traffic.refresh(found)
            is_over.set()

        monkeypatch.setattr(module, "_REFRESH_SECONDS", 0.001)
        monkeypatch.setattr(found, "refresh", refresh)
        found.start()
        assert is_over.wait(10)
        found.close()
        assert found.status().running == 1

    def test_an_experiment_that_cannot_be_read_leaves_the_others(self, controller):
        for id, endpoint in (("good", "search"), ("torn", "find-similar")):
            modes = (Variant("a", 1, "keyword"), Variant("b", 1, "hybrid"))
            controller.create(plan(id, endpoint=endpoint, variants=modes))
            controller.start(id)
        with writing(controller.store.engine) as connection:
            torn = experiments.update().where(experiments.c.id == "torn")
            connection.execute(torn.values(plan="{}"))
        found = Traffic(controller.store)
        found.refresh()
        assert found.route("search", "user-1").experiment == "good"
        with pytest.raises(StoreDamagedError, match="'torn' cannot be read"):
            controller.find("torn")

    def test_reads_and_writes_by_itself(self, served, monkeypatch):
        monkeypatch.setattr(module, "_WRITE_SECONDS", 0.001)
        found, is_read = Traffic(served.store), Event()
        read = found.refresh
        monkeypatch.setattr(found, "refresh", lambda: (read(), is_read.set()))
        found.start()
        assert is_read.wait(10)
        see(found, "user-1")
        found.close()
        assert sum(served.analyse("apps").exposures.values()) == 1
        assert found.status().dropped == 0

    def test_closing_writes_what_waits(self, traffic, served):
        see(traffic, "user-1")
        traffic.close()
        assert sum(served.analyse("apps").exposures.values()) == 1
