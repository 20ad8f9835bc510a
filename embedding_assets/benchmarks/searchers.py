"""Every way to search passages that can be compared offline, each behind one function.

A searcher is built from passages and a folder to write to, and answers one query at a time with
the rows of its ten best passages, used as its own documentation says; on one thread where it lets
one choose.
"""

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from embedding_assets.benchmarks.passages import DIMENSION, Passages
from embedding_assets.embedding.encoder import Encoding, HashingEncoder
from embedding_assets.search.build import IndexSource, build_index
from embedding_assets.search.documents import DocumentSearch
from embedding_assets.search.filters import NO_FILTERS, Filters
from embedding_assets.search.manifest import IndexModel
from embedding_assets.search.snapshots import Snapshots

TOP = 10
CATEGORY = 0
"""The category of the filtered searches, about a hundredth of the passages."""

Search: TypeAlias = Callable[[int], list[int]]
"""From the number of a query to rows."""


@dataclass(frozen=True)
class Searcher:
    """A built index: how it searches, and how under a filter on the category, if it can."""

    search: Search
    filtered: Search | None = None


class _KnownQueries(HashingEncoder):
    """Gives the vectors that were made with the queries: encoding is not what is measured."""

    def __init__(self, passages: Passages) -> None:
        super().__init__(DIMENSION)
        self._vectors = dict(zip(passages.queries, passages.query_vectors, strict=True))

    def encode(self, texts: Any) -> Encoding:
        vectors = np.stack([self._vectors[text] for text in texts])
        ones = np.ones(len(texts), dtype=np.int32)
        return Encoding(vectors, ones, ones)


def ours(mode: str) -> Callable[[Passages, Path], Searcher]:
    """DocumentSearch, from the query's vector to whole hits with text, pages and document."""

    def build(passages: Passages, folder: Path) -> Searcher:
        encoder = _KnownQueries(passages)
        model = IndexModel("generated", "1", encoder.fingerprint, DIMENSION)
        snapshots = Snapshots(folder.parent / OURS)  # one for all modes, built by the first
        digests = dict.fromkeys(passages.doc_ids, "1")
        build_index(snapshots, IndexSource(model, digests, lambda _: passages.batches()))
        search = DocumentSearch(snapshots, lambda manifest: encoder)
        category = Filters(categories=(f"category {CATEGORY}",))

        def ask(number: int, filters: Filters = NO_FILTERS) -> list[int]:
            hits = search.search(passages.queries[number], mode, TOP, filters)
            return [int(hit.chunk_id[1:]) for hit in hits]

        return Searcher(ask, lambda number: ask(number, category))

    return build


def numpy_exact(passages: Passages, folder: Path) -> Searcher:
    """One product of all vectors with the query."""
    vectors, queries = passages.vectors, passages.query_vectors
    allowed = np.flatnonzero(passages.categories == CATEGORY)

    def best(scores: Any, rows: Any) -> list[int]:
        top = min(TOP, len(scores))
        found: list[int] = rows[np.argpartition(scores, -top)[-top:]].tolist()
        return found

    every = np.arange(len(vectors))
    return Searcher(
        lambda number: best(vectors @ queries[number], every),
        lambda number: best(vectors[allowed] @ queries[number], allowed),
    )


