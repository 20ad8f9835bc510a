"""Requests at a given rate over kept connections, timed from when each one was due."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

_GIVE_UP_SECONDS = 30.0


@dataclass(frozen=True)
class Request:
    """One request as it goes over the wire. body: JSON; None for a GET."""

    path: str
    body: bytes | None = None

    @property
    def wire(self) -> bytes:
        """Its bytes."""
        lines = [
            f"{'GET' if self.body is None else 'POST'} {self.path} HTTP/1.1",
            "Host: 127.0.0.1",
        ]
        if self.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + (self.body or b"")


@dataclass
class Load:
    """What became of requests that were sent at `rate` per second.

    milliseconds: of each answered one, from the moment when it was due, so that one that waits
    behind a slow one counts its waiting too. failures: how many requests had no answer, by the
    reason, or another status than 2xx.
    """

    rate: float
    seconds: float = 0.0
    milliseconds: list[float] = field(default_factory=list)
    failures: Counter[str] = field(default_factory=Counter)

    def quantile(self, share: float) -> float:
        """Milliseconds within which that share of the answers came; NaN where none did."""
        times: npt.NDArray[np.float64] = np.asarray(self.milliseconds)
        return float(np.quantile(times, share)) if len(times) else float("nan")

    @property
    def answered_per_second(self) -> float:
        """How many answers came per second."""
        return len(self.milliseconds) / self.seconds if self.seconds else 0.0


class Client:
    """Keeps connections to one server on loopback."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: deque[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = deque()

    async def send(self, request: Request) -> int:
        """The status of the answer, whose body is read and dropped.

        Raises OSError, asyncio.IncompleteReadError when the connection breaks.
        """
        while self._idle:
            reader, writer = self._idle.pop()
            if not reader.at_eof():  # the server closes what was idle for long
                return await self._ask(request, reader, writer)
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        return await self._ask(request, reader, writer)

    async def _ask(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> int:
        try:
            writer.write(request.wire)
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(_length(head))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        """Let go of all connections."""
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def at_rate(client: Client, requests: Sequence[Request], rate: float, seconds: float) -> Load:
    """What became of `rate` requests per second, sent when they are due whether or not earlier
    ones are answered (an open loop; Schroeder et al. 2006)."""
    load = Load(rate)
    start = time.perf_counter()
    due = start
    tasks = []
    for number in range(max(1, round(rate * seconds))):
        due = start + number / rate
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        request = requests[number % len(requests)]
        tasks.append(asyncio.create_task(_timed(client, request, due, load)))
    await asyncio.gather(*tasks)
    load.seconds = time.perf_counter() - start
    return load


async def _timed(client: Client, request: Request, due: float, load: Load) -> None:
    try:
        async with asyncio.timeout(_GIVE_UP_SECONDS):
            status = await client.send(request)
    except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
        load.failures[type(error).__name__] += 1
        return
    if 200 <= status < 300:
        load.milliseconds.append((time.perf_counter() - due) * 1000)
    else:
        load.failures[str(status)] += 1


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0
