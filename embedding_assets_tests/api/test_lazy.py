import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from embedding_assets.api.lazy import Followed, Lazy


class Maker:
    """Counts what it makes; waits for `go` before each."""

    def __init__(self):
        self.made, self.go = 0, threading.Event()

    def __call__(self):
        self.go.wait()
        self.made += 1
        return object()


@pytest.mark.parametrize("wrap", [Lazy, lambda make: Followed(lambda: 1, make)])
def test_many_that_ask_at_once_share_one(wrap):
    maker = Maker()
    shared = wrap(maker)
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(shared) for _ in range(8)]
        maker.go.set()
        assert len({id(each.result()) for each in asked}) == 1
    assert maker.made == 1


@pytest.mark.parametrize("wrap", [Lazy, lambda make: Followed(lambda: 1, make)])
def test_what_fails_is_tried_again_by_the_next(wrap):
    outcomes = iter([OSError("away"), "there"])

    def make():
        outcome = next(outcomes)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    shared = wrap(make)
    with pytest.raises(OSError, match="away"):
        shared()
    assert shared() == shared() == "there"


def test_it_is_open_once_it_was_opened():
    shared = Lazy(lambda: None)
    assert not shared.is_open
    shared()
    assert shared.is_open


def test_another_state_makes_another_and_the_same_does_not():
    state, made = ["a"], []

    def make():
        made.append(state[0])
        return made[-1].upper()

    followed = Followed(lambda: state[0], make)
    assert (followed(), followed()) == ("A", "A")
    state[0] = "b"
    assert (followed(), followed()) == ("B", "B")
    assert made == ["a", "b"]
