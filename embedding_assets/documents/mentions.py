"""Which entities of a document stand in which of its passages."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pyarrow as pa

MENTIONS_CODE = "2"
"""Changes whenever the same passages and entities would give other mentions."""
_BEGINNING = re.compile(r"[^\W_]+|\S")
"""Where words can begin: a run of letters and digits, or any other sign."""

Mention: TypeAlias = dict[str, str]
"""An entity by `label` and `text`."""


def mentions(chunks: pa.Table, entities: pa.Table) -> list[list[Mention]]:
    """For each chunk (CHUNK_SCHEMA) the entities that stand in it, each once, in their order.

    entities: with the columns text, label and page. An entity belongs to a chunk that has its text
    as whole words, in what is embedded of it, and its page where both know theirs. Case and kind
    of white space make no other entity; it is spelled as most often in the document.
    """
    if not len(entities):
        return [[] for _ in range(len(chunks))]
    names = _names(entities)
    texts = _Texts.of(names)
    told = [name.mention for name in names]
    columns = ("text", "heading_path", "pages")
    return [
        [told[number] for number in sorted(_found(each, texts)) if names[number].is_on(each)]
        for each in chunks.select(columns).to_pylist()
    ]


@dataclass
class _Name:
    """An entity: how often it is spelled in which way, and on which pages."""

    label: str
    spellings: Counter[str] = field(default_factory=Counter)
    pages: set[int | None] = field(default_factory=set)

    @property
    def mention(self) -> Mention:
        return {"label": self.label, "text": self.spellings.most_common(1)[0][0]}

    def is_on(self, chunk: Mapping[str, Any]) -> bool:
        """Whether a chunk has one of its pages, as far as both know theirs."""
        pages = chunk["pages"]
        return not pages or None in self.pages or not self.pages.isdisjoint(pages)


def _names(entities: pa.Table) -> list[_Name]:
    found: dict[tuple[str, str], _Name] = {}
    columns = (entities[name].to_pylist() for name in ("label", "text", "page"))
    for label, text, page in zip(*columns, strict=True):
        if spelling := _plain(text):
            name = found.setdefault((label, spelling.lower()), _Name(label))
            name.spellings[spelling] += 1
            name.pages.add(page)
    return [*found.values()]


@dataclass(frozen=True)
class _Texts:
    """The numbers of names by their text, and how long such texts are by how they begin."""

    numbers: Mapping[str, list[int]]
    lengths: Mapping[str, set[int]]

    @classmethod
    def of(cls, names: Iterable[_Name]) -> "_Texts":
        numbers, lengths = defaultdict(list), defaultdict(set)
        for number, name in enumerate(names):
            text = name.mention["text"].casefold()
            numbers[text].append(number)
            lengths[next(_beginnings(text)).group()].add(len(text))
        return cls(numbers, lengths)


def _found(chunk: Mapping[str, Any], texts: _Texts) -> set[int]:
    """The numbers of the names that stand in a chunk, and not only within longer words."""
    words = _plain("\n".join([*(chunk["heading_path"] or ()), chunk["text"]])).casefold()
    found: set[int] = set()
    for beginning in _beginnings(words):
        for length in texts.lengths.get(beginning.group(), ()):
            end = beginning.start() + length
            if not words[end - 1 : end + 1].isalnum() or end == len(words):
                found.update(texts.numbers.get(words[beginning.start() : end], ()))
    return found


def _beginnings(words: str) -> Iterator[re.Match[str]]:
    return _BEGINNING.finditer(words)


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))
