from types import SimpleNamespace

from embedding_assets.benchmarks.service import ENDPOINTS, Row, _picture, _table
from embedding_assets.benchmarks.service_data import Data

OPTIONS = SimpleNamespace(workers=1, apps=10, passages=20, seconds=3)


def row(endpoint, rate, p99, failures=None, beside="-"):
    return Row(endpoint, beside, rate, rate, 1.0, 2.0, p99, 2 * p99, failures or {}, 100)


def rows(p99=5.0, failures=None):
    return [row(each.name, each.rate, p99, failures) for each in ENDPOINTS]


def test_the_table_says_which_rates_were_held():
    lines = _table([*rows(), row("embed", 30, 9.0, beside="all")], OPTIONS).splitlines()
    assert lines[-4:] == [
        "find-similar: 200/s at p99 5.0 ms (held: 20 ms)",
        "search hybrid: 40/s at p99 5.0 ms (held: 60 ms)",
        "embed: 60/s at p99 5.0 ms (held: 30 ms)",
        "health/live: 100/s at p99 5.0 ms (held: 10 ms)",
    ]
    assert any(line.startswith("embed *") for line in lines)


def test_a_rate_at_which_requests_failed_or_waited_is_not_held():
    assert _table(rows(failures={"503": 2}), OPTIONS).count("(not held:") == len(ENDPOINTS)
    assert _table(rows(p99=25.0), OPTIONS).count("(not held:") == 2
    assert "2 503" in _table(rows(failures={"503": 2}), OPTIONS)


def test_the_rates_are_drawn():
    assert _picture(rows(), "svg").startswith(b"<?xml")


def test_no_text_is_asked_for_twice():
    data = Data(apps=5, queries=["red shoes", "blue hats"])
    bodies = [each.body for name in ("search hybrid", "embed") for each in data.requests(name, 50)]
    assert len(set(bodies)) == 100
