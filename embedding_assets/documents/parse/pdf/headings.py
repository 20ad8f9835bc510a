"""What the drafts of a document are: headings with levels, lists, captions, code, its title."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from embedding_assets.documents.parse.pdf.paragraphs import TERMINAL, Draft

Style: TypeAlias = tuple[float, bool, bool]
NUMBER = re.compile(r"((?:\d{1,3}|[A-Z])(?:\.\d{1,3})+\.?|\d{1,2}\.?|[A-Z]\.|[IVXL]+\.)\s+(?=\S)")
_CAPTION = re.compile(
    r"(figure|fig\.|table|tab\.|abbildung|abb\.|tabelle|tableau|figura|tabla|listing|"
    r"algorithm|scheme|chart|example|그림|표|图|表|図)\s*[A-Z]?\d+(?:[.\-–]\d+)*[a-z]?"
    r"(?:\s*[:.\-–—|)]|\s+(?=[A-Z\d\"“(])|$)",
    re.I,
)
_VERB_AFTER = re.compile(r"\S+\s*\S*\d\S*\s+[a-z]")
_LETTERED = re.compile(r"[A-Z]{1,5}(?:-[A-Z\d]{1,2})?\s+(?=[A-Z])")
_NOT_ALNUM = re.compile(r"[\W_]+")
_LONGEST, _MOST_LINES = 200, 4
_LARGER, _LARGER_BOLD = 1.14, 1.04


@dataclass(frozen=True)
class Body:
    """The usual style of a document's text."""

    size: float
    bold: bool
    mono: bool


def body_style(drafts: Iterable[Draft]) -> Body:
    """The style that most characters have."""
    sizes: Counter[float] = Counter()
    bold: Counter[bool] = Counter()
    mono: Counter[bool] = Counter()
    for draft in drafts:
        for line in draft.lines:
            count = len(line.text)
            sizes[round(line.size * 2) / 2] += count
            bold[line.bold] += count
            mono[line.mono] += count
    if not sizes:
        return Body(10.0, False, False)
    return Body(sizes.most_common(1)[0][0], bold[True] > bold[False], mono[True] > mono[False])


def is_caption(text: str) -> bool:
    """Whether a text names a figure or table and is no sentence about one."""
    match = _CAPTION.match(text)
    return bool(match) and not _VERB_AFTER.match(text) and len(text) < 600


def heading_style(draft: Draft, text: str, body: Body) -> Style | None:
    """Size, boldness and capitals of a draft that looks like a heading; None if it does not."""
    if len(text) > _LONGEST or len(draft.lines) > _MOST_LINES:
        return None
    size = round(draft.size * 2) / 2
    larger = draft.size >= (_LARGER_BOLD if draft.bold else _LARGER) * body.size
    letters = sum(map(str.isalpha, text))
    capitals = letters > 3 and text.isupper()
    if letters < 2 or (draft.mono and not body.mono and not larger):
        return None
    if text.endswith((",", ";")) or (TERMINAL.search(text) and text.endswith(".") and not larger):
        return None
    if larger and (len(text) < 120 or draft.bold) and not (text[0].islower() and not draft.bold):
        return size, draft.bold, capitals
    stands_out = draft.bold and not body.bold and draft.size >= 0.9 * body.size
    numbered = NUMBER.match(text) is not None and draft.bold and not text.endswith(".")
    if (stands_out or numbered) and len(text) < 150:
        return size, draft.bold, capitals
    return None


def depth(text: str) -> int:
    """How deep the number of a numbered heading is: 3 for `2.1.7`, 0 without a number."""
    match = NUMBER.match(text)
    return len(match[1].rstrip(".").split(".")) if match else 0


def style_levels(headings: Sequence[tuple[Style, str]]) -> Mapping[Style, int]:
    """The level of each style: larger before smaller, bold before not, capitals before not; where
    the headings of a style are numbered, the usual depth of their numbers."""
    texts: dict[Style, list[str]] = defaultdict(list)
    for style, text in headings:
        texts[style].append(text)
    levels: dict[Style, int] = {}
    level = 0
    for style in sorted(texts, reverse=True):
        depths = Counter(depth(text) for text in texts[style])
        usual, count = depths.most_common(1)[0]
        level = usual if usual and count > len(texts[style]) / 2 else level + 1
        levels[style] = min(9, level)
    return levels


def outline_key(text: str) -> str:
    """What an entry of the outline and its heading on the page have in common."""
    number = NUMBER.match(text) or _LETTERED.match(text)
    return _NOT_ALNUM.sub("", text[number.end() :] if number else text).casefold()
