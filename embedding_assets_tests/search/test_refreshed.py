import errno
import threading

import pytest

from embedding_assets.errors import NotFoundError
from embedding_assets.search import refreshed
from embedding_assets.search.refreshed import Refreshed

GONE = NotFoundError("It is gone.", "Bring it back.")


class Source:
    """A state, and what is made of it; made in a thread that can be waited for."""

    def __init__(self):
        self.state = "a"
        self.made = []
        self.fails = None
        self.done = threading.Event()

    def make(self):
        try:
            if self.fails:
                raise self.fails
            self.made.append(self.state)
            return self.state
        finally:
            self.done.set()

    def refreshed(self):
        return Refreshed(lambda: self.state, self.make)

    def change(self, state, value):
        """Another state; until the value for it is made."""
        self.done.clear()
        self.state = state
        before = set(threading.enumerate())
        given = value.now()
        assert self.done.wait(10)
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        return given


@pytest.fixture
def source():
    return Source()


def test_a_value_is_made_once_for_a_state(source):
    value = source.refreshed()
    assert [value.now(), value.now()] == ["a", "a"] and source.made == ["a"]


def test_the_old_value_is_given_until_the_new_one_is_made(source):
    value = source.refreshed()
    value.now()
    assert source.change("b", value) == "a"
    assert value.now() == "b" and source.made == ["a", "b"]


def test_the_first_failure_is_raised_and_tried_again(source):
    value, source.fails = source.refreshed(), GONE
    for _ in range(2):
        with pytest.raises(NotFoundError):
            value.now()
    source.fails = None
    assert value.now() == "a"


def test_a_later_failure_leaves_the_old_value_and_is_told(source):
    value = source.refreshed()
    value.now()
    source.fails = GONE
    source.change("b", value)
    assert value.now() == "a" and value.trouble.problem == "It is gone."
    source.fails = None
    source.change("c", value)
    assert value.now() == "c" and value.trouble is None


@pytest.mark.parametrize("error", [GONE, OSError(errno.ENOSPC, "no space")], ids=["named", "other"])
def test_what_failed_is_tried_again_after_a_while_though_the_state_is_the_same(
    source, monkeypatch, error
):
    value = source.refreshed()
    value.now()
    source.fails = error
    source.change("b", value)
    assert str(value.trouble).startswith(("It is gone.", "What has changed cannot be read: "))
    source.fails = None
    assert value.now() == "a"
    monkeypatch.setattr(refreshed, "AGAIN_SECONDS", 0.0)
    source.change("b", value)
    assert value.now() == "b" and value.trouble is None
