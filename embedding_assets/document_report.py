"""What the command line shows of documents and searches, as text for people."""

import shutil
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from embedding_assets.report import table

if TYPE_CHECKING:
    from embedding_assets.ingest import IngestReport
    from embedding_assets.library import Library
    from embedding_assets.quality.evaluation import Evaluation
    from embedding_assets.search.documents import Hit
    from embedding_assets.search.manifest import Manifest
    from embedding_assets.storage.slices import Footer

_LINES = 4
_WIDEST = 110


@dataclass(frozen=True)
class ListedDocument:
    """A document of the watched folder. state: of the last of its assets that is not fresh."""

    doc_id: str
    state: str
    why: str
    pages: int
    chunks: int


def hits_text(hits: Sequence["Hit"]) -> str:
    """Each hit with its place and the beginning of its text."""
    if not hits:
        return "Nothing found."
    width = min(_WIDEST, shutil.get_terminal_size().columns)
    return "\n\n".join(_hit(number, hit, width) for number, hit in enumerate(hits, 1))


def listed(library: "Library") -> list[ListedDocument]:
    """Every document of the watched folder, and how far it has come."""
    worst: dict[str, tuple[str, str]] = {}
    inventory = library.inventory()
    for each in library.states(inventory):
        if each.state != "fresh" or each.doc_id not in worst:
            worst[each.doc_id] = (each.state, each.why)
    documents, chunks = library.table("documents"), library.table("doc_chunks")
    found = []
    for entry in inventory.entries:
        document, pieces = documents.footer(entry.doc_id), chunks.footer(entry.doc_id)
        state, why = worst.get(entry.doc_id, ("being written", ""))
        why = why or (_unread(document) if document else "")
        pages = int(document.stats.get("pages", 0)) if document else 0
        found.append(ListedDocument(entry.doc_id, state, why, pages, pieces.rows if pieces else 0))
    return found


def listed_text(documents: Sequence[ListedDocument]) -> str:
    """The documents as a table."""
    rows = [(d.doc_id, d.state, d.pages, d.chunks, d.why) for d in documents]
    return table(("document", "state", "pages", "chunks", "why"), rows)


def versions_text(manifests: Sequence["Manifest"]) -> str:
    """The versions of an index as a table, the newest last."""
    rows = [
        (
            m.version,
            f"{m.rows:,}",
            f"{m.documents:,}",
            f"{m.model.name} v{m.model.version}",
            m.method,
            min(m.recall_at_10.values(), default=1.0),
        )
        for m in manifests
    ]
    return table(("version", "passages", "documents", "model", "method", "recall@10"), rows)


def ingested_text(report: "IngestReport") -> str:
    """What became of a pair."""
    return (
        f"{report.texts:,} texts ({report.distinct:,} distinct) on {report.pages:,} pages of "
        f"{report.doc_id} → {report.output}\n"
        f"{report.dimension} dimensions, fingerprint {report.fingerprint[:12]}"
    )


def evaluation_text(evaluation: "Evaluation") -> str:
    """An evaluation as a table, with what the differences come to."""
    head, *rows = evaluation.to_table()
    lines = [
        f"{evaluation.collection}: {evaluation.queries:,} queries, "
        f"{evaluation.documents:,} documents; means with 95 % bootstrap intervals",
        "",
        table(head, rows),
        "",
        *(
            f"nDCG@10 of {each.one} - {each.other}: {each.difference:+.3f} "
            f"({each.low:+.3f} to {each.high:+.3f})"
            + (", worse beyond chance" if each.is_worse else "")
            for each in evaluation.comparisons
        ),
    ]
    return "\n".join(lines)


def _unread(document: "Footer") -> str:
    """How much of a document has no text, in words; "" where all has."""
    pages, empty = document.stats.get("pages", 0), document.stats.get("pages_without_text", 0)
    if not empty:
        return ""
    scans = ", scanned: install Tesseract to read them" if document.stats["scanned_pages"] else ""
    return f"{empty} of {pages} pages without text{scans}"


def _shown(text: str, width: int) -> list[str]:
    """The lines of a passage: a table's rows as they are, other text wrapped."""
    if text.startswith("|"):
        return [textwrap.shorten(row, width, placeholder=" …") for row in text.splitlines()]
    return textwrap.wrap(" ".join(text.split()), width)


def _hit(number: int, hit: "Hit", width: int) -> str:
    place = hit.path
    if hit.pages:
        pages = ", ".join(map(str, hit.pages))
        place += f", {'page' if len(hit.pages) == 1 else 'pages'} {pages}"
    lines = [f"{number:>2}  {hit.score:.3f}  {place}"]
    if hit.heading_path:
        lines.append(" " * 11 + " > ".join(hit.heading_path))
    wrapped = _shown(hit.text, max(20, width - 11))
    shown = wrapped[:_LINES]
    if len(wrapped) > _LINES:
        shown[-1] += " …"
    return "\n".join([*lines, *(" " * 11 + line for line in shown)])
