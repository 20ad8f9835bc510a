import asyncio

import pytest

from embedding_assets.api.limits import Limiter
from embedding_assets.api.metrics import Metrics
from embedding_assets.database import DatabaseUnavailableError, open_engine
from embedding_assets_tests.databases import postgres, url

__all__ = ["postgres", "url"]

NOON = 1_800_014_400.0  # the beginning of a minute


@pytest.fixture
def limiter_of(url):
    """Limiters of several processes over one database."""
    made = []

    def make(now=lambda: NOON, engine=None):
        engine = engine or open_engine(url)
        limiter = Limiter(lambda: engine, Metrics(), now)
        limiter.open()
        made.append((limiter, engine))
        return limiter

    yield make
    for limiter, engine in made:
        limiter.stop()
        engine.dispose()


def passed(limiter, times, per_minute, per_day=None, key="k"):
    """How many of several requests, one after the other, were let through."""

    async def ask():
        return [await limiter.count(key, per_minute, per_day) for _ in range(times)]

    return sum(not use.refusal for use in asyncio.run(ask()))


def test_requests_pass_up_to_the_limit(limiter_of):
    limiter = limiter_of()
    assert passed(limiter, 10, per_minute=7) == 7
    assert passed(limiter, 5, per_minute=7, key="other") == 5


@pytest.mark.parametrize(("limit", "above"), [(3, 0), (99, 0), (400, 8)])
def test_the_limit_holds_over_several_processes(limiter_of, limit, above):
    one, two = limiter_of(), limiter_of()

    async def ask():
        each = [limiter.count("k", limit, 10_000) for _ in range(limit) for limiter in (one, two)]
        return await asyncio.gather(*each)

    assert limit <= sum(not use.refusal for use in asyncio.run(ask())) <= limit + above


def test_a_process_that_comes_later_knows_what_was_used(limiter_of):
    first = limiter_of()
    assert passed(first, 5, per_minute=5) == 5
    first.stop()
    assert passed(limiter_of(), 5, per_minute=5) == 0


def test_the_next_minute_begins_anew_and_the_day_goes_on(limiter_of):
    now = [NOON]
    limiter = limiter_of(lambda: now[0])
    assert passed(limiter, 10, per_minute=4, per_day=6) == 4
    now[0] += 60
    assert passed(limiter, 10, per_minute=4, per_day=6) == 2
    now[0] += 86_400
    assert passed(limiter, 10, per_minute=4, per_day=6) == 4


def test_refused_requests_do_not_use_up_the_day(limiter_of):
    now = [NOON]
    limiter = limiter_of(lambda: now[0])
    assert passed(limiter, 50, per_minute=2, per_day=8) == 2
    now[0] += 60
    assert passed(limiter, 6, per_minute=10, per_day=8) == 6


def test_a_refusal_says_when_to_come_back(limiter_of):
    limiter = limiter_of(lambda: NOON + 20)

    async def ask():
        return [await limiter.count("k", 1, 9) for _ in range(2)]

    first, second = asyncio.run(ask())
    assert first.headers == {
        "RateLimit": '"minute";r=0;t=40, "day";r=8;t=' + str(86_400 - int(NOON + 20) % 86_400),
        "RateLimit-Policy": '"minute";q=1;w=60, "day";q=9;w=86400',
    }
    assert second.headers["Retry-After"] == "40"
    assert second.refusal == "More than 1 requests in this minute."
    assert second.span == "minute"


class Gone:
    """An engine that comes back when it is told to."""

    def __init__(self, engine):
        self.engine, self.is_gone = engine, False

    def connect(self):
        if self.is_gone:
            raise DatabaseUnavailableError("gone", "wait")
        return self.engine.connect()

    def __getattr__(self, name):
        return getattr(self.engine, name)


def test_without_a_database_each_process_counts_for_itself(limiter_of, url):
    engine = Gone(open_engine(url))
    limiter = limiter_of(engine=engine)
    assert passed(limiter, 2, per_minute=5) == 2
    engine.is_gone = True
    assert passed(limiter, 5, per_minute=5) == 3


def test_what_was_counted_without_a_database_is_not_lost(limiter_of, url):
    engine = Gone(open_engine(url))
    limiter = limiter_of(engine=engine)
    engine.is_gone = True
    assert passed(limiter, 4, per_minute=5) == 4
    engine.is_gone = False
    limiter.stop()
    assert passed(limiter_of(), 5, per_minute=5) == 1
