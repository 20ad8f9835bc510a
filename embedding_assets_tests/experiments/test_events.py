import random
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from embedding_assets.database import reading, writing
from embedding_assets.experiments.assignment import unit_key
from embedding_assets.experiments.events import (
    ExposureRow,
    Observation,
    OutcomeRow,
    add_events,
    add_exposures,
    add_observations,
    add_outcomes,
    closed_units,
    exposure_counts,
    observed,
)
from embedding_assets.experiments.outcomes import Outcome, Recorded

WRITER = """
import sys
from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.outcomes import Outcome
controller = ABTestController(sys.argv[1])
units = [f"user-{number}" for number in range(20)]
controller.expose("apps", units)
for batch in range(int(sys.argv[2])):
    sent = [Outcome(f"{batch}-{unit}", unit, "revenue") for unit in units]
    controller.record("apps", sent)
    print(batch, flush=True)
"""


def rows(number, count):
    return [ExposureRow(number, unit, unit % 2, 1_000 + unit) for unit in range(count)]


def process(url, batches):
    command = [sys.executable, "-c", WRITER, url, str(batches)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def stored(running):
    return running.store.find("apps")


@pytest.fixture
def engine(running):
    return running.store.engine


class TestExposures:
    def test_the_earliest_counts_in_whatever_order_they_arrive(self, engine, stored):
        for first_at in (500, 300, 400):
            with writing(engine) as connection:
                add_exposures(connection, [ExposureRow(stored.number, 1, 0, first_at)])
        with reading(engine) as connection:
            for before, closed in ((300, 0), (301, 1)):
                assert exposure_counts(connection, stored.number, before)[0].closed == closed

    def test_a_unit_may_stand_twice_in_a_batch(self, engine, stored):
        with writing(engine) as connection:
            add_exposures(connection, rows(stored.number, 3) * 2)
        with reading(engine) as connection:
            found = exposure_counts(connection, stored.number, 0)
        assert {variant: count.units for variant, count in found.items()} == {0: 2, 1: 1}

    def test_those_of_experiments_that_are_gone_are_left_out(self, engine, stored):
        seen = dict.fromkeys([ExposureRow(99, 1, 0, 5), *rows(stored.number, 1)], Observation(1))
        assert add_events(engine, seen) == {stored.number}
        with reading(engine) as connection:
            assert exposure_counts(connection, 99, 0) == {}
            assert observed(connection, stored.number) == {0: Observation(1)}


class TestObservations:
    def test_add_up_over_writers_and_minutes(self, engine, stored):
        for minute in (1, 1, 2):
            one = Observation(2, 1, 0, 30.0, 500.0)
            with writing(engine) as connection:
                key = (stored.number, 1, minute)
                add_observations(connection, {key: one, (stored.number, 0, minute): Observation()})
        with reading(engine) as connection:
            assert observed(connection, stored.number) == {
                0: Observation(),
                1: Observation(6, 3, 0, 90.0, 1_500.0),
            }


class TestClosedUnits:
    def test_come_in_the_order_of_their_first_exposure(self, engine, stored):
        shuffled = rows(stored.number, 50)
        random.Random(1).shuffle(shuffled)
        with writing(engine) as connection:
            add_exposures(connection, shuffled[:20])
            add_exposures(connection, shuffled[20:])
        with reading(engine) as connection:
            parts = list(closed_units(connection, stored, 1_030, at_once=8))
        assert [len(part.variants) for part in parts] == [8, 8, 8, 6]
        found = np.concatenate([part.variants for part in parts])
        np.testing.assert_array_equal(found, np.arange(30) % 2)

    def test_hold_values_and_missing_covariates(self, engine, stored):
        with writing(engine) as connection:
            add_exposures(connection, rows(stored.number, 3))
            number, at = stored.number, 1_500
            sent = [(b"a", 0, 0, 1.0), (b"b", 0, 1, 2.0), (b"c", 0, 1, 3.0), (b"d", 2, 0, -1.0)]
            add_outcomes(connection, [OutcomeRow(number, i, u, m, at, v) for i, u, m, v in sent])
        with reading(engine) as connection:
            (part,) = closed_units(connection, stored, 2_000)
        np.testing.assert_array_equal(part.values["clicks"], [1, 0, 0])
        np.testing.assert_array_equal(part.values["revenue"], [5, 0, 0])
        assert np.isnan(part.covariates).all()

    def test_of_another_experiment_are_left_out(self, running, engine, stored):
        running.create(replace(stored.plan, id="other"))
        other = running.store.find("other")
        with writing(engine) as connection:
            add_exposures(connection, [*rows(stored.number, 4), *rows(other.number, 6)])
            mine = [OutcomeRow(other.number, b"x", 1, 0, 1_500, 1.0)]
            assert add_outcomes(connection, mine) == 1
        with reading(engine) as connection:
            (part,) = closed_units(connection, stored, 2_000)
        np.testing.assert_array_equal(part.values["clicks"], np.zeros(4))


class TestSeveralProcesses:
    def test_write_at_once_and_every_outcome_counts_once(self, url, running):
        writers = [process(url, 5) for _ in range(3)]
        said = [writer.communicate() for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0, 0], said
        assert stored_outcomes(running) == 5 * 20
        assert running.analyse("apps").waiting == 20

    def test_a_killed_writer_loses_nothing_that_was_acknowledged(self, url, running):
        writer = process(url, 100_000)
        acknowledged = [int(writer.stdout.readline()) for _ in range(30)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in writer.communicate()[0].splitlines()]
        assert writer.returncode == -signal.SIGKILL
        units = [f"user-{number}" for number in range(20)]
        again = [
            Outcome(f"{batch}-{unit}", unit, "revenue") for batch in acknowledged for unit in units
        ]
        assert running.record("apps", again) == Recorded(0, 20 * len(acknowledged), ())
        whole, rest = divmod(stored_outcomes(running), 20)
        assert rest == 0
        assert whole - len(acknowledged) in (0, 1)


def stored_outcomes(controller):
    from sqlalchemy import func, select

    from embedding_assets.experiments.store import outcomes

    with reading(controller.store.engine) as connection:
        return connection.scalar(select(func.count()).select_from(outcomes))


def test_units_are_kept_by_the_key_of_their_experiment(running, engine, stored):
    running.expose("apps", ["user-1"])
    with reading(engine) as connection:
        from sqlalchemy import select

        from embedding_assets.experiments.store import exposures

        kept = connection.scalars(select(exposures.c.unit)).all()
    assert kept == [unit_key(stored.salt, "user-1")]
