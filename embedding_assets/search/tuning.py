"""Vectors made searchable: exactly, or by cells measured to find what exact search finds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.cells import Rows, cell_count, nearest_cells, train_centroids
from embedding_assets.search.exact import nearest
from embedding_assets.search.vectors import BLOCK, Cells, Mask, VectorIndex, open_vectors

LEAST_RECALL = 0.98
_WANTED_RECALL = 0.995
_SAMPLED_QUERIES = 200
_RECALL_AT = 10
_FILTERS = {"unfiltered": 1.0, "filter_10_percent": 0.1, "filter_1_percent": 0.01}
_FIRST_CANDIDATES = 1_024
_CELLS_OFF = 0.25
_ROUNDING = 1e-5


@dataclass(frozen=True)
class VectorReport:
    """How the vectors were stored.

    recall: of the ten nearest, against exact search, over sampled queries, by filter.
    cells, candidates: 0 for an exact index.
    """

    exact: bool
    recall: dict[str, float]
    cells: int = 0
    candidates: int = 0


def store_vectors(
    folder: Path, vectors: Vectors, exact_up_to_rows: int, known: Vectors | None = None
) -> VectorReport:
    """Make `folder`/vectors.f32, which holds `vectors` by row, searchable; how it became so.

    Up to `exact_up_to_rows` it is left as it is. Above, it is put in the order of cells, with as
    many candidates as sampled queries need for a recall of 0.995; where a third of all vectors
    would not reach 0.98 it stays exact.

    known: centroids of an older version, which are tried before new ones are trained.
    """
    np.save(folder / "mean.npy", _mean(vectors))
    if len(vectors) > exact_up_to_rows:
        truths = sample_truths(vectors)
        for centroids in _centroids(vectors, known):
            report = _store_by_cell(folder, vectors, centroids, truths)
            if report is not None:
                return report
    return VectorReport(True, dict.fromkeys(_FILTERS, 1.0))


def _centroids(vectors: Vectors, known: Vectors | None) -> Iterator[Vectors]:
    wanted = cell_count(len(vectors))
    if known is not None and abs(len(known) / wanted - 1) <= _CELLS_OFF:
        yield known
    yield train_centroids(vectors, wanted)


def _store_by_cell(
    folder: Path, vectors: Vectors, centroids: Vectors, truths: list["Truth"]
) -> VectorReport | None:
    """Put the vectors in the order of cells; None, and no change, when that finds too little."""
    cell_of = nearest_cells(vectors, centroids)
    rows = np.argsort(cell_of, kind="stable")
    starts = np.searchsorted(cell_of[rows], np.arange(len(centroids) + 1))
    staged = folder / "vectors.cells"
    _write_in_order(staged, vectors, rows)
    by_cell = open_vectors(staged, *vectors.shape)
    cells = tuned(by_cell, Cells(centroids, starts, rows, 0), truths)
    index = VectorIndex(by_cell, centroids[0], cells)
    recall = {truth.name: round(truth.recall(index), 4) for truth in truths}
    if min(recall.values()) < LEAST_RECALL:
        staged.unlink()
        return None
    staged.replace(folder / "vectors.f32")
    np.savez(folder / "cells.npz", **vars(cells))
    return VectorReport(False, recall, len(centroids), cells.candidates)


@dataclass(frozen=True)
class Truth:
    """Queries, and how near exact search finds their nearest rows under a filter.

    scores: float32 [n, 10 or fewer], best first. Not the rows: among equal vectors any will do.
    """

    name: str
    queries: Vectors
    allowed: Mask | None
    scores: Vectors

    def recall(self, index: VectorIndex) -> float:
        """The share of the nearest rows that `index` finds."""
        if not self.scores.size:
            return 1.0
        found = 0
        for query, scores in zip(self.queries, self.scores, strict=True):
            near = index.search(query, len(scores), self.allowed)[1]
            found += int((near >= scores[-1] - _ROUNDING).sum())
        return found / self.scores.size


def sample_truths(vectors: Vectors) -> list[Truth]:
    """What exact search finds for stored vectors that were moved to a cosine of about 0.7, which is
    how far questions lie from their passages; for all rows and for random filters."""
    chance = np.random.default_rng(0)
    count = min(_SAMPLED_QUERIES, len(vectors))
    chosen = np.asarray(vectors[np.sort(chance.choice(len(vectors), count, replace=False))])
    noise = chance.normal(size=chosen.shape)
    moved = chosen + noise / np.linalg.norm(noise, axis=1, keepdims=True)
    queries = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    truths = []
    for name, share in _FILTERS.items():
        allowed = None if share == 1.0 else chance.random(len(vectors)) < share
        within = vectors if allowed is None else np.asarray(vectors[np.flatnonzero(allowed)])
        truths.append(Truth(name, queries, allowed, nearest(queries, within, _RECALL_AT).scores))
    return truths


def tuned(by_cell: Vectors, cells: Cells, truths: list[Truth]) -> Cells:
    """`cells` with the fewest candidates that reach the wanted recall, or a third of all."""
    most = max(1, len(by_cell) // 3)
    candidates = min(_FIRST_CANDIDATES, most)
    while True:
        cells = replace(cells, candidates=candidates)
        index = VectorIndex(by_cell, cells.centroids[0], cells)
        enough = all(truth.recall(index) >= _WANTED_RECALL for truth in truths)
        if enough or candidates == most:
            return cells
        candidates = min(candidates * 5 // 4 + 1, most)


def _mean(vectors: Vectors) -> Vectors:
    step = max(1, 16 * BLOCK // vectors.shape[1])
    total = np.zeros(vectors.shape[1], dtype=np.float64)
    for start in range(0, len(vectors), step):
        total += vectors[start : start + step].sum(axis=0, dtype=np.float64)
    return (total / max(1, len(vectors))).astype(np.float32)


def _write_in_order(path: Path, vectors: Vectors, rows: Rows) -> None:
    step = max(1, 16 * BLOCK // vectors.shape[1])
    with path.open("wb") as file:
        for start in range(0, len(rows), step):
            file.write(np.ascontiguousarray(vectors[rows[start : start + step]]).data)
