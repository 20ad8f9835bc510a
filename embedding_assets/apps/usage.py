"""How the similarity service was used: counts, and how long the last answers took."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Sequence

import numpy as np

from embedding_assets.apps.answers import SimilarApps, SimilarityMetrics, VersionMetrics
from embedding_assets.apps.places import KNOWN
from embedding_assets.apps.served import ServedApps

_TIMED = 1_000


class Usage:
    """Counts since the process started; may be shared between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queries: Counter[str] = Counter()
        self._newcomers: Counter[str] = Counter()
        self._seconds: dict[str, deque[float]] = {}
        self._failures = 0
        self._predictions = 0

    def answered(self, answers: Iterable[object], seconds: float) -> None:
        """So long it took to give those answers together; errors among them are failures."""
        with self._lock:
            for answer in answers:
                if not isinstance(answer, SimilarApps):
                    self._failures += 1
                    continue
                self._queries[answer.version] += 1
                self._newcomers[answer.version] += answer.placed_by != KNOWN
                last = self._seconds.setdefault(answer.version, deque(maxlen=_TIMED))
                last.append(seconds)

    def failed(self) -> None:
        """A question could not be answered."""
        with self._lock:
            self._failures += 1

    def predicted(self) -> None:
        """A prediction was given."""
        with self._lock:
            self._predictions += 1

    def metrics(self, served: ServedApps) -> SimilarityMetrics:
        """The counts, with what is known of the served index."""
        index = served.opened
        with self._lock:
            names = [*(index.versions if index else ()), *self._queries]
            versions = {
                name: VersionMetrics(
                    self._queries[name],
                    self._newcomers[name],
                    *_quantiles(self._seconds.get(name, ())),
                )
                for name in dict.fromkeys(names)
            }
            return SimilarityMetrics(
                index_version=index.manifest.version if index else None,
                apps=len(index.ids) if index else 0,
                trouble=served.trouble,
                queries=sum(self._queries.values()),
                predictions=self._predictions,
                failures=self._failures,
                swaps=served.swaps,
                versions=versions,
            )


def _quantiles(seconds: Sequence[float] | deque[float]) -> tuple[float | None, ...]:
    """The median, 95th and 99th percentile in milliseconds; None without any."""
    if not seconds:
        return None, None, None
    found = np.quantile(np.array(seconds) * 1_000, (0.5, 0.95, 0.99))
    return tuple(round(float(each), 3) for each in found)
