"""Drafts of a whole document as its blocks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from embedding_assets.documents.document import Block, Box, Kind
from embedding_assets.documents.parse.pdf.frame import Frame
from embedding_assets.documents.parse.pdf.headings import (
    NUMBER,
    Body,
    Style,
    body_style,
    depth,
    heading_style,
    is_caption,
    outline_key,
    style_levels,
)
from embedding_assets.documents.parse.pdf.lines import Line
from embedding_assets.documents.parse.pdf.paragraphs import (
    MARKER,
    Draft,
    code_of,
    run_on,
    spaces_end_lines,
    text_of,
)
from embedding_assets.documents.parse.pdf.tables import Sides
from embedding_assets.documents.parse.pdf.titles import with_title

_LOOK_BACK = 8


@dataclass(slots=True)
class _Part:
    """A draft on the way to its block."""

    draft: Draft
    kind: Kind
    text: str
    style: Style | None = None
    level: int = 0
    marker: str = ""


def make_blocks(
    pages: Sequence[list[Draft]], frames: Mapping[int, Frame], outline: Mapping[str, int]
) -> Iterator[Block]:
    """The blocks of a document in reading order.

    frames: of each page by its number. outline: the level of each entry by `outline_key`.
    """
    body = body_style(chain.from_iterable(pages))
    first = next((number for number, page in enumerate(pages) if page), 0)
    opening, title = with_title(pages[first] if pages else [], body)
    pages = [*pages[:first], opening, *pages[first + 1 :]]
    spaced = spaces_end_lines(line for page in pages for draft in page for line in draft.lines)
    drafts = _merged(chain.from_iterable(pages), body)
    parts = [_part(draft, body, outline, spaced) for draft in drafts if draft.lines or draft.table]
    for part in parts:
        if part.draft is title:
            part.kind, part.style = Kind.TITLE, None
    _set_levels(parts, outline)
    _nest(parts)
    for part in parts:
        if part.text:
            yield _block(part, frames)


def _merged(drafts: Iterator[Draft], body: Body) -> list[Draft]:
    """The drafts, those that go on over a column's or a page's end put together, and code that
    only empty lines part."""
    result: list[Draft] = []
    for draft in drafts:
        if draft.table is None and result:
            before = _goes_on_from(result, draft)
            if before is not None:
                before.lines += draft.lines
                continue
            if not body.mono and _same_code(result[-1], draft):
                result[-1].lines += draft.lines
                continue
        result.append(draft)
    return result


def _goes_on_from(drafts: Sequence[Draft], draft: Draft) -> Draft | None:
    """The draft in an earlier column that `draft` goes on with, past what floats between."""
    first = draft.lines[0]
    for earlier in reversed(drafts[-_LOOK_BACK:]):
        if earlier.table is not None:
            continue
        last = earlier.lines[-1]
        other_column = last.page != first.page or last.top > first.bottom
        if last.page < first.page - 1:
            return None
        if other_column and run_on(earlier, draft):
            return earlier
        floats = earlier.size < 0.93 * draft.size or is_caption(earlier.lines[0].text)
        if not floats:
            return None
    return None


def _same_code(before: Draft, draft: Draft) -> bool:
    if before.table is not None or not (before.mono and draft.mono):
        return False
    last, first = before.lines[-1], draft.lines[0]
    near = 0 < first.top - last.top < 4 * last.size
    return last.page == first.page and near and abs(before.size - draft.size) < 0.5


def _part(draft: Draft, body: Body, outline: Mapping[str, int], spaced: bool) -> _Part:
    if draft.table is not None:
        return _Part(draft, Kind.TABLE, draft.table.text)
    if draft.mono and not body.mono and (len(draft.lines) > 1 or len(draft.lines[0].text) > 12):
        return _Part(draft, Kind.CODE, code_of(draft.lines))
    text = text_of(draft.lines, spaced_hangul=spaced)
    if is_caption(text):
        return _Part(draft, Kind.CAPTION, text)
    style = heading_style(draft, text, body)
    if style is None and len(text) < 200 and outline_key(text) in outline:
        style = (round(draft.size * 2) / 2, draft.bold, text.isupper())
    if style is not None:
        return _Part(draft, Kind.HEADING, text, style)
    match = MARKER.match(text)
    if match:
        return _Part(draft, Kind.LIST_ITEM, text[match.end() :], marker=match[0].strip(), level=1)
    return _Part(draft, Kind.PARAGRAPH, text)


def _set_levels(parts: Sequence[_Part], outline: Mapping[str, int]) -> None:
    """Give the headings their levels and take their numbers off their texts."""
    headings = [part for part in parts if part.kind is Kind.HEADING]
    levels = style_levels([(part.style, part.text) for part in headings if part.style])
    for part in headings:
        assert part.style
        level = outline.get(outline_key(part.text)) or levels[part.style]
        part.level = depth(part.text) if depth(part.text) > 1 else level
        match = NUMBER.match(part.text)
        if match:
            part.marker, part.text = match[1], part.text[match.end() :]


def _nest(parts: Sequence[_Part]) -> None:
    """Give list items that follow one another their nesting, by their indents."""
    stack: list[float] = []
    for part in parts:
        if part.kind is not Kind.LIST_ITEM:
            if part.kind is not Kind.PARAGRAPH:
                stack = []
            continue
        first = part.draft.lines[0]
        while stack and first.left < stack[-1] - 0.5 * first.size:
            stack.pop()
        if not stack or first.left > stack[-1] + 0.5 * first.size:
            stack.append(first.left)
        part.level = len(stack)


def _block(part: _Part, frames: Mapping[int, Frame]) -> Block:
    boxes = tuple(_boxes(part.draft, frames))
    pages = tuple(sorted({box.page for box in boxes}))
    return Block(part.kind, part.text, part.level, part.marker, pages, boxes)


def _boxes(draft: Draft, frames: Mapping[int, Frame]) -> Iterator[Box]:
    """One box around the lines of each column."""
    if draft.table is not None:
        yield _box(draft.table.box, draft.table.page, draft.table.quarter, frames)
        return
    for lines in _by_column(draft.lines):
        sides = (
            min(line.left for line in lines),
            min(line.top for line in lines),
            max(line.right for line in lines),
            max(line.bottom for line in lines),
        )
        yield _box(sides, lines[0].page, lines[0].quarter, frames)


def _by_column(lines: Sequence[Line]) -> list[list[Line]]:
    columns = [[lines[0]]]
    for line in lines[1:]:
        last = columns[-1][-1]
        if line.page != last.page or line.middle < last.middle:
            columns.append([])
        columns[-1].append(line)
    return columns


def _box(sides: Sides, page: int, quarter: int, frames: Mapping[int, Frame]) -> Box:
    frame = frames[page]
    left, top, right, bottom = frame.back(sides, quarter)
    left, right = _within(left, right, frame.width)
    top, bottom = _within(top, bottom, frame.height)
    return Box(page, left, top, right, bottom)


def _within(low: float, high: float, most: float) -> tuple[float, float]:
    """The stretch as far as it lies on the page; a tenth of a point at least."""
    low, high = max(0.0, min(low, most)), max(0.0, min(high, most))
    middle = (low + high) / 2
    return round(min(low, middle - 0.05), 2), round(max(high, middle + 0.05), 2)
