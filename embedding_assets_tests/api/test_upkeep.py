import threading

import pytest

from embedding_assets.api.upkeep import Upkeep
from embedding_assets.errors import NotFoundError


@pytest.mark.parametrize("failure", [NotFoundError("Nothing is there.", "Wait."), OSError("gone")])
def test_it_is_done_again_after_a_failure_and_not_after_the_end(failure):
    times, thrice = [], threading.Event()

    def do():
        times.append(threading.current_thread().name)
        if len(times) == 3:
            thrice.set()
        raise failure

    upkeep = Upkeep(do, seconds=0.0)
    upkeep.start()
    assert thrice.wait(10)
    upkeep.close()
    done = len(times)
    assert {*times} == {"upkeep"}
    assert len(times) == done


def test_it_may_be_closed_before_it_is_started():
    Upkeep(lambda: None, seconds=1.0).close()
