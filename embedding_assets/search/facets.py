"""How often each category and entity occurs, so that a search can be narrowed by them."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.search.filters import NO_FILTERS, Filters
from embedding_assets.search.masks import folded
from embedding_assets.search.vectors import Mask

if TYPE_CHECKING:
    from embedding_assets.search.documents import Hit
    from embedding_assets.search.serving import Served

MOST = 20


@dataclass(frozen=True)
class CategoryCount:
    """A category, and in how many documents it occurs."""

    category: str
    count: int


@dataclass(frozen=True)
class EntityCount:
    """An entity, and in how many passages it stands."""

    label: str
    text: str
    count: int


@dataclass(frozen=True)
class LabelCount:
    """A kind of entities, and in how many passages one stands."""

    label: str
    count: int


@dataclass(frozen=True)
class Facets:
    """What occurs in some passages of some documents, the most frequent first."""

    passages: int
    documents: int
    categories: tuple[CategoryCount, ...]
    labels: tuple[LabelCount, ...]
    entities: tuple[EntityCount, ...]


def facets_of_index(served: "Served", filters: Filters = NO_FILTERS, most: int = MOST) -> Facets:
    """What occurs in all passages that meet `filters`; at most so many entities."""
    version = served.version
    allowed = served.allowed_by(filters)
    if allowed is None:
        allowed = np.ones(version.manifest.rows, dtype=np.bool_)
    documents = _documents_with(allowed, version.doc_ends, version.doc_rows)
    categories = Counter(version.documents["category"].filter(pa.array(documents)).to_pylist())
    entities = version.filters.entities
    inside = pa.array(allowed[entities.rows])
    columns = {
        "row": pa.array(entities.rows).filter(inside),
        "label": entities.labels.filter(inside),
        "text": entities.texts.filter(inside),
    }
    table = pa.table(columns)
    return Facets(
        int(allowed.sum()), int(documents.sum()), _categories(categories),
        _labels(table), _entities(table, most),
    )  # fmt: skip


def facets_of_hits(hits: Iterable["Hit"], most: int = MOST) -> Facets:
    """What occurs in the passages of an answer; at most so many entities."""
    found = list(hits)
    by_document = {hit.doc_id: hit.category for hit in found}
    labels = Counter(label for hit in found for label in {each.label for each in hit.entities})
    entities = [(each.label, each.text) for hit in found for each in hit.entities]
    columns = {
        name: pa.array([each[at] for each in entities], pa.string())
        for at, name in enumerate(("label", "text"))
    }
    return Facets(
        len(found),
        len(by_document),
        _categories(Counter(by_document.values())),
        tuple(LabelCount(label, count) for label, count in _ranked(labels)),
        _entities(pa.table(columns), most),
    )


def _documents_with(
    allowed: Mask, ends: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]
) -> Mask:
    before = np.concatenate(([0], np.cumsum(allowed)))
    held: Mask = before[ends] > before[ends - rows]
    return held


def _categories(counts: Counter[str | None]) -> tuple[CategoryCount, ...]:
    known = Counter({name: count for name, count in counts.items() if name is not None})
    return tuple(CategoryCount(name, count) for name, count in _ranked(known))


def _labels(table: pa.Table) -> tuple[LabelCount, ...]:
    pairs = table.group_by(["row", "label"], use_threads=False).aggregate([])
    counts = pairs.group_by("label", use_threads=False).aggregate([([], "count_all")])
    found = dict(zip(counts["label"].to_pylist(), counts["count_all"].to_pylist(), strict=True))
    return tuple(LabelCount(label, count) for label, count in _ranked(Counter(found)))


def _entities(table: pa.Table, most: int) -> tuple[EntityCount, ...]:
    """The names whatever their case, each as it is spelled most often."""
    spelled = table.group_by(["label", "text"], use_threads=False).aggregate([([], "count_all")])
    spelled = spelled.append_column("name", folded(spelled["text"]))
    spelled = spelled.sort_by([("count_all", "descending"), ("text", "ascending")])
    counts = spelled.group_by(["label", "name"], use_threads=False).aggregate(
        [("count_all", "sum"), ("text", "first")]
    )
    order = [("count_all_sum", "descending"), ("label", "ascending"), ("text_first", "ascending")]
    top = counts.take(pc.sort_indices(counts, order)[:most]).to_pylist()
    return tuple(
        EntityCount(each["label"], each["text_first"], each["count_all_sum"]) for each in top
    )


def _ranked(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
