"""Filters as a mask over the rows of an index."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.search.filters import Filters, Span
from embedding_assets.search.passages import ENTITY
from embedding_assets.search.vectors import Mask


@dataclass(frozen=True)
class Names:
    """The different names among entities, folded. numbers: of the name of each entity.
    both: label and text, as `label:text`."""

    numbers: npt.NDArray[np.int64]
    labels: pa.StringArray
    texts: pa.StringArray
    both: pa.StringArray

    @classmethod
    def of(cls, labels: pa.StringArray, texts: pa.StringArray) -> "Names":
        """The names of entities with those labels and texts."""
        kinds, spellings = (
            pc.dictionary_encode(each, null_encoding="encode") for each in (labels, texts)
        )
        count = max(1, len(spellings.dictionary))
        pairs = kinds.indices.to_numpy().astype(np.int64) * count + spellings.indices.to_numpy()
        distinct, numbers = np.unique(pairs, return_inverse=True)
        label = folded(kinds.dictionary).take(pa.array(distinct // count))
        text = folded(spellings.dictionary).take(pa.array(distinct % count))
        return cls(numbers, label, text, pc.binary_join_element_wise(label, text, ":"))


@dataclass(frozen=True)
class Entities:
    """The entities of `count` rows side by side. rows: int64, the row that each stands in."""

    rows: npt.NDArray[np.int64]
    labels: pa.StringArray
    texts: pa.StringArray
    count: int

    @classmethod
    def of(cls, lists: list[pa.ListArray]) -> "Entities":
        """The entities in lists of ENTITY, in pieces."""
        lengths = [pc.fill_null(pc.list_value_length(each), 0).to_numpy() for each in lists]
        counts = np.concatenate([np.empty(0, dtype=np.int64), *lengths]).astype(np.int64)
        flat = pa.chunked_array([each.flatten() for each in lists], ENTITY).combine_chunks()
        labels, texts = flat.flatten()
        return cls(np.repeat(np.arange(len(counts)), counts), labels, texts, len(counts))

    @cached_property
    def names(self) -> Names:
        """What they are called, whatever the case."""
        return Names.of(self.labels, self.texts)


class FilterColumns:
    """The columns of an index that filters look at, each read and folded when first needed.

    documents: a table with the columns of DOCUMENT_SCHEMA. doc_rows: int64, how many rows each
    has. pages, entities: the lists of pages and of entities (ENTITY) by row, in pieces.
    """

    def __init__(
        self,
        documents: pa.Table,
        doc_rows: npt.NDArray[np.int64],
        pages: list[pa.ListArray],
        entities: list[pa.ListArray],
    ) -> None:
        self._documents = documents
        self._doc_rows = doc_rows
        self._page_lists = pages
        self._entity_lists = entities

    def without(self, doc_ids: frozenset[str]) -> Mask | None:
        """bool [rows], false for the rows of those documents; None when it has none of them."""
        forgotten = _is_in(self._documents["doc_id"], doc_ids)
        return np.repeat(~forgotten, self._doc_rows) if forgotten.any() else None

    def mask(self, filters: Filters) -> Mask | None:
        """bool [rows], true where all conditions hold; None when there are none."""
        if not filters:
            return None
        documents = np.ones(self._documents.num_rows, dtype=np.bool_)
        if filters.documents:
            ids = _is_in(self._documents["doc_id"], frozenset(filters.documents))
            documents &= ids | self._matches("path", filters.documents)
        if filters.titles:
            documents &= self._matches("title", filters.titles)
        for column, values in (("format", filters.formats), ("category", filters.categories)):
            if values:
                documents &= _is_in(self._folded[column], _folded(values))
        if filters.dates:
            documents &= _within(self._documents["modified"], filters.dates)
        rows: Mask = np.repeat(documents, self._doc_rows)
        if filters.entities:
            values = tuple(" ".join(value.split()) for value in filters.entities)
            rows &= self._with_entities(_folded(values))
        return rows & self._on_pages(filters.pages) if filters.pages else rows

    @cached_property
    def entities(self) -> Entities:
        """The entities of all rows."""
        return Entities.of(self._entity_lists)

    @cached_property
    def _folded(self) -> dict[str, pa.Array]:
        """The filter columns, folded."""
        columns = ("path", "title", "format", "category")
        return {name: folded(self._documents[name]).combine_chunks() for name in columns}

    def _with_entities(self, values: frozenset[str]) -> Mask:
        """Rows with an entity of one of those texts, labels (`org:*`), or both (`org:acme`)."""
        names = self.entities.names
        kinds = frozenset(each.removesuffix(":*") for each in values if each.endswith(":*"))
        hits = (
            _is_in(names.texts, values) | _is_in(names.both, values) | _is_in(names.labels, kinds)
        )
        with_hit: Mask = np.zeros(self.entities.count, dtype=np.bool_)
        with_hit[self.entities.rows[hits[names.numbers]]] = True
        return with_hit

    def _matches(self, column: str, patterns: tuple[str, ...]) -> Mask:
        expression = "|".join(_expression(pattern) for pattern in _folded(patterns))
        return _bools(pc.match_substring_regex(self._folded[column], f"^(?s:{expression})$"))

    @cached_property
    def _pages(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]:
        """The pages of all rows side by side, and how many each row has."""
        lists = self._page_lists
        pages = [each.flatten().to_numpy() for each in lists]
        counts = [pc.fill_null(pc.list_value_length(each), 0).to_numpy() for each in lists]
        empty = np.empty(0, dtype=np.int32)
        return np.concatenate([empty, *pages]), np.concatenate([empty, *counts]).astype(np.int64)

    def _on_pages(self, spans: tuple[Span[int], ...]) -> Mask:
        pages, counts = self._pages
        hits = np.zeros(len(pages), dtype=np.bool_)
        for span in spans:
            first = span.first if span.first is not None else 0
            last = span.last if span.last is not None else np.iinfo(np.int32).max
            hits |= (pages >= first) & (pages <= last)
        before = np.concatenate(([0], np.cumsum(hits)))
        ends = np.cumsum(counts)
        on_page: Mask = before[ends] > before[ends - counts]
        return on_page


def folded(texts: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Texts in the form in which they are compared: lower case, with composed letters."""
    return pc.utf8_lower(pc.utf8_normalize(texts, "NFC"))


