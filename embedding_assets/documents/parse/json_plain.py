"""JSON of any shape as documents: its texts in the order of the file."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from embedding_assets.documents.document import Block, Document, Kind
from embedding_assets.documents.parse.json_load import Json, Number, text_of, whole_of
from embedding_assets.documents.parse.json_pages import pages_of

_TITLES = ("title", "headline", "name", "subject", "heading")
_LANGUAGES = ("language", "lang", "locale")
_PAGES = ("page_number", "page")
_TEXTS = frozenset(
    "text|texts|body|content|contents|description|abstract|summary|paragraph|paragraphs|passage"
    "|message|comment|document|page_content|raw_text|full_text|plain_text".split("|")
)
"""Keys that say no more than that a text follows."""

_PARAGRAPH_END = re.compile(r"\n\s*\n")
_PROSE = re.compile(r"\S\s+\S+\s+\S+\s+\S+\s+\S")
_UNSPACED_PROSE = 20
_MAX_LEVEL = 9


@dataclass(frozen=True)
class _Spot:
    """Where a value stands: the key it is found under, how deep, and on which page."""

    key: str = ""
    level: int = 0
    pages: tuple[int, ...] = ()


def document_of_plain(value: Json) -> Document:
    """The document in any JSON value.

    A title of the whole is a title block, keys over nested values are headings. Prose is a
    paragraph each, items of a list of prose list items; short values, numbers and truth values
    stand in lines `key: value`, those of one object in one paragraph. Nothing is left out but
    null and empty values.
    """
    title = _title(value) if isinstance(value, dict) else None
    titled = (Block(Kind.TITLE, value[title].strip()),) if title else ()
    rest = {key: child for key, child in value.items() if key != title} if title else value
    blocks = titled + tuple(_merged(_blocks(rest, _Spot(pages=_page(value)))))
    return Document(
        "json",
        blocks,
        pages_of(blocks, {}),
        title=titled[0].text if titled else None,
        language=_first(value, _LANGUAGES),
    )


def _blocks(value: Json, spot: _Spot) -> Iterator[Block]:
    match value:
        case dict():
            yield from _object_blocks(value, spot)
        case list():
            yield from _list_blocks(value, spot)
        case bool() | Number():
            yield _line(spot, str(value).lower() if isinstance(value, bool) else value)
        case str():
            yield from _text_blocks(value, spot)


def _object_blocks(value: dict[str, Json], spot: _Spot) -> Iterator[Block]:
    here = replace(spot, pages=_page(value) or spot.pages)
    for key, child in value.items():
        inner = replace(here, key=key)
        if _is_nested(child) and key.lower() not in _TEXTS:
            yield _heading(key, inner)
            yield from _blocks(child, replace(inner, level=inner.level + 1))
        else:
            yield from _blocks(child, inner)


def _list_blocks(value: list[Json], spot: _Spot) -> Iterator[Block]:
    """The items of a list; each object starts with its title, or else apart from the last."""
    if value and not any(isinstance(item, dict | list) or _is_prose(item) for item in value):
        yield _line(spot, ", ".join(filter(None, map(_short, value))))
        return
    for item in value:
        if isinstance(item, dict):
            title = _title(item)
            pages = _page(item) or spot.pages
            if title:
                yield _heading(item[title].strip(), replace(spot, pages=pages))
            rest = {key: child for key, child in item.items() if key != title}
            deeper = replace(spot, level=spot.level + bool(title))
            yield from _merged(_blocks(rest, deeper))
        elif text := text_of(item):
            is_item = spot.key and spot.key.lower() not in _TEXTS
            kind = Kind.LIST_ITEM if is_item else Kind.PARAGRAPH
            yield Block(kind, text, level=int(kind is Kind.LIST_ITEM), pages=spot.pages)
        else:
            yield from _blocks(item, spot)


def _text_blocks(value: str, spot: _Spot) -> Iterator[Block]:
    if not _is_prose(value) and spot.key.lower() not in _TEXTS:
        yield _line(spot, value)
        return
    is_named = bool(spot.key) and spot.key.lower() not in _TEXTS
    for part in filter(None, map(str.strip, _PARAGRAPH_END.split(value))):
        yield Block(Kind.PARAGRAPH, f"{spot.key}: {part}" if is_named else part, pages=spot.pages)
        is_named = False


def _heading(text: str, spot: _Spot) -> Block:
    return Block(Kind.HEADING, text, level=min(spot.level + 1, _MAX_LEVEL), pages=spot.pages)


@dataclass(frozen=True)
class _Line(Block):
    """A line `key: value`, to be joined with its neighbours."""


def _line(spot: _Spot, value: str) -> Block:
    text = " ".join(value.split())
    shown = f"{spot.key}: {text}" if spot.key and text else text
    return _Line(Kind.PARAGRAPH, shown, pages=spot.pages)


def _merged(blocks: Iterator[Block]) -> Iterator[Block]:
    """The blocks with text, lines that follow one another in one paragraph."""
    lines: list[Block] = []
    for block in blocks:
        if not block.text:
            continue
        if isinstance(block, _Line):
            lines.append(block)
            continue
        yield from _paragraph(lines)
        lines = []
        yield block
    yield from _paragraph(lines)


def _paragraph(lines: list[Block]) -> Iterator[Block]:
    if lines:
        text = "\n".join(line.text for line in lines)
        yield Block(Kind.PARAGRAPH, text, pages=lines[0].pages)


def _is_nested(value: Json) -> bool:
    """Whether a value has parts of its own, and so deserves a heading."""
    if isinstance(value, list):
        return any(isinstance(item, dict | list) or _is_prose(item) for item in value)
    return isinstance(value, dict) and bool(value)


def _is_prose(value: Json) -> bool:
    """Whether a value is a text of five words or more, of several lines, or as long in a script
    that sets no blanks between words."""
    text = text_of(value)
    unspaced = len(text) >= _UNSPACED_PROSE and not text.isascii() and "://" not in text
    return "\n" in text or bool(_PROSE.search(text)) or unspaced


def _short(value: Json) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _title(value: dict[str, Json]) -> str | None:
    """The key of an object's title: a text of one line."""
    named = {key.lower(): key for key in value}
    keys = (named[name] for name in _TITLES if name in named)
    return next((key for key in keys if (t := text_of(value[key])) and "\n" not in t), None)


def _first(value: Json, keys: tuple[str, ...]) -> str | None:
    values = (text_of(value.get(key)) for key in keys) if isinstance(value, dict) else ()
    return next(filter(None, values), None)


def _page(value: Json) -> tuple[int, ...]:
    pages = (whole_of(value.get(key)) for key in _PAGES) if isinstance(value, dict) else ()
    return next(((page,) for page in pages if page is not None), ())
