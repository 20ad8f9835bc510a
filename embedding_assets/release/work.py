"""All that a model has to compute before it can serve, part by part, with the price of each."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from embedding_assets.documents.slices import vector_slices
from embedding_assets.forget.used import chunk_texts
from embedding_assets.records.days import embedding_slices
from embedding_assets.records.latest import item_slice, latest_slice
from embedding_assets.search.similar import similar_slice
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Slice, Stats

if TYPE_CHECKING:
    from embedding_assets.workspace import Workspace

_SAMPLE = 128
_BATCH_ROWS = 4_096
_COSTS = ("texts", "tokens", "reused", "computed", "computed_tokens", "seconds")
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Price:
    """What a part will cost: texts without a vector, their tokens, and seconds on this machine."""

    part: str
    texts: int
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Part:
    """Tables and an index that are made together.

    texts: the table whose texts the vectors are of, as the champion has it. make: brings the part
    up to date, and tells what its vectors cost, slice by slice.
    """

    name: str
    asset: str
    make: "Callable[[Workspace], Iterator[Stats]]"

    def is_used(self, champion: "Workspace") -> bool:
        """Whether the champion has anything of it."""
        table = champion.table(self.asset)
        return bool(table.keys()) or table.footer() is not None


@dataclass
class Done:
    """What making a part has cost."""

    part: str
    costs: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_COSTS, 0.0))

    def add(self, stats: Stats) -> None:
        """Sum up what a slice has cost."""
        for name in _COSTS:
            self.costs[name] += float(stats.get(name, 0))


def prices(champion: "Workspace", challenger: "Workspace") -> list[Price]:
    """What each part costs, cheapest first: the champion's texts of which the challenger has no
    slice yet, at the speed at which it reads a sample of them."""
    due = {part: _due(part, champion, challenger) for part in PARTS if part.is_used(champion)}
    speed = _tokens_per_second(challenger, _sample(champion, due)) if any(due.values()) else 0.0
    found = []
    for part, slices in due.items():
        texts, tokens = (sum(int(each.get(n, 0)) for each in slices) for n in ("texts", "tokens"))
        found.append(Price(part.name, texts, tokens, tokens / speed if speed else 0.0))
    return sorted(found, key=lambda price: price.seconds)


def make(champion: "Workspace", challenger: "Workspace", order: Sequence[str]) -> Iterator[Done]:
    """Bring every part of the challenger up to date with what is stored, in `order`; a slice that
    it has is not computed again, so whoever is killed goes on where it was."""
    by_name = {part.name: part for part in PARTS}
    for name in order:
        done = Done(name)
        for stats in by_name[name].make(challenger):
            done.add(stats)
        yield done
    if champion.catalogue.served() is not None:
        challenger.catalogue.build_index()


def _documents(workspace: "Workspace") -> Iterator[Stats]:
    library = workspace.library
    documents, chunks = library.table("documents"), library.table("doc_chunks")
    vectors = library.table("doc_vectors")
    keys = documents.keys()
    for table in (chunks, vectors):
        for gone in set(table.keys()) - {*keys}:
            table.remove(gone)
    for _ in _written(chunks, library.chunk_slices(documents, keys)):
        pass
    slices = vector_slices(chunks, vectors, keys, workspace.encoder, workspace.vectors)
    yield from _written(vectors, slices)
    _categories(workspace, keys)
    library.build_index()


def _categories(workspace: "Workspace", keys: Sequence[str]) -> None:
    """The classifier of documents by the challenger's vectors, and what it says."""
    categories, table = workspace.categories, workspace.table("doc_categories")
    for gone in set(table.keys()) - {*keys}:
        table.remove(gone)
    for _ in _written(workspace.table("document_classifier"), [categories.classifier_slice()]):
        pass
    for _ in _written(table, categories.slices(keys)):
        pass


def _accounts(workspace: "Workspace") -> Iterator[Stats]:
    texts, embeddings = workspace.table("account_texts"), workspace.table("account_embeddings")
    keys = texts.keys()
    for gone in set(embeddings.keys()) - {*keys}:
        embeddings.remove(gone)
    slices = embedding_slices(texts, keys, workspace.encoder, workspace.vectors)
    yield from _written(embeddings, slices)
    latest = workspace.table("latest_account_embeddings")
    newest = latest_slice(embeddings, workspace.fingerprint, workspace.model.dimension)
    for _ in _written(latest, [newest]):
        pass
    _similar(workspace, "similar_accounts", latest, "account_id")


def _items(workspace: "Workspace") -> Iterator[Stats]:
    items, settings = workspace.table("item_embeddings"), workspace.settings
    part = item_slice(
        workspace.table("cleaned_records"), workspace.encoder, workspace.vectors,
        settings.storage.query_memory_mb, workspace.accounts.days.forgotten,
    )  # fmt: skip
    yield from _written(items, [part])
    _similar(workspace, "similar_items", items, "item_description")


PARTS = (
    Part("documents", "doc_vectors", _documents),
    Part("accounts", "account_embeddings", _accounts),
    Part("items", "item_embeddings", _items),
)


def _similar(workspace: "Workspace", name: str, source: ParquetTable, column: str) -> None:
    part = similar_slice(source, column, workspace.settings.similarity.top)
    workspace.tables.write(name, part)


def _written(table: ParquetTable, slices: Iterable[Slice]) -> Iterator[Stats]:
    """Write the slices; what each that was new has cost."""
    for part in slices:
        written = table.write(part, settle=False)
        yield part.stats if written.replaced else {}
    table.settle()


def _due(part: Part, champion: "Workspace", challenger: "Workspace") -> list[Stats]:
    """What is known of the champion's slices that the challenger lacks."""
    theirs, own = champion.table(part.asset), challenger.table(part.asset)
    keys: list[str | None] = [*theirs.keys()] or [None]
    footers = ((theirs.footer(key), own.footer(key)) for key in keys)
    return [known.stats for known, made in footers if known is not None and made is None]


def _sample(champion: "Workspace", due: Iterable[Part]) -> list[str]:
    """Some texts of each part that has any."""
    found: list[str] = []
    columns = {"account_embeddings": "text_for_embedding", "item_embeddings": "item_description"}
    for part in due:
        name = "doc_chunks" if part.asset == "doc_vectors" else part.asset
        table = champion.table(name)
        keys = table.keys()[:_SAMPLE] or None
        if keys is None and table.footer() is None:
            continue
        texts = (
            text
            for batch in table.batches(keys, _BATCH_ROWS)
            for text in (
                batch[columns[name]].to_pylist() if name in columns else chunk_texts(batch)
            )
        )
        found += islice(texts, _SAMPLE)
    return found


def _tokens_per_second(challenger: "Workspace", texts: Sequence[str]) -> float:
    if not texts:
        return 0.0
    is_placed = challenger.live_model() is not None
    encoder = challenger.encoder if is_placed else challenger.load_encoder()
    encoder.encode(texts[:8])  # the first pass lays things out
    began = time.perf_counter()
    tokens = int(encoder.encode(texts).tokens.sum())
    return tokens / max(time.perf_counter() - began, 1e-9)