def _within(moments: pa.ChunkedArray, spans: tuple[Span[datetime], ...]) -> Mask:
    hits = np.zeros(len(moments), dtype=np.bool_)
    for span in spans:
        inside = pc.is_valid(moments)
        if span.first is not None:
            inside = pc.and_(inside, pc.greater_equal(moments, _moment(span.first, moments)))
        if span.last is not None:
            inside = pc.and_(inside, pc.less_equal(moments, _moment(span.last, moments)))
        hits |= _bools(inside)
    return hits


def _moment(bound: datetime, like: pa.ChunkedArray) -> pa.Scalar:
    return pa.scalar(bound, like.type)


def _is_in(column: pa.ChunkedArray | pa.Array, values: frozenset[str]) -> Mask:
    return _bools(pc.is_in(column, _strings(sorted(values))))


def _bools(values: pa.Array | pa.ChunkedArray) -> Mask:
    """Nulls are false."""
    filled = pc.fill_null(values, False)
    return np.asarray(filled, dtype=np.bool_)


def _folded(values: tuple[str, ...]) -> frozenset[str]:
    return frozenset(folded(_strings(values)).to_pylist())


def _strings(values: Iterable[str]) -> pa.Array:
    """`values` as Arrow strings; lone surrogates, which have no UTF-8, become U+FFFD."""
    encoded = (value.encode("utf-8", "surrogatepass") for value in values)
    return pa.array([value.decode("utf-8", "replace") for value in encoded], pa.string())


def _expression(pattern: str) -> str:
    """A pattern of `*` and `?` as a regular expression."""
    return "".join({"*": ".*", "?": "."}.get(sign) or re.escape(sign) for sign in pattern)
