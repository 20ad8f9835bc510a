"""How many wrong keys an address may send, so that guessing keeps nobody's database busy."""

import ipaddress
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cachetools import LRUCache

from embedding_assets.api.problems import RequestError

_MOST = 10_000
_SECONDS = 60
_WRONG_KEY = 401


class Strangers:
    """Counts requests with keys that are not valid, by address and minute, in this process.

    The addresses that were seen last are remembered, ten thousand of them; of IPv6 the network
    (/64), of which a caller has all addresses.
    """

    def __init__(self, per_minute: int, now: Callable[[], float] = time.time) -> None:
        self._per_minute = per_minute
        self._now = now
        self._counts: LRUCache[str, tuple[int, int]] = LRUCache(_MOST)

    @contextmanager
    def looking_up(self, address: str | None) -> Iterator[None]:
        """While the key that came from an address is looked up: counted unless it is valid.

        Raises RequestError (429) when too many from there were not; then nothing is looked up.
        """
        name = _network(address)
        minute, count = self._of(name)
        if count >= self._per_minute:
            wait = _SECONDS - int(self._now()) % _SECONDS
            raise RequestError(
                "Too many keys that are not valid came from this address.",
                f"Try again in {wait} seconds, with a valid key.",
                429,
                {"Retry-After": str(wait)},
            )
        # Counted before it is known: many at once could else all pass.
        self._counts[name] = (minute, count + 1)
        try:
            yield
        except BaseException as error:
            if not isinstance(error, RequestError) or error.status != _WRONG_KEY:
                self._take_back(name)  # nothing is known of the key
            raise
        self._take_back(name)

    def _of(self, name: str) -> tuple[int, int]:
        minute = int(self._now()) // _SECONDS
        known = self._counts.get(name, (minute, 0))
        return known if known[0] == minute else (minute, 0)

    def _take_back(self, name: str) -> None:
        minute, count = self._of(name)
        self._counts[name] = (minute, max(0, count - 1))


def _network(address: str | None) -> str:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:  # no address: a socket of this machine
        return address or ""
    if found.version == 6:
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)
