import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from embedding_assets.api.batching import QueryEncoder
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.problems import OverloadedError
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import ModelLoadError


class Held(HashingEncoder):
    """Encodes only while it is let go, and notes what was encoded together."""

    def __init__(self):
        super().__init__()
        self.batches, self.begun, self.free = [], threading.Semaphore(0), threading.Semaphore(0)

    def encode(self, texts):
        self.batches.append(list(texts))
        self.begun.release()
        self.free.acquire()
        return super().encode(texts)


@pytest.fixture
def queries_of():
    made = []

    def make(encoder, cached=100):
        made.append(QueryEncoder(lambda: encoder, cached, Metrics()))
        _ = made[-1].fingerprint  # open
        return made[-1]

    yield make
    for queries in made:
        queries.close()


async def begun(encoder):
    """Wait until a batch is being encoded."""
    await asyncio.to_thread(encoder.begun.acquire)


def test_vectors_are_those_of_the_encoder_in_the_order_of_the_texts(queries_of):
    texts = ["b b", "a", "b b", "c d e"]
    made, wanted = queries_of(HashingEncoder()).encode(texts), HashingEncoder().encode(texts)
    np.testing.assert_array_equal(made.vectors, wanted.vectors)
    np.testing.assert_array_equal(made.tokens, wanted.tokens)
    np.testing.assert_array_equal(made.windows, wanted.windows)


def test_no_text_gives_no_vector(queries_of):
    assert queries_of(HashingEncoder(dimension=8)).encode([]).vectors.shape == (0, 8)


def test_what_arrives_while_a_batch_is_encoded_is_the_next_batch(queries_of):
    encoder = Held()
    queries = queries_of(encoder)

    async def scenario():
        first = asyncio.create_task(queries.encode_soon(["first"]))
        await begun(encoder)
        others = [asyncio.create_task(queries.encode_soon([text])) for text in ("a", "b", "a")]
        await asyncio.sleep(0)
        encoder.free.release(2)
        return await asyncio.gather(first, *others)

    answers = asyncio.run(scenario())
    assert encoder.batches == [["first"], ["a", "b"]]
    np.testing.assert_array_equal(answers[1].vectors, answers[3].vectors)


def test_known_texts_are_not_encoded_again(queries_of):
    encoder = Held()
    encoder.free.release(9)
    queries = queries_of(encoder)
    queries.encode(["a", "b"])
    queries.encode(["b", "c"])
    asyncio.run(queries.encode_soon(["a", "c"]))
    assert encoder.batches == [["a", "b"], ["c"]]


def test_without_a_cache_everything_is_encoded(queries_of):
    encoder = Held()
    encoder.free.release(9)
    queries = queries_of(encoder, cached=0)
    queries.encode(["a"])
    queries.encode(["a"])
    assert encoder.batches == [["a"], ["a"]]


def test_a_query_overtakes_long_texts(queries_of):
    encoder = Held()
    queries = queries_of(encoder)
    long = [f"{number} " * 2_000 for number in range(6)]

    async def scenario():
        slow = asyncio.create_task(queries.encode_soon(long))
        await begun(encoder)
        quick = asyncio.create_task(queries.encode_soon(["short"]))
        await asyncio.sleep(0)
        encoder.free.release(2)
        await quick
        assert not slow.done()
        encoder.free.release(99)
        return await slow

    assert len(asyncio.run(scenario()).vectors) == 6
    assert encoder.batches[1][0] == "short"


def test_texts_that_nobody_waits_for_any_more_are_not_encoded(queries_of):
    encoder = Held()
    queries = queries_of(encoder)

    async def scenario():
        first = asyncio.create_task(queries.encode_soon(["first"]))
        await begun(encoder)
        gone = asyncio.create_task(queries.encode_soon(["gone"]))
        last = asyncio.create_task(queries.encode_soon(["last"]))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        encoder.free.release(9)
        await asyncio.gather(first, last)

    asyncio.run(scenario())
    assert encoder.batches == [["first"], ["last"]]


def test_too_much_at_once_is_refused(queries_of, monkeypatch):
    monkeypatch.setattr("embedding_assets.api.batching._MOST_WAITING", 2)
    encoder = Held()
    queries = queries_of(encoder)

    async def scenario():
        waiting = [asyncio.create_task(queries.encode_soon(["first"]))]
        await begun(encoder)
        waiting += [asyncio.create_task(queries.encode_soon([text])) for text in "ab"]
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError):
            await queries.encode_soon(["c"])
        encoder.free.release(9)
        await asyncio.gather(*waiting)

    asyncio.run(scenario())


def test_whoever_asked_is_told_what_broke_and_the_next_is_answered(queries_of):
    class Broken(HashingEncoder):
        is_broken = True

        def encode(self, texts):
            if self.is_broken:
                raise ModelLoadError("broken", "mend it")
            return super().encode(texts)

    encoder = Broken()
    queries = queries_of(encoder)
    with pytest.raises(ModelLoadError):
        queries.encode(["a"])
    encoder.is_broken = False
    assert len(queries.encode(["a"]).vectors) == 1


def test_many_threads_get_their_own_answers(queries_of):
    queries = queries_of(HashingEncoder())
    texts = [f"word{number}" for number in range(200)]
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda text: queries.encode([text]).vectors[0], texts))
    np.testing.assert_array_equal(made, HashingEncoder().encode(texts).vectors)


def test_after_the_end_nothing_is_encoded(queries_of):
    queries = queries_of(HashingEncoder())
    queries.close()
    with pytest.raises(OverloadedError):
        queries.encode(["a"])
