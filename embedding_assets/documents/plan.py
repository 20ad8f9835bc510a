"""What a run over the documents would do and cost, before any of them is read."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from embedding_assets.documents.inventory import DocumentEntry
from embedding_assets.records.cost import TextChanges
from embedding_assets.records.plan import AssetPlan
from embedding_assets.storage.parquet import ParquetTable

DOCUMENT_ASSETS = ("documents", "doc_chunks", "doc_vectors")
DERIVED_ASSETS = ("doc_categories", "doc_entities")
"""What is said of a document by models that were trained here."""
FAILED_BEFORE = "failed for a passing reason"

_TOKENS_PER_KB = {"pdf": 25.0, "docx": 10.0, "json": 40.0, "pair": 220.0}
"""Of real files, for formats of which none is stored yet; other formats count as PDF."""
_TOKENS_PER_CHUNK = 150.0


@dataclass(frozen=True)
class DocumentState:
    """Whether a document's partition of an asset holds what a run would give it now.

    state: `missing`, `stale`, `fresh`, or `quarantined` when its file cannot be read.
    """

    asset: str
    doc_id: str
    state: str
    why: str = ""

    @property
    def is_due(self) -> bool:
        """Whether a run would write it."""
        return self.state in ("missing", "stale")


@dataclass(frozen=True)
class Stored:
    """What is stored of documents, for estimates."""

    chunks: ParquetTable
    vectors: ParquetTable


def plan_documents(
    states: Sequence[DocumentState],
    entries: Mapping[str, DocumentEntry],
    deleted: Iterable[str],
    stored: Stored,
) -> Iterator[AssetPlan]:
    """What a run would do to the assets of documents.

    The chunks of files that were not read yet are estimated from their size, by what files of
    their format came to here.
    """
    gone = sorted(deleted)
    for asset in (*DOCUMENT_ASSETS, *DERIVED_ASSETS):
        mine = [state for state in states if state.asset == asset]
        if asset in DERIVED_ASSETS and not mine:
            continue
        texts = _texts(mine, entries, gone, stored) if asset == "doc_vectors" else None
        yield _asset_plan(asset, mine, gone, texts, measured_speed(stored.vectors))


def measured_speed(vectors: ParquetTable) -> float | None:
    """Tokens per second of the encoder as last measured here; None before the first run."""
    stats = [footer.stats for footer in vectors.footers(vectors.keys()).values()]
    measured = [each for each in stats if each.get("computed_tokens")]
    seconds = sum(each["seconds"] for each in measured)
    return sum(each["computed_tokens"] for each in measured) / seconds if seconds else None


def _asset_plan(
    asset: str,
    states: Sequence[DocumentState],
    gone: Sequence[str],
    texts: TextChanges | None,
    speed: float | None,
) -> AssetPlan:
    count = Counter(state.state for state in states)
    why = Counter(state.why for state in states if state.is_due)
    if gone and asset == "documents":
        why["its file is gone"] = len(gone)
    return AssetPlan(
        asset=asset,
        missing=count["missing"],
        stale=count["stale"],
        fresh=count["fresh"],
        why=why,
        texts=texts,
        seconds=texts.tokens / speed if texts and speed else None,
        blocked=count["quarantined"],
        partition="document",
    )


def _texts(
    states: Sequence[DocumentState],
    entries: Mapping[str, DocumentEntry],
    gone: Sequence[str],
    stored: Stored,
) -> TextChanges:
    """The chunks whose vectors are new, changed, unchanged and gone, and what they cost."""
    tokens_per_kb = _tokens_per_kb(entries.values(), stored.chunks)
    new = changed = unchanged = tokens = 0
    for state in states:
        if not state.is_due:
            footer = stored.vectors.footer(state.doc_id)
            unchanged += footer.rows if footer else 0
            continue
        entry = entries[state.doc_id]
        cost = round(tokens_per_kb[entry.format] * entry.size / 1000)
        chunks = max(1, round(cost / _TOKENS_PER_CHUNK))
        tokens += cost
        if state.state == "missing":
            new += chunks
        else:
            changed += chunks
    deleted = sum(footer.rows for footer in stored.vectors.footers(gone).values())
    due = new + changed
    return TextChanges(new, changed, unchanged, deleted, due, tokens, tokens_estimated=due > 0)


def _tokens_per_kb(entries: Iterable[DocumentEntry], chunks: ParquetTable) -> dict[str, float]:
    """By format: of the stored documents, or of real files where none is stored."""
    sizes, tokens = defaultdict[str, int](int), defaultdict[str, int](int)
    found: dict[str, float] = {}
    for entry in entries:
        found.setdefault(entry.format, _TOKENS_PER_KB.get(entry.format, _TOKENS_PER_KB["pdf"]))
        footer = chunks.footer(entry.doc_id)
        if footer:
            sizes[entry.format] += entry.size
            tokens[entry.format] += int(footer.stats["tokens"])
    return found | {name: tokens[name] * 1000 / size for name, size in sizes.items() if size}
