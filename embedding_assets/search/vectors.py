"""The vectors of an index on disk, searched exactly or by cells with a measured recall."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import StoreDamagedError
from embedding_assets.search.cells import (
    Rows,
    cells_to_read,
)

Mask: TypeAlias = npt.NDArray[np.bool_]
Found: TypeAlias = tuple[Rows, Vectors]

_CANDIDATES_PER_HIT = 50
_FILTERED_FACTOR = 2
"""A filter may keep out all that is near a query; what is left then lies in more cells."""
_SCORES_AT_ONCE = 8_000_000
BLOCK = 262_144
"""Numbers in one product of a matrix and a vector. OpenBLAS uses threads for more than 460,000, and
on busy cores their waiting for one another takes 12 ms where one thread takes 1."""


@dataclass(frozen=True)
class Cells:
    """What an approximate search knows of the vectors.

    centroids: float32 [c, d]. starts: int64 [c + 1], cell i is starts[i] to starts[i + 1].
    rows: int64 [n], the row of the vector at each place.
    candidates: how many vectors a search reads.
    """

    centroids: Vectors
    starts: Rows
    rows: Rows
    candidates: int


@dataclass(frozen=True)
class VectorIndex:
    """n unit vectors that are searched by cosine.

    vectors: float32 [n, d], in the order of the rows, or of the cells where there are any.
    mean: float32 [d], of all vectors; zeros where there are none.
    """

    vectors: Vectors
    mean: Vectors
    cells: Cells | None = None

    @classmethod
    def load(cls, folder: Path, rows: int, dimension: int) -> "VectorIndex":
        """The index that `store_vectors` left in `folder`, memory-mapped.

        Raises StoreDamagedError when a file is missing or has another size.
        """
        try:
            vectors = open_vectors(folder / "vectors.f32", rows, dimension)
            mean = np.load(folder / "mean.npy")
            if not (folder / "cells.npz").exists():
                return cls(vectors, mean)
            with (folder / "cells.npz").open("rb") as file, np.load(file) as stored:
                cells = Cells(
                    stored["centroids"],
                    stored["starts"],
                    stored["rows"],
                    int(stored["candidates"]),
                )
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise StoreDamagedError(
                f"The vectors in {folder} cannot be read: {error}.", "Build the index again."
            ) from error
        return cls(vectors, mean, cells)

    @property
    def is_exact(self) -> bool:
        """Whether every search reads all allowed vectors."""
        return self.cells is None

    def search(self, query: Vectors, k: int, allowed: Mask | None = None) -> Found:
        """The `k` rows nearest to `query` with their cosines, best first, equal ones by row.

        query: float32 [d], unit length. allowed: bool [n], by row; only rows where it is true are
        ranked. An approximate index is exact too wherever few rows are allowed.
        """
        if self.cells is None:
            return self._exact(query, k, allowed)
        here = None if allowed is None else allowed[self.cells.rows]
        places, scores = self._near(self.cells, query, k, here)
        return best(self.cells.rows[places], scores, k)

    def search_many(self, queries: Vectors, k: int, allowed: Mask | None = None) -> list[Found]:
        """What `search` finds for each of queries float32 [q, d]; exact ones in one product."""
        if self.cells is not None or len(queries) < 2:
            return [self.search(query, k, allowed) for query in queries]
        rows = np.arange(len(self.vectors)) if allowed is None else np.flatnonzero(allowed)
        step = max(1, _SCORES_AT_ONCE // max(1, len(self.vectors)))
        found = []
        for start in range(0, len(queries), step):
            for scores in queries[start : start + step] @ self.vectors.T:
                found.append(best(rows, scores if allowed is None else scores[rows], k))
        return found

    def take(self, rows: Rows) -> Vectors:
        """float32 [m, d]: the vectors of some rows."""
        return np.asarray(self.vectors[self._places[rows]])

    @cached_property
    def _places(self) -> Rows:
        """int64 [n]: where the vector of each row stands."""
        return np.argsort(self.cells.rows) if self.cells else np.arange(len(self.vectors))

    def _exact(self, query: Vectors, k: int, allowed: Mask | None) -> Found:
        if allowed is None:
            return best(np.arange(len(self.vectors)), _scores(self.vectors, query), k)
        rows = np.flatnonzero(allowed)
        # Gathering costs more for each row than reading all in their order does.
        if 4 * len(rows) < len(self.vectors):
            return best(rows, _scores_of(self.vectors, rows, query), k)
        return best(rows, _scores(self.vectors, query)[rows], k)

    def _near(self, cells: Cells, query: Vectors, k: int, here: Mask | None) -> Found:
        """Places, and cosines, of the vectors that are read for `query`."""
        wanted = max(cells.candidates, _CANDIDATES_PER_HIT * k)
        if here is not None:
            return self._near_within(cells, query, _FILTERED_FACTOR * wanted, np.flatnonzero(here))
        near = cells_to_read(_scores(cells.centroids, query), np.diff(cells.starts), wanted)
        ranges = [slice(*cells.starts[cell : cell + 2].tolist()) for cell in near]
        scores = [_scores(self.vectors[each], query) for each in ranges]
        places = [np.arange(each.start, each.stop) for each in ranges]
        return np.concatenate(places), np.concatenate(scores)

    def _near_within(self, cells: Cells, query: Vectors, wanted: int, places: Rows) -> Found:
        """The same among `places`, which ascend."""
        if len(places) > wanted:
            starts = np.searchsorted(places, cells.starts)
            near = cells_to_read(_scores(cells.centroids, query), np.diff(starts), wanted)
            places = np.concatenate([places[starts[cell] : starts[cell + 1]] for cell in near])
        return places, _scores_of(self.vectors, places, query)


def open_vectors(path: Path, rows: int, dimension: int) -> Vectors:
    """float32 [rows, dimension] in a file, memory-mapped; ValueError when its size is another."""
    size = path.stat().st_size
    if size != rows * dimension * 4:
        raise ValueError(f"{path.name} has {size} bytes, not {rows} x {dimension} x 4")
    if rows == 0:
        return np.empty((0, dimension), dtype=np.float32)
    # A plain array over the map: slices of np.memmap cost ten times those of an array.
    return np.asarray(np.memmap(path, dtype=np.float32, mode="r", shape=(rows, dimension)))


def best(rows: Rows, scores: Vectors, k: int) -> Found:
    """The `k` rows with the highest scores, best first, equal ones by row."""
    if 0 < k < len(rows):
        edge = np.partition(scores, -k)[-k]
        kept = np.flatnonzero(scores >= edge)
        rows, scores = rows[kept], scores[kept]
    order = np.lexsort((rows, -scores))[: max(k, 0)]
    return rows[order], scores[order]


def _scores(vectors: Vectors, query: Vectors) -> Vectors:
    step = max(1, BLOCK // len(query))
    if len(vectors) <= step:
        return vectors @ query
    scores = np.empty(len(vectors), dtype=np.float32)
    for start in range(0, len(vectors), step):
        scores[start : start + step] = vectors[start : start + step] @ query
    return scores


def _scores_of(vectors: Vectors, places: Rows, query: Vectors) -> Vectors:
    step = max(1, BLOCK // len(query))
    scores = np.empty(len(places), dtype=np.float32)
    for start in range(0, len(places), step):
        scores[start : start + step] = vectors[places[start : start + step]] @ query
    return scores
