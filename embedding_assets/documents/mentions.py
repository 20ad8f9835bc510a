"""Which entities of a document stand in which of its passages."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

Mention: TypeAlias = dict[str, str]
"""An entity by `label` and `text`."""


def mentions(chunks: pa.Table, entities: pa.Table) -> list[list[Mention]]:
    """For each chunk (CHUNK_SCHEMA) the entities that stand in it, each once, in their order.

    entities: with the columns text, label and page. An entity belongs to a chunk that has its text
    as whole words, in what is embedded of it, and its page where both know theirs.
    """
    if not len(entities):
        return [[] for _ in range(len(chunks))]
    distinct = dict.fromkeys(
        zip(*(entities[name].to_pylist() for name in ("label", "text", "page")), strict=True)
    )
    wanted = [(label, text, page, _plain(text)) for label, text, page in distinct if text]
    columns = ("text", "heading_path", "pages")
    return [_found(each, wanted) for each in chunks.select(columns).to_pylist()]


def _found(
    chunk: Mapping[str, Any], wanted: Sequence[tuple[str, str, int | None, str]]
) -> list[Mention]:
    words = _plain("\n".join([*(chunk["heading_path"] or ()), chunk["text"]]))
    pages = set(chunk["pages"] or ())
    found = {
        (label, text): None
        for label, text, page, plain in wanted
        if (page is None or not pages or page in pages) and _holds(words, plain)
    }
    return [{"label": label, "text": text} for label, text in found]


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()


def _holds(words: str, plain: str) -> bool:
    """Whether a text has some words, and not only within longer ones."""
    at = words.find(plain)
    while at >= 0:
        end = at + len(plain)
        begins = at == 0 or not (words[at - 1].isalnum() and plain[0].isalnum())
        ends = end == len(words) or not (words[end].isalnum() and plain[-1].isalnum())
        if begins and ends:
            return True
        at = words.find(plain, at + 1)
    return False
