"""Experiments in both kinds of database, at times that the tests choose."""

import random
import secrets
from datetime import UTC, datetime, timedelta

import pytest

from embedding_assets.experiments.controller import ABTestController
from embedding_assets.experiments.plan import ExperimentPlan, Metric, Variant
from embedding_assets_tests.databases import postgres, url

__all__ = ["postgres", "url"]

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def forward(self, **parts):
        self.now += timedelta(**parts)


def plan(id="apps", **fields):
    """A plan of two variants, whose clicks count within an hour."""
    default = {
        "variants": (Variant("v1", 1, "v1"), Variant("v2", 1, "v2")),
        "metrics": (Metric("clicks", "rate"), Metric("revenue", "mean")),
        "minimum_units": 2,
        "minimum_days": 0.0,
        "attribution_seconds": 3600.0,
    }
    return ExperimentPlan(id, **default | fields)


@pytest.fixture(autouse=True)
def steady_salts(monkeypatch):
    """The same assignments at each run."""
    monkeypatch.setattr(secrets, "token_bytes", random.Random(7).randbytes)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def controller(url, clock):
    found = ABTestController(url, clock)
    yield found
    found.store.engine.dispose()


@pytest.fixture
def running(controller):
    """A controller whose experiment "apps" runs."""
    controller.create(plan())
    controller.start("apps")
    return controller
