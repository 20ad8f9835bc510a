"""Whether vectors come from another distribution than those before, by how much, and what moved.

Two statistics look at the same vectors: the maximum mean discrepancy of their principal
components (Gretton, Borgwardt, Rasch, Schoelkopf and Smola 2012, JMLR 13), which sees shifts of
the whole, and the shares of groups of near vectors, which sees a new topic. Both are compared with
themselves after the labels "before" and "now" were exchanged by chance, and the smaller p-value is
corrected for having been chosen by the same exchanges (Westfall and Young 1993), so that the level
is exact for any sample size (Hemerik and Goeman 2018, TEST 27).

What belongs to one unit (a document, an account) is exchanged together, and a unit that stands on
both sides keeps one vector on each: vectors of one unit resemble each other and are no independent
evidence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.quality.drift_exchange import ROUNDING, Exchange, Values, extreme, p_values
from embedding_assets.quality.drift_groups import Groups, group

Flags: TypeAlias = npt.NDArray[np.bool_]

FEWEST_UNITS = 20
"""With fewer on a side nothing is judged."""
PERMUTATIONS = 999
_COMPONENTS = 50
_GROUPED_UNITS, _MOST_GROUPS = 15, 20
_ROWS_AT_ONCE = 1_024
_PAIRS = 200_000
_SAME = 1e-6
"""Squared distances of unit vectors below this are rounding."""
_SHOWN = 3


@dataclass(frozen=True)
class Sample:
    """n vectors, and whose they are.

    units: what each belongs to. vectors: float32 [n, d], of any length. texts: what people know
    each by; () for none.
    """

    units: Sequence[str]
    vectors: Vectors
    texts: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.units) != len(self.vectors):
            raise ValueError(f"{len(self.units)} units but {len(self.vectors)} vectors")
        if self.texts and len(self.texts) != len(self.units):
            raise ValueError(f"{len(self.units)} units but {len(self.texts)} texts")


@dataclass(frozen=True)
class MovedGroup:
    """Vectors near to each other, and the shares of all units that they hold.

    p_value: of its change, corrected for all groups. units, texts: typical ones, of the side where
    the group is larger.
    """

    before: float
    now: float
    p_value: float
    units: tuple[str, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Drift:
    """How vectors differ from those before.

    p_value: how often chance alone makes a difference as large; None where nothing can be judged,
    and `reason` says why. effect: the share of units that are in other groups than they would have
    been before, without what chance makes of it. groups: those whose share changed most, first.
    reference, window: units. left_out: vectors that are not finite.
    """

    p_value: float | None
    effect: float | None
    groups: tuple[MovedGroup, ...]
    reference: int
    window: int
    left_out: int = 0
    reason: str | None = None


def measure_drift(
    reference: Sample, window: Sample, *, permutations: int = PERMUTATIONS, level: float = 0.05
) -> Drift:
    """How the vectors of `window` differ from those of `reference`.

    level: groups are given whose change has at most this corrected p-value. The same vectors give
    the same answer, in any order. Memory and time grow with the square of the units (see `chosen`
    for taking fewer).
    Raises ValueError when the vectors have different dimensions.
    """
    before, now = _finite(reference), _finite(window)
    left_out = sum(len(s.units) for s in (reference, window)) - len(before.units) - len(now.units)
    counts = len(set(before.units)), len(set(now.units))
    if why := why_not_judged(*counts):
        return Drift(None, None, (), *counts, left_out, why)
    if before.vectors.shape[1] != now.vectors.shape[1]:
        raise ValueError(
            f"Vectors of {before.vectors.shape[1]} and of {now.vectors.shape[1]} dimensions"
        )
    cells = _Cells.of(before, now)
    chance = np.random.default_rng(cells.seed)
    points = _projected(cells.vectors)
    exchange = Exchange.of(cells.is_now, cells.unit, permutations, chance)
    groups = group(points, _group_count(len(cells.unit)), chance)
    shares = exchange.differences(cells.shares(groups))
    spread = _standardised(shares)
    discrepancy = exchange.discrepancies(_kernel(points, cells.starts, chance))
    p_value = extreme([discrepancy, (spread**2).sum(axis=1)])
    moved = _moved(cells, groups, points, spread, level)
    return Drift(p_value, _effect(shares), moved, *counts, left_out)


@dataclass(frozen=True)
class _Cells:
    """The vectors of both sides by unit and side, in an order that does not tell the sides.

    vectors: float32 [n, d], unit length. starts: int64 [c], where the vectors of each cell begin.
    unit: int64 [c]; is_now: bool [c]. names, texts: of the n vectors.
    """

    vectors: Vectors
    starts: npt.NDArray[np.int64]
    unit: npt.NDArray[np.int64]
    is_now: Flags
    names: tuple[str, ...]
    texts: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, before: Sample, now: Sample) -> "_Cells":
        vectors = _unit_length(np.concatenate([before.vectors, now.vectors]))
        names = np.array([*before.units, *now.units], dtype=object)
        texts = np.array([*_texts(before), *_texts(now)], dtype=object)
        is_now = np.arange(len(names)) >= len(before.units)
        _, unit = np.unique(names.astype(str), return_inverse=True)
        keys = _content_keys(vectors)
        cell_of, cells = _numbered(unit * 2 + is_now)
        content = np.zeros(len(cells), dtype=np.uint64)
        np.add.at(content, cell_of, keys)  # wraps around, whatever the order
        place = np.argsort(np.lexsort((cells, content)))
        order = np.lexsort((keys, place[cell_of]))
        starts = np.flatnonzero(np.diff(place[cell_of][order], prepend=-1))
        first = order[starts]
        return cls(
            vectors[order], starts, unit[first], is_now[first],
            tuple(names[order]), tuple(texts[order]), int(np.bitwise_xor.reduce(content)),
        )  # fmt: skip

    def shares(self, groups: Groups) -> Vectors:
        """float32 [c, k]: how the vectors of each cell are shared out among the groups."""
        one = np.zeros((len(self.vectors), groups.count), dtype=np.float32)
        one[np.arange(len(one)), groups.labels] = 1.0
        return _means(one, self.starts)

    def is_now_by_vector(self) -> Flags:
        """bool [n]."""
        return np.repeat(self.is_now, np.diff(self.starts, append=len(self.vectors)))


def why_not_judged(reference: int, window: int) -> str | None:
    """Why so many units before and now allow no judgement; None when they do."""
    if not window:
        return "no data in the window"
    if not reference:
        return "no data before the window"
    if min(reference, window) < FEWEST_UNITS:
        return f"too few to judge: {reference} before and {window} now, of at least {FEWEST_UNITS}"
    return None


def _finite(sample: Sample) -> Sample:
    kept = np.isfinite(sample.vectors).all(axis=1)
    if kept.all():
        return sample
    rows = np.flatnonzero(kept).tolist()
    units = [sample.units[row] for row in rows]
    texts = [sample.texts[row] for row in rows] if sample.texts else ()
    return Sample(units, sample.vectors[rows], texts)


def _texts(sample: Sample) -> Sequence[str]:
    return sample.texts or [""] * len(sample.units)


def _unit_length(vectors: Vectors) -> Vectors:
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    return np.asarray(vectors / np.where(lengths > 0, lengths, 1.0), dtype=np.float32)


def _content_keys(vectors: Vectors) -> npt.NDArray[np.uint64]:
    """uint64 [n]: a hash of each vector."""
    from hashlib import blake2b

    rows = np.ascontiguousarray(vectors)
    hashes = b"".join(blake2b(row.tobytes(), digest_size=8).digest() for row in rows)
    return np.frombuffer(hashes, dtype=np.uint64)


def _numbered(
    values: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    found, numbers = np.unique(values, return_inverse=True)
    return numbers, found


def _projected(vectors: Vectors) -> Vectors:
    """float32 [n, at most 50]: the principal components of the vectors."""
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return np.asarray(centred @ directions[:, ::-1][:, :_COMPONENTS], dtype=np.float32)


def _kernel(points: Vectors, starts: npt.NDArray[np.int64], chance: np.random.Generator) -> Vectors:
    """float32 [c, c]: the Gaussian kernel between cells, the mean over their vectors; its width is
    the median distance (Gretton et al. 2012, section 8)."""
    some = chance.integers(len(points), size=(2, _PAIRS))
    median = float(np.median(np.square(points[some[0]] - points[some[1]]).sum(axis=1)))
    width = median if median > _SAME else 1.0
    scaled = points * np.float32(1.0 / np.sqrt(width))
    squares = np.square(scaled).sum(axis=1)
    whole = np.empty((len(starts), len(points)), dtype=np.float32)
    edges = np.append(starts, len(points))
    for first in range(0, len(starts), _ROWS_AT_ONCE):
        last = min(first + _ROWS_AT_ONCE, len(starts))
        part = slice(int(edges[first]), int(edges[last]))
        kernel = scaled[part] @ (2.0 * scaled.T)
        kernel -= squares[part, None]
        kernel -= squares
        np.exp(np.minimum(kernel, 0.0, out=kernel), out=kernel)
        whole[first:last] = _means(kernel, starts[first:last] - part.start)
    if len(starts) == len(points):
        return whole
    return np.ascontiguousarray(_means(whole.T, starts).T)


def _means(rows: Vectors, starts: npt.NDArray[np.int64]) -> Vectors:
    """The means of the rows from each start to the next."""
    if len(starts) == len(rows):
        return rows
    sizes = np.diff(starts, append=len(rows)).astype(np.float32)
    return np.asarray(np.add.reduceat(rows, starts, axis=0) / sizes[:, None], dtype=np.float32)


def _group_count(cells: int) -> int:
    return int(np.clip(cells // _GROUPED_UNITS, 2, _MOST_GROUPS))


def _standardised(shares: Values) -> Values:
    """The differences in units of their own spread by chance; 0 where there is none."""
    spread = shares.std(axis=0)
    return shares / np.where(spread > _SAME, spread, np.inf)


def _effect(shares: Values) -> float:
    """The total variation between the shares before and now, without what chance makes of it."""
    variation = np.abs(shares).sum(axis=1) / 2.0
    by_chance = float(variation[1:].mean())
    if variation[0] - by_chance < ROUNDING:
        return 0.0
    return float(np.sqrt(variation[0] ** 2 - by_chance**2))


def _moved(
    cells: _Cells, groups: Groups, points: Vectors, spread: Values, level: float
) -> tuple[MovedGroup, ...]:
    largest = np.abs(spread).max(axis=1)
    shares = cells.shares(groups)
    is_now = cells.is_now_by_vector()
    found = []
    for number in range(groups.count):
        p_value = p_values(np.append(np.abs(spread[0, number]), largest[1:]))[0]
        if p_value > level:
            continue
        before, now = (float(shares[side, number].mean()) for side in (~cells.is_now, cells.is_now))
        rows = groups.nearest(points, number, is_now == (now >= before), cells.names, _SHOWN)
        found.append(
            MovedGroup(
                before, now, float(p_value),
                tuple(cells.names[row] for row in rows), tuple(cells.texts[row] for row in rows),
            )
        )  # fmt: skip
    return tuple(sorted(found, key=lambda each: -abs(each.now - each.before)))
