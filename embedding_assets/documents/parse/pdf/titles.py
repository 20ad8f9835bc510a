"""The title of a document: from its metadata, or the largest text of its first page."""

import re
from collections.abc import Sequence

from embedding_assets.documents.parse.pdf.headings import NUMBER, Body
from embedding_assets.documents.parse.pdf.paragraphs import Draft

_LONG_TEXT, _LONGEST, _SHORTEST = 300, 250, 4
_STANDS_OUT, _SAME_SIZE = 1.15, 1.03
_LOW, _LESS = 0.6, 0.5
_NEXT_LINE = 1.2
_CONTENTS = {"contents", "table of contents", "inhalt", "inhaltsverzeichnis", "sommaire", "índice"}
_DUMMY_TITLE = re.compile(
    r"\(?(anonymous|none|null|unbenannt|sans titre|title)\)?|"
    r"(untitled|microsoft (word|powerpoint)|powerpoint|document\d*$|slide \d)\b.*|"
    r".*\.(docx?|pdf|tex|dvi|indd|qxd|rtf|odt|xlsx?|pptx?|fm|cdr|ai|exe|txt|html?|jpe?g|png|tiff?)|"
    r"[\W\d_]*|\S*_\S*|.*[\\/]\S+[\\/].*",
    re.I,
)


def sensible_title(title: str | None) -> str | None:
    """The title of a file's metadata, unless it is a file name or a program's filler."""
    text = " ".join((title or "").replace("\0", "").split())
    if len(text) < _SHORTEST or len(text) > _LONG_TEXT or "\ufffd" in text:
        return None
    return None if _DUMMY_TITLE.fullmatch(text) else text


def with_title(page: Sequence[Draft], body: Body) -> tuple[list[Draft], Draft | None]:
    """The drafts of the first page with text, and the title among them; its lines, if they were
    taken for several drafts, in one."""
    position = _largest(page, body)
    if position is None:
        return list(page), None
    title = Draft(list(page[position].lines))
    end = position + 1
    while end < len(page) and _goes_on(title, page[end]):
        title.lines += page[end].lines
        end += 1
    return [*page[:position], title, *page[end:]], title


def _largest(page: Sequence[Draft], body: Body) -> int | None:
    """The position of the largest text, where it stands out; text far down counts half."""
    best: tuple[float, int] | None = None
    foot = max((line.bottom for draft in page for line in draft.lines), default=0.0)
    for position, draft in enumerate(page):
        letters = sum(sum(map(str.isalpha, line.text)) for line in draft.lines)
        if letters > _LONG_TEXT and best:
            break
        if not draft.lines or not _SHORTEST <= letters <= _LONGEST:
            continue
        first = draft.lines[0]
        weight = draft.size * (_LESS if first.quarter or first.top > _LOW * foot else 1.0)
        unsuited = NUMBER.match(first.text) or first.text.strip().casefold() in _CONTENTS
        if not unsuited and (best is None or weight > best[0] * _SAME_SIZE):
            best = weight, position
    return best[1] if best and page[best[1]].size >= _STANDS_OUT * body.size else None


def _goes_on(title: Draft, draft: Draft) -> bool:
    if draft.table or not draft.lines:
        return False
    last, line = title.lines[-1], draft.lines[0]
    same = 1 / _SAME_SIZE < draft.size / max(title.size, 0.1) < _SAME_SIZE
    below = 0 < line.middle - last.middle < (1 + _NEXT_LINE) * last.size
    return same and below and line.left < last.right and line.right > last.left
