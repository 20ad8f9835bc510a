"""Texts with marked spans of characters, as JSON: a list, or one object a line."""

import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from embedding_assets.documents.entities.labelled import Example, Span, apart
from embedding_assets.documents.entities.words import find_sentences, find_words, widened
from embedding_assets.documents.own_files import is_whole
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError

_READ_AT_ONCE = 1_000_000
_LARGEST_OBJECT = 16_000_000
_BETWEEN = re.compile(r"[\s,\[\]]*")
_MEND = (
    'Write objects like {"text": "Acme of Oslo", "spans": [{"start": 0, "end": 4, '
    '"label": "ORG"}]}, in a list or one a line.'
)


def read_marked(path: Path, notes: Counter[str]) -> Iterator[Example]:
    """The sentences of the texts of a file, with their spans.

    An object has `text` and `spans` (`start`, `end`, `label`), or, like restaurant8k, `userInput`
    and `labels` (`slot`, `valueSpan`), where a `startIndex` of 0 is left out. Of overlapping spans
    the longest stays; those that reach outside the text are left out, and counted in `notes`.
    Raises InputNotFoundError, UnreadableInputError and SchemaError naming the object.
    """
    for number, entry in enumerate(_objects(path), 1):
        try:
            text, spans = _parts(entry)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise SchemaError(
                f"Object {number} of {path} is no marked text: {error!r}.", _MEND
            ) from None
        yield from _examples(text, spans, notes)


def _parts(entry: Any) -> tuple[str, list[Span]]:
    if "userInput" in entry:
        marks = [(each["slot"], each["valueSpan"]) for each in entry.get("labels", ())]
        spans = [
            Span(int(mark.get("startIndex", 0)), int(mark["endIndex"]), _name(slot))
            for slot, mark in marks
        ]
        return str(entry["userInput"]["text"]), spans
    spans = [
        Span(int(each.get("start", 0)), int(each["end"]), _name(each["label"]))
        for each in entry.get("spans") or ()
    ]
    text = entry["text"]
    if not isinstance(text, str):
        raise TypeError(f"text is {text!r}")
    return text, spans


def _name(label: object) -> str:
    if not isinstance(label, str) or not label.strip():
        raise ValueError(f"label is {label!r}")
    if not is_whole(label):
        raise ValueError(f"label {label[:80]!r} has half a letter")
    return label.strip()


def _examples(text: str, spans: list[Span], notes: Counter[str]) -> Iterator[Example]:
    places = find_words(text)
    words = tuple(text[start:end] for start, end in places)
    found: list[Span] = []
    for span in spans:
        outside = not 0 <= span.start < span.end <= len(text)
        inside = None if outside else widened(places, span.start, span.end)
        if inside is None:
            notes["spans outside their text left out"] += 1
            continue
        first, last = inside
        exact = (places[first][0], places[last - 1][1]) == _trimmed(text, span)
        if not exact:
            notes["spans widened to whole words"] += 1
        found.append(Span(first, last, span.label, exact))
    kept, overlapping = apart(found)
    if overlapping:
        notes["spans that overlap a longer one left out"] += overlapping
    if not words:
        yield Example((), ())
    yield from _sentences(text, places, words, kept)


def _sentences(
    text: str, places: list[tuple[int, int]], words: tuple[str, ...], spans: list[Span]
) -> Iterator[Example]:
    """The sentences of a text one by one, as they are read later; those that a span reaches across
    stay together."""
    starts = [start for start, _ in places]
    spans_start = [span.start for span in spans]
    inside = {place for span in spans for place in range(span.start + 1, span.end)}
    begin = 0
    for _, end in find_sentences(text):
        stop = bisect_left(starts, end)
        if stop > begin and stop not in inside:
            yield Example(
                words[begin:stop],
                tuple(
                    replace(span, start=span.start - begin, end=span.end - begin)
                    for span in spans[
                        bisect_left(spans_start, begin) : bisect_left(spans_start, stop)
                    ]
                ),
            )
            begin = stop


def _trimmed(text: str, span: Span) -> tuple[int, int]:
    """A span without the spaces at its ends."""
    inside = text[span.start : span.end]
    start = span.start + len(inside) - len(inside.lstrip())
    return start, start + len(inside.strip())


def _objects(path: Path) -> Iterator[Any]:
    """The objects of a JSON list or of JSON lines, held one by one."""
    decoder = json.JSONDecoder()
    number = line = 1  # of the object that is read, and of where `held` begins
    try:
        with path.open(encoding="utf-8-sig") as file:
            held, at, is_whole = "", 0, False
            while True:
                at = _BETWEEN.match(held, at).end()  # type: ignore[union-attr]
                if at < len(held):
                    try:
                        found, at = decoder.raw_decode(held, at)
                    except json.JSONDecodeError as error:
                        if is_whole or len(held) - at > _LARGEST_OBJECT:
                            where = f"object {number}, line {line - 1 + error.lineno}"
                            raise _damaged(path, f"{where}: {error.msg}") from None
                    else:
                        yield found
                        number += 1
                        continue
                more = file.read(_READ_AT_ONCE)
                if not more and at == len(held):
                    return
                is_whole = not more
                line += held.count("\n", 0, at)
                held, at = held[at:] + more, 0
    except FileNotFoundError:
        raise InputNotFoundError(f"{path} does not exist.", "Name a file that does.") from None
    except (UnicodeDecodeError, RecursionError) as error:
        raise _damaged(path, f"object {number}: {error}") from None
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}.", "Name a file.") from error


def _damaged(path: Path, why: str) -> UnreadableInputError:
    return UnreadableInputError(f"{path} is no whole JSON: {why}.", _MEND)
