"""The encoders of the models whose vectors are searched here, each with its recent queries."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from embedding_assets.api.batching import QueryEncoder
from embedding_assets.api.metrics import Metrics
from embedding_assets.embedding.encoder import Encoder

_MOST = 3
"""Models kept in memory: the one that serves, one beside it, one that is gone back to."""


class Encoders:
    """Opens the encoder of a model when it is first asked for; may be shared between threads."""

    def __init__(
        self, open_encoder: Callable[[str], Encoder], cached: int, metrics: Metrics
    ) -> None:
        """open_encoder: loads the encoder with a fingerprint, and keeps no hold of it. cached:
        vectors kept of each."""
        self._open = open_encoder
        self._cached = cached
        self._metrics = metrics
        self._encoders: OrderedDict[str, QueryEncoder] = OrderedDict()
        self._looking = threading.Lock()
        self._is_closed = False

    def of(self, fingerprint: str) -> QueryEncoder:
        """The encoder with that fingerprint; its model is loaded with the first text."""
        left = []
        with self._looking:
            found = self._encoders.get(fingerprint)
            if found is None:
                open_encoder = self._open
                found = QueryEncoder(lambda: open_encoder(fingerprint), self._cached, self._metrics)
                self._encoders[fingerprint] = found
                while len(self._encoders) > _MOST:
                    left.append(self._encoders.popitem(last=False)[1])
            self._encoders.move_to_end(fingerprint)
            if self._is_closed:
                left.append(found)
        for each in left:
            each.close()
        return found

    def close(self) -> None:
        """End their threads; whoever still waits is told so."""
        with self._looking:
            self._is_closed = True
            encoders = list(self._encoders.values())
        for each in encoders:
            each.close()
