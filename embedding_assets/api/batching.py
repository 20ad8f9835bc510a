"""Queries of several requests encoded together, and the vectors of recent ones."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from cachetools import LRUCache

from embedding_assets.api.lazy import Lazy
from embedding_assets.api.metrics import Metrics
from embedding_assets.api.problems import OverloadedError
from embedding_assets.embedding.encoder import Counts, Encoder, Encoding, Vectors

_QUERIES_AT_ONCE = 4_096
_LONG_AT_ONCE = 1_024
"""Characters of longer texts that are encoded in one turn, or one text: a query that comes next
waits for no more than that."""
_SHORT = 1_024
"""Characters up to which a text counts as a query: queries go before longer texts."""
_MOST_WAITING = 1_024
_CACHED_CHARACTERS = 2_048


class Encoded(NamedTuple):
    """A text's vector, float32 [d], its tokens and the windows that it was read in."""

    vector: Vectors
    tokens: int
    windows: int


@dataclass
class _Job:
    """The texts of one request that are not known yet, and who waits for them."""

    missing: deque[str]
    found: dict[str, Encoded]
    done: Future[dict[str, Encoded]] = field(default_factory=Future)


class QueryEncoder:
    """An `Encoder` that many may call at once, from threads and from the event loop.

    One thread encodes. What is asked for while it is at work is its next batch, so that nobody
    waits for a batch to fill. Long texts take turns with short ones. Answers that nobody waits for
    any more are not computed.
    """

    def __init__(self, open_encoder: Callable[[], Encoder], cached: int, metrics: Metrics) -> None:
        """cached: how many vectors are kept; 0 keeps none."""
        self._encoder = Lazy(open_encoder)
        self._metrics = metrics
        self._known: LRUCache[tuple[str, str], Encoded] = LRUCache(max(1, cached))
        self._is_caching = cached > 0
        self._is_warm = False
        self._looking = threading.Lock()
        self._short: deque[_Job] = deque()
        self._long: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder, which is loaded for it."""
        return self._encoder().fingerprint

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return self._encoder().dimension

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads at once."""
        return self._encoder().window

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the tokens of each text, special tokens not counted."""
        return self._encoder().count_tokens(texts)

    def warm(self) -> None:
        """Load the model and compute with it once; nothing when that was done before."""
        if not self._is_warm:
            self._encoder().encode(["warm up"])
            self._is_warm = True

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The vectors of texts, in their order; blocks, so never call it on the event loop.

        Raises OverloadedError when too much waits already.
        """
        job = self._job(texts)
        if job.missing:
            self._submit(job)
            job.found.update(job.done.result())
        return self._encoding(texts, job.found)

    async def encode_soon(self, texts: Sequence[str]) -> Encoding:
        """The same without blocking; whoever stops waiting for it takes the texts back."""
        if not self._encoder.is_open:
            return await asyncio.to_thread(self.encode, texts)
        job = self._job(texts)
        if job.missing:
            self._submit(job)
            made: dict[str, Encoded] = await asyncio.wrap_future(job.done)
            job.found.update(made)
        return self._encoding(texts, job.found)

    def close(self) -> None:
        """End the thread; whoever still waits is told so."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _job(self, texts: Iterable[str]) -> _Job:
        wanted = dict.fromkeys(texts)
        found: dict[str, Encoded] = {}
        if self._is_caching:
            fingerprint = self.fingerprint
            with self._looking:
                known = {text: self._known.get((fingerprint, text)) for text in wanted}
            found = {text: encoded for text, encoded in known.items() if encoded is not None}
        self._metrics.looked_up(known=len(found), unknown=len(wanted) - len(found))
        return _Job(deque(text for text in wanted if text not in found), found)

    def _submit(self, job: _Job) -> None:
        is_short = sum(map(len, job.missing)) <= _SHORT
        with self._changed:
            if self._is_closed:
                raise OverloadedError("The service is about to end.")
            if len(self._short) + len(self._long) >= _MOST_WAITING:
                raise OverloadedError("Too many texts wait to be encoded.")
            (self._short if is_short else self._long).append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="batches", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _encoding(self, texts: Sequence[str], found: dict[str, Encoded]) -> Encoding:
        parts = [found[text] for text in texts]
        empty = np.empty((0, self.dimension), dtype=np.float32)
        return Encoding(
            np.stack([part.vector for part in parts]) if parts else empty,
            np.array([part.tokens for part in parts], dtype=np.int32),
            np.array([part.windows for part in parts], dtype=np.int32),
        )

    def _work(self) -> None:
        while batch := self._next_batch():
            self._answer(batch)

    def _next_batch(self) -> list[tuple[_Job, str]]:
        """Texts to encode together: queries first, then one turn of longer ones."""
        with self._changed:
            while True:
                batch = [
                    *_take(self._short, _QUERIES_AT_ONCE),
                    *_take(self._long, _LONG_AT_ONCE),
                ]
                if batch:
                    return batch
                if self._is_closed:
                    return []
                self._changed.wait()

    def _answer(self, batch: list[tuple[_Job, str]]) -> None:
        jobs = list({id(job): job for job, _ in batch}.values())
        texts = list(dict.fromkeys(text for _, text in batch))
        began = time.perf_counter()
        try:
            encoder = self._encoder()
            made = encoder.encode(texts)
        except Exception as error:  # noqa: BLE001  whatever it is belongs to those who wait
            self._fail(jobs, error)
            return
        self._metrics.encoded(len(texts), time.perf_counter() - began)
        parts = zip(made.vectors, made.tokens, made.windows, strict=True)
        rows = [Encoded(vector.copy(), int(n), int(windows)) for vector, n, windows in parts]
        found = dict(zip(texts, rows, strict=True))
        self._remember(encoder.fingerprint, found)
        for job, text in batch:
            job.found[text] = found[text]
        for job in jobs:
            if not job.missing and job.done.set_running_or_notify_cancel():
                job.done.set_result(job.found)

    def _fail(self, jobs: list[_Job], error: Exception) -> None:
        with self._changed:
            for job in jobs:
                job.missing.clear()
        for job in jobs:
            if job.done.set_running_or_notify_cancel():
                job.done.set_exception(error)

    def _remember(self, fingerprint: str, found: dict[str, Encoded]) -> None:
        if self._is_caching:
            with self._looking:
                for text, encoded in found.items():
                    if len(text) <= _CACHED_CHARACTERS:
                        self._known[fingerprint, text] = encoded


def _take(jobs: deque[_Job], most: int) -> Iterable[tuple[_Job, str]]:
    """The next texts of a queue: the first, and more up to `most` characters."""
    characters = 0
    while jobs and characters < most:
        job = jobs[0]
        if job.done.cancelled() or not job.missing:
            jobs.popleft()
            continue
        text = job.missing.popleft()
        if not job.missing:
            jobs.popleft()
        characters += len(text)
        yield job, text
