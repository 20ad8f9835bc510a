"""Entities for people."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

_WIDEST = 40


def entities_text(entities: Sequence[Mapping[str, Any]]) -> str:
    """A line for each entity, under the document that it is of; then how many of each label."""
    if not entities:
        return "No entities."
    lines: list[str] = []
    document = None
    for each in entities:
        if each.get("doc_id") != document:
            document = each["doc_id"]
            lines.append(str(document))
        text = " ".join(str(each["text"]).split())
        text = text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
        page = "" if each["page"] is None else f"page {each['page']}"
        lines.append(
            f"  {each['label']:12} {text:{_WIDEST}} {page:9} {each['score']:.2f} {each['source']}"
        )
    counts = Counter(str(each["label"]) for each in entities)
    lines.append(", ".join(f"{count:,} {label}" for label, count in counts.most_common()))
    return "\n".join(lines)
