"""One matrix from the vectors of many apps: one dimension, finite, one row for each app."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from embedding_assets.apps.vector_values import (
    UnusableVectorError,
    VectorValue,
    shown,
    vector_value,
)

_NO_APP = {"", "nan", "none", "null"}


@dataclass(frozen=True)
class BadVector:
    """A vector that cannot be used. value: what it is, in few words."""

    app_id: str | None
    reason: str
    value: str


@dataclass
class VectorMatrix:
    """ids: unique, in first-seen order. vectors: float32 [n, d], finite, none of them zero.

    metas: JSON or None for each. bad: what was left out. averaged: how many vectors were the
    mean of several rows. repeated: how many vectors came for an app that had one.
    """

    ids: list[str] = field(default_factory=list)
    vectors: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    metas: list[str | None] = field(default_factory=list)
    bad: list[BadVector] = field(default_factory=list)
    averaged: int = 0
    repeated: int = 0


def vector_matrix(items: Iterable[tuple[Any, Any]]) -> VectorMatrix:
    """The vectors of `items`, pairs of app id and value; of repeated apps their mean.

    The dimension that most of them have wins, of several the one that comes first.
    """
    found = VectorMatrix()
    read = _majority(list(_read(items, found.bad)), found)
    found.averaged = sum(each.rows > 1 for _, each in read)
    if not read:
        return found
    with np.errstate(over="ignore", invalid="ignore"):
        stacked = np.stack([each.vector for _, each in read], dtype=np.float32, casting="same_kind")
    finite = np.isfinite(stacked).all(axis=1)
    for at in np.flatnonzero(~finite):
        found.bad.append(_bad(read[at], "the vector has NaN, infinity or numbers beyond float32"))
    _merge([read[at] for at in np.flatnonzero(finite)], stacked[finite], found)
    return found


def _read(
    items: Iterable[tuple[Any, Any]], bad: list[BadVector]
) -> Iterable[tuple[str, VectorValue]]:
    for key, value in items:
        app_id = _app_id(key)
        if app_id is None:
            bad.append(BadVector(None, f"{shown(key)} is no app_id", shown(value)))
            continue
        try:
            yield app_id, vector_value(value)
        except UnusableVectorError as error:
            bad.append(BadVector(app_id, f"the vector cannot be used: {error}", shown(value)))


def _app_id(key: Any) -> str | None:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        return str(int(key))
    if not isinstance(key, str):
        return None
    app_id = " ".join(key.encode("utf-8", "replace").decode().split())
    return None if app_id.lower() in _NO_APP else app_id


def _majority(
    read: list[tuple[str, VectorValue]], found: VectorMatrix
) -> list[tuple[str, VectorValue]]:
    sizes = Counter(len(each.vector) for _, each in read)
    if len(sizes) < 2:
        return read
    ((usual, count),) = sizes.most_common(1)
    for row in read:
        size = len(row[1].vector)
        if size != usual:
            reason = f"the vector has {size} dimensions, {count:,} others have {usual}"
            found.bad.append(_bad(row, reason))
    return [row for row in read if len(row[1].vector) == usual]


def _bad(row: tuple[str, VectorValue], reason: str) -> BadVector:
    return BadVector(row[0], reason, shown(row[1].vector))


def _merge(
    read: list[tuple[str, VectorValue]], vectors: npt.NDArray[np.float32], found: VectorMatrix
) -> None:
    """Fills `found` with one row for each app."""
    rows: dict[str, int] = {}
    place = np.array([rows.setdefault(app_id, len(rows)) for app_id, _ in read], np.int64)
    metas: list[str | None] = [None] * len(rows)
    for at, (_, each) in zip(place, read, strict=True):
        if metas[at] is None:
            metas[at] = each.meta
    found.repeated = len(read) - len(rows)
    if found.repeated:
        vectors = _means(vectors, place, len(rows))
    usable: npt.NDArray[np.bool_] = np.abs(vectors).max(axis=1, initial=0.0) > 0
    for at, app_id in enumerate(rows):
        if not usable[at]:
            found.bad.append(BadVector(app_id, "the vector is zero", shown(vectors[at])))
    found.ids = [app_id for app_id, is_usable in zip(rows, usable, strict=True) if is_usable]
    found.metas = [meta for meta, is_usable in zip(metas, usable, strict=True) if is_usable]
    found.vectors = vectors[usable]


def _means(
    vectors: npt.NDArray[np.float32], place: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float32]:
    sums = np.zeros((count, vectors.shape[1]))
    np.add.at(sums, place, vectors)
    means: npt.NDArray[np.float32] = (sums / np.bincount(place)[:, None]).astype(np.float32)
    return means