def faiss(description: str) -> Callable[[Passages, Path], Searcher]:
    """A FAISS index by its factory string; searches read 64 nodes or 5 % of the cells."""

    def build(passages: Passages, folder: Path) -> Searcher:
        library = import_module("faiss")
        library.omp_set_num_threads(1)
        cells = round(4 * math.sqrt(len(passages.vectors)))
        index = library.index_factory(
            DIMENSION, description.format(cells=cells), library.METRIC_INNER_PRODUCT
        )
        index.train(passages.vectors)
        index.add(passages.vectors)
        allowed = np.flatnonzero(passages.categories == CATEGORY)
        selector = library.IDSelectorBatch(allowed)
        plain, within = _faiss_parameters(library, description, cells // 20, selector)

        def ask(number: int, parameters: Any) -> list[int]:
            query = passages.query_vectors[number : number + 1]
            found: list[int] = index.search(query, TOP, params=parameters)[1][0].tolist()
            return found

        return Searcher(lambda number: ask(number, plain), lambda number: ask(number, within))

    return build


def usearch(passages: Passages, folder: Path) -> Searcher:
    """usearch with its defaults."""
    index = import_module("usearch.index").Index(ndim=DIMENSION, metric="ip", dtype="f32")
    index.add(np.arange(len(passages.vectors)), passages.vectors, threads=1)
    return Searcher(lambda number: index.search(passages.query_vectors[number], TOP).keys.tolist())


def lancedb(passages: Passages, folder: Path) -> Searcher:
    """LanceDB with an HNSW index over 8-bit vectors, refined, and a bitmap over the categories."""
    table = (
        import_module("lancedb")
        .connect(folder)
        .create_table(
            "passages",
            pa.table(
                {
                    "row": np.arange(len(passages.texts)),
                    "category": passages.categories,
                    "vector": pa.FixedSizeListArray.from_arrays(
                        pa.array(passages.vectors.reshape(-1)), DIMENSION
                    ),
                }
            ),
        )
    )
    kinds = import_module("lancedb.index")
    table.create_index("vector", config=kinds.HnswSq(distance_type="dot"))
    table.create_index("category", config=kinds.Bitmap())

    def ask(number: int, where: str | None) -> list[int]:
        query = table.search(passages.query_vectors[number], vector_column_name="vector")
        query = query.distance_type("dot").refine_factor(5).limit(TOP).select(["row", "_distance"])
        query = query.where(where, prefilter=True) if where else query
        found: list[int] = query.to_arrow()["row"].to_pylist()
        return found

    return Searcher(
        lambda number: ask(number, None), lambda number: ask(number, f"category = {CATEGORY}")
    )


def bm25s(passages: Passages, folder: Path) -> Searcher:
    """BM25S with its defaults; its answer begins with splitting the query into words."""
    library = import_module("bm25s")
    index = library.BM25()
    index.index(library.tokenize(passages.texts, show_progress=False), show_progress=False)

    def ask(number: int) -> list[int]:
        words = library.tokenize(passages.queries[number], show_progress=False)
        found: list[int] = index.retrieve(words, k=TOP, show_progress=False)[0][0].tolist()
        return found

    return Searcher(ask)


OURS = "embedding_assets"
EXACT = "NumPy, exact"
SEARCHERS: dict[str, tuple[str, str, Callable[[Passages, Path], Searcher]]] = {
    EXACT: ("numpy", "semantic", numpy_exact),
    OURS: ("numpy", "semantic", ours("semantic")),
    f"{OURS} (keyword)": ("numpy", "keyword", ours("keyword")),
    f"{OURS} (hybrid)": ("numpy", "hybrid", ours("hybrid")),
    "faiss Flat": ("faiss", "semantic", faiss("Flat")),
    "faiss IVF": ("faiss", "semantic", faiss("IVF{cells},Flat")),
    "faiss HNSW": ("faiss", "semantic", faiss("HNSW32,Flat")),
    "usearch": ("usearch", "semantic", usearch),
    "lancedb": ("lancedb", "semantic", lancedb),
    "bm25s": ("bm25s", "keyword", bm25s),
}
"""By name: the package it needs, how it ranks, and how it is built."""


def left_out() -> dict[str, str]:
    """Each searcher that will not run, with the reason."""
    return {
        name: f"not installed ({package})"
        for name, (package, _, _) in SEARCHERS.items()
        if importlib.util.find_spec(package) is None
    }


def _faiss_parameters(library: Any, description: str, cells: int, selector: Any) -> tuple[Any, Any]:
    if description.startswith("IVF"):
        of, effort = library.SearchParametersIVF, {"nprobe": cells}
    elif description.startswith("HNSW"):
        of, effort = library.SearchParametersHNSW, {"efSearch": 64}
    else:
        of, effort = library.SearchParameters, {}
    return of(**effort), of(sel=selector, **effort)
