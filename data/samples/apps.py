"""Apps in categories, two versions of their vectors, and how often they are clicked.

An app has a category and, within it, a theme, which its name tells; both decide where its vectors
lie and how often it is clicked. The vectors of both versions show the same places, those of v2
with less noise.
"""

import csv
import functools
import io
import os
import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from samples.app_places import (
    VERSIONS,
    Apps,
    Numbers,
    Vectors,
    make_apps,
    make_vectors,
    seeded,
    themes,
)
from samples.app_rows import catalogue_rows, performance_rows

DEFAULT_COUNT = 500
# Shares of the vectors that are written in other shapes.
OF_ROWS, WITH_META, AS_LIST = 0.03, 0.05, 0.04
NEAREST = 10
MOST_QUERIES = 2_000


@dataclass(frozen=True)
class AppSummary:
    """What was written. same_category: by version, the share of an app's nearest that are of its
    category; by_chance: that share among all apps. queries: how many apps it was measured for."""

    apps: int
    nearest: int
    queries: int
    by_chance: float
    same_category: dict[str, float]

    def __str__(self) -> str:
        apps = f"{self.apps:,} apps"
        if not self.nearest:
            return apps
        shares = ", ".join(f"{share:.1%} in {name}" for name, share in self.same_category.items())
        sample = "" if self.queries == self.apps else f" (of {self.queries:,} apps)"
        return (
            f"{apps}; of the {self.nearest} nearest{sample} {shares} are of the same category, "
            f"{self.by_chance:.1%} by chance"
        )


def write_apps(folder: Path, count: int, seed: int) -> AppSummary:
    """Catalogue, performance and both versions' vectors of `count` apps, in `folder`.

    All four files are written beside their places before the first takes its own. Raises OSError.
    """
    apps = make_apps(count, seed)
    vectors = {version: make_vectors(apps, version, seed) for version in VERSIONS}
    writers: dict[str, Callable[[BinaryIO], None]] = {
        "sample_apps.csv": lambda file: _write_rows(file, catalogue_rows(apps, seed)),
        "historical_performance.csv": lambda file: _write_rows(file, performance_rows(apps, seed)),
    }
    for version in VERSIONS:
        shaped = functools.partial(_shaped, apps, vectors[version], version, seed)
        writers[f"mock_embeddings_{version}.pkl"] = lambda file, shaped=shaped: pickle.dump(
            shaped(), file, protocol=4
        )
    _publish(folder, writers)
    return _summary(apps, vectors, seed)


def _shaped(apps: Apps, vectors: Vectors, version: str, seed: int) -> dict[str, Any]:
    """The vectors by app, some of them as two or three rows, as lists, or beside what is known."""
    rng = seeded(seed, f"{version} shapes")
    drawn = rng.random(len(vectors))
    edges = np.cumsum([OF_ROWS, WITH_META, AS_LIST])
    shaped: dict[str, Any] = {}
    for number, (app_id, vector) in enumerate(zip(apps.ids, vectors, strict=True)):
        match int(np.searchsorted(edges, drawn[number], side="right")):
            case 0:
                shaped[app_id] = _rows_around(vector, rng)
            case 1:
                category = themes()[apps.themes[number]].category_name
                shaped[app_id] = {"vec": vector, "meta": {"model": version, "category": category}}
            case 2:
                shaped[app_id] = vector.tolist()
            case _:
                shaped[app_id] = vector
    return shaped


def _rows_around(vector: Vectors, rng: np.random.Generator) -> Vectors:
    """Two or three rows whose mean is the vector."""
    apart = rng.standard_normal((int(rng.integers(2, 4)), len(vector))) * 0.05
    return (vector + apart - apart.mean(axis=0)).astype(np.float32)


def _write_rows(file: BinaryIO, rows: Iterator[Sequence[object]]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    csv.writer(text, lineterminator="\n").writerows(rows)
    text.detach()


def _publish(folder: Path, writers: dict[str, Callable[[BinaryIO], None]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    beside = {name: folder / f".{name}.{os.getpid()}.tmp" for name in writers}
    try:
        for name, write in writers.items():
            with beside[name].open("wb") as file:
                write(file)
                file.flush()
                os.fsync(file.fileno())
        for name, staged in beside.items():
            staged.replace(folder / name)
    finally:
        for staged in beside.values():
            staged.unlink(missing_ok=True)


def _summary(apps: Apps, vectors: dict[str, Vectors], seed: int) -> AppSummary:
    count = len(apps.ids)
    queries = np.arange(count)
    if count > MOST_QUERIES:
        queries = np.sort(seeded(seed, "queries").choice(count, MOST_QUERIES, replace=False))
    nearest = min(NEAREST, count - 1)
    categories = apps.categories
    others = np.bincount(categories)[categories] - 1
    shares = {
        version: float(
            np.mean(categories[_nearest(rows, queries, nearest)] == categories[queries, None])
        )
        for version, rows in vectors.items()
        if nearest
    }
    by_chance = float(others.mean() / (count - 1)) if nearest else 0.0
    return AppSummary(count, nearest, len(queries), by_chance, shares)


def _nearest(vectors: Vectors, queries: Numbers, count: int) -> Numbers:
    """The rows whose vectors have the highest cosine with each query's, but for itself: [q, k]."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for some in np.array_split(queries, max(1, len(queries) * len(vectors) // 10**8)):
        scores = unit[some] @ unit.T
        scores[np.arange(len(some)), some] = -np.inf
        found.append(np.argpartition(-scores, count - 1, axis=1)[:, :count])
    return np.concatenate(found)
