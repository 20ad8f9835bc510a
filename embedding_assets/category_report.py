"""What the command line shows of categories."""

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from embedding_assets.documents.classify.classifier import Classified
from embedding_assets.errors import EmptyInputError
from embedding_assets.report import table

if TYPE_CHECKING:
    from embedding_assets.settings import Settings
    from embedding_assets.workspace import Workspace


@dataclass(frozen=True)
class CategoryReport:
    """The categories of documents. classifier: what it is and how good; empty without one.

    documents: each with `doc_id`, `category` (None where nothing is said), `probability`,
    `best_category`, `chunks`.
    """

    classifier: dict[str, Any]
    documents: list[dict[str, Any]]


def categories_of(workspace: "Workspace") -> CategoryReport:
    """What is stored of categories, and of what tells them."""
    footer = workspace.table("document_classifier").footer()
    figures = dict(footer.stats) if footer else {}
    names = ("doc_id", "category", "probability", "best_category", "chunks")
    rows = [{name: row[name] for name in names} for row in workspace.categories.stored()]
    return CategoryReport(figures, rows)


def categories_text(found: CategoryReport) -> str:
    """The categories as a table, with what is known of the classifier."""
    rows = [
        (
            row["doc_id"],
            row["category"] or "-",
            "" if row["probability"] is None else f"{row['probability']:.2f}",
            "" if row["category"] else row["best_category"] or "",
        )
        for row in found.documents
    ]
    counts = Counter(row["category"] for row in found.documents)
    named = sorted(((n, c) for c, n in counts.items() if c), key=lambda pair: (-pair[0], pair[1]))
    summary = ", ".join(f"{category} {count}" for count, category in named)
    lines = [
        table(("document", "category", "probability", "rather than nothing"), rows),
        "",
        f"{len(rows):,} documents" + (f": {summary}" if summary else ""),
        *_classifier_lines(found.classifier),
    ]
    return "\n".join(lines)


def classified_text(said: Classified) -> str:
    """What is said of one text."""
    head = said.category or f"no category; {said.best} is not probable enough"
    return "\n".join([head, *(f"  {chance:6.1%}  {name}" for name, chance in said.ranked)])


def text_of(argument: str, settings: "Settings") -> str:
    """The text that is given, or that stands in the file that is named, or in standard input.

    Raises EmptyInputError where there is none, InputError for a file that cannot be read.
    """
    from embedding_assets.given_text import given_blocks

    text = " ".join(block.text for block in given_blocks(argument, settings))
    if not text.strip():
        raise EmptyInputError("There is no text to classify.", "Give a text or a document's file.")
    return text


def _classifier_lines(figures: dict[str, Any]) -> list[str]:
    if "problem" in figures:
        return [f"The labels cannot be used: {figures['problem']} {figures['mend']}"]
    if "way" not in figures:
        return ["No classifier: set classification.labels or classification.categories."]
    learnt = f"{figures['categories']} categories, "
    if figures["way"] == "descriptions":
        learnt += "told by their names and descriptions"
    else:
        learnt += f"learnt from {figures['labelled_texts']:,} texts"
    if "without_texts" in figures:
        learnt += f" (no text of {figures['without_texts']})"
    if "macro_f1" not in figures:
        return [f"{learnt}; not judged: that takes two texts each of two categories or more"]
    return [
        f"{learnt}: macro-F1 {figures['macro_f1']:.3f}, accuracy {figures['accuracy']:.3f} "
        f"(by names alone {figures['accuracy_by_descriptions']:.3f}), ECE {figures['ece']:.3f}, "
        f"below {figures['threshold']:.2f} nothing is said"
    ]
