"""The examples in the pages for people: blocks of commands, each with the answer that is shown."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_LEFT_OUT = re.compile(r",?\s*…")
_ANSWERS = ("json", "http", "text")


@dataclass(frozen=True)
class Example:
    """Commands of one block. kind, shown: of the block behind it, where that is an answer to the
    last of them."""

    section: str
    commands: str
    kind: str | None
    shown: str


def curl_examples(page: str) -> Iterator[Example]:
    """The blocks that call curl, in their order."""
    headings = [(0, ""), *((found.start(), found[1]) for found in _SECTION.finditer(page))]
    blocks = [*_BLOCK.finditer(page)]
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if not re.search(r"^curl ", block[2], re.MULTILINE):
            continue
        section = [title for start, title in headings if start < block.start()][-1]
        is_answer = following is not None and following[1] in _ANSWERS
        kind, shown = (following[1], following[2]) if is_answer else (None, "")
        yield Example(section, block[2], kind, shown)


def shown_json(text: str) -> object:
    """An answer as it is shown, without the marks of what was left out."""
    return json.loads(_LEFT_OUT.sub("", text))


def faults(shown: object, real: object, place: str = "answer") -> Iterator[str]:
    """Where a real answer has not the keys and the kinds of values that are shown. A list in which
    objects are shown has some, too; one of numbers or texts may be empty."""
    if isinstance(shown, dict) and isinstance(real, dict):
        for key, each in shown.items():
            if key in real:
                yield from faults(each, real[key], f"{place}.{key}")
            else:
                yield f"{place} has no {key}"
    elif isinstance(shown, list) and isinstance(real, list):
        if not real and any(isinstance(each, dict) for each in shown):
            yield f"{place} is empty"
        for number, (one, other) in enumerate(zip(shown, real, strict=False)):
            yield from faults(one, other, f"{place}[{number}]")
    elif None not in (shown, real) and _kind(shown) is not _kind(real):
        yield f"{place} is {real!r}, shown is {shown!r}"


def _kind(value: object) -> type:
    return float if type(value) is int else type(value)
