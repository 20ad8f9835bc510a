"""Maps of embeddings: samples of vectors on a plane, with labels and groups."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import structlog

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import EmbeddingAssetsError, NotFoundError
from embedding_assets.quality.layout import LEAST, LayoutProcess, Points, principal_plane

_log = structlog.get_logger()
MOST_POINTS = 2_000
_GROUPS = 11
_OTHERS = "others"
_LABEL = 120
_DECIMALS = 4


@dataclass(frozen=True)
class Sample:
    """n things to show. groups: the group of each; None for none."""

    ids: list[str]
    labels: list[str]
    groups: list[str | None]
    vectors: Vectors


@dataclass(frozen=True)
class MapState:
    """What changes when a map should be drawn anew.

    content: with the vectors: until then the old map is shown. hidden: with what was forgotten: the
    old map is shown no more.
    """

    content: Hashable
    hidden: Hashable = None


@dataclass(frozen=True)
class MapSource:
    """What a map is drawn from. state: cheap; sample: at most `MOST_POINTS` (`sampled`)."""

    name: str
    title: str
    state: Callable[[], MapState]
    sample: Callable[[], Sample]


@dataclass(frozen=True)
class Map:
    """Points on a plane; x, y, id, label, group: one for each.

    group: a number in `groups`, the largest first, then `others`.
    explained: the share of all variance that x and y show; () for a plane of neighbourhoods, whose
    axes mean nothing. method: `pca` or `tsne`.
    """

    name: str
    title: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    id: tuple[str, ...]
    label: tuple[str, ...]
    group: tuple[int, ...]
    groups: tuple[str, ...]
    explained: tuple[float, ...]
    method: str


class Planner(Protocol):
    """What lays vectors out by their neighbourhoods; see `LayoutProcess`."""

    def plane(self, vectors: Vectors) -> Points:
        """float64 [n, 2]."""
        ...

    def close(self) -> None:
        """Give up what runs."""
        ...


class Maps:
    """The newest maps; may be shared between threads.

    A map is there at once, by its principal components; a few seconds later its neighbourhoods are
    laid out in the background, and then shown.
    """

    def __init__(self, sources: Sequence[MapSource], planner: Planner | None = None) -> None:
        self._sources = {source.name: source for source in sources}
        self._planner = planner or LayoutProcess()
        self._drawn: dict[str, tuple[MapState, Map]] = {}
        self._asked: dict[str, MapState] = {}
        self._lock = threading.Lock()
        self._is_closed = False
        self._background = ThreadPoolExecutor(1, "maps")

    @property
    def names(self) -> list[str]:
        """The maps there may be."""
        return [*self._sources]

    def available(self) -> list[Map]:
        """The maps of which there is anything to show; what cannot be read is left out."""
        found = []
        for name in self._sources:
            try:
                found.append(self.get(name))
            except NotFoundError:
                continue
            except EmbeddingAssetsError as error:
                _log.warning("map_left_out", map=name, problem=error.problem)
        return found

    def get(self, name: str) -> Map:
        """A map as it is now.

        Raises NotFoundError for an unknown name, and while nothing of its kind is stored.
        """
        source = self._sources.get(name)
        if source is None:
            raise NotFoundError(
                f"There is no map {name!r}.", f"The maps are {', '.join(self._sources)}."
            )
        state = source.state()
        known = self._drawn.get(name)
        if known is None or known[0].hidden != state.hidden:
            known = self._draw(source, state)
        elif known[0].content != state.content:
            self._lay_out_soon(source, state)
        return known[1]

    def close(self) -> None:
        """End what is under way in the background; maps by principal components go on."""
        with self._lock:
            self._is_closed = True
        self._planner.close()
        self._background.shutdown(wait=True, cancel_futures=True)

    def _draw(self, source: MapSource, state: MapState) -> tuple[MapState, Map]:
        drawn = state, draw_map(source, source.sample())
        with self._lock:
            self._drawn[source.name] = drawn
        self._lay_out_soon(source, state)
        return drawn

    def _lay_out_soon(self, source: MapSource, state: MapState) -> None:
        with self._lock:
            if self._is_closed or self._asked.get(source.name) == state:
                return
            self._asked[source.name] = state
            self._background.submit(self._lay_out, source, state)

    def _lay_out(self, source: MapSource, state: MapState) -> None:
        """The map by its neighbourhoods; where that cannot be had, the one that is there stays."""
        try:
            sample = source.sample()
            drawn = draw_map(source, sample)
            if len(sample.ids) >= LEAST:
                drawn = _moved(drawn, self._planner.plane(sample.vectors))
        except EmbeddingAssetsError:
            return
        with self._lock:
            if self._asked[source.name] == state:
                self._drawn[source.name] = state, drawn


def sampled(count: int, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """At most `most` of `count` rows, ascending, the same ones every time."""
    return np.sort(np.random.default_rng(0).permutation(count)[:most])


def draw_map(source: MapSource, sample: Sample) -> Map:
    """The map by principal components."""
    points, explained = principal_plane(sample.vectors)
    numbers, groups = _grouped(sample.groups)
    return _moved(
        Map(
            name=source.name,
            title=source.title,
            x=(),
            y=(),
            id=tuple(sample.ids),
            label=tuple(_short(label) for label in sample.labels),
            group=numbers,
            groups=groups,
            explained=tuple(round(share, _DECIMALS) for share in explained),
            method="pca",
        ),
        points,
        method="pca",
    )


def _moved(drawn: Map, points: Points, method: str = "tsne") -> Map:
    """The same things elsewhere, within -1 to 1, the middle at 0."""
    if len(points):
        low, high = points.min(axis=0), points.max(axis=0)
        span = float((high - low).max())
        points = (points - (low + high) / 2) / (span / 2 if span > 0 else 1.0)
    x, y = points.round(_DECIMALS).T.tolist()
    explained = drawn.explained if method == "pca" else ()
    return replace(drawn, x=tuple(x), y=tuple(y), explained=explained, method=method)


def _grouped(groups: Sequence[str | None]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """The number of each one's group, and the groups: the most frequent ones, then the others."""
    counts = Counter(each for each in groups if each)
    ranked = sorted(counts, key=lambda name: (-counts[name], name))[:_GROUPS]
    numbers = {name: number for number, name in enumerate(ranked)}
    chosen = tuple(numbers.get(each or "", len(ranked)) for each in groups)
    names = (*ranked, _OTHERS) if len(ranked) in chosen else tuple(ranked)
    return chosen, names


def _short(label: str) -> str:
    line = " ".join(label[: 4 * _LABEL].split())
    return line if len(line) <= _LABEL else line[: _LABEL - 1].rstrip() + "…"
