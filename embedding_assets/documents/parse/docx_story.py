"""The blocks of a DOCX in the order in which they are read."""

from collections.abc import Callable
from dataclasses import dataclass

from embedding_assets.documents.document import Block, Kind
from embedding_assets.documents.parse.docx_code import Line, joined
from embedding_assets.documents.parse.docx_notes import Notes
from embedding_assets.documents.parse.docx_numbering import Marker, Numbering
from embedding_assets.documents.parse.docx_package import MC, Element, W
from embedding_assets.documents.parse.docx_pages import PageCount, breaks_page
from embedding_assets.documents.parse.docx_styles import (
    Style,
    Styles,
    heading_level,
    number,
    value,
)
from embedding_assets.documents.parse.docx_tables import framed_cell, grid_of
from embedding_assets.documents.parse.docx_text import (
    CHECKED,
    UNCHECKED,
    Breaks,
    ContentReader,
    chosen_alternative,
)
from embedding_assets.documents.parse.tables import markdown_table


@dataclass(frozen=True)
class Parts:
    """What the text of a document refers to."""

    styles: Styles
    numbering: Numbering
    notes: Notes
    pages: PageCount


@dataclass(frozen=True)
class _Look:
    """What a paragraph looks like; marker None where it is in no list."""

    properties: Element | None
    style: Style
    marker: Marker | None


class Story:
    """Reads the body of one document, once, from its start to its end.

    _cells: how many table cells are open around what is being read.
    _carried: the text of paragraphs that go on in the next one.
    """

    def __init__(self, parts: Parts) -> None:
        self._styles, self._numbering = parts.styles, parts.numbering
        self._notes, self._pages = parts.notes, parts.pages
        self._flowing = ContentReader(parts.styles, parts.pages.breaks, parts.notes.mark)
        self._standing = ContentReader(parts.styles, Breaks.NONE, parts.notes.mark)
        self._content = self._flowing
        self._cells = 0
        self._carried = ""

    def blocks(self, body: Element) -> tuple[Block, ...]:
        """All blocks: a footnote after the block that refers to it, endnotes at the end."""
        lines = self._lines(body)
        while endnotes := self._notes_of(endnotes=True):
            lines += endnotes + self._notes_of(endnotes=False)
        return tuple(joined(lines))

    def _lines(self, container: Element) -> list[Line]:
        lines: list[Line] = []
        for child in container:
            if (handler := _HANDLERS.get(child.tag)) is not None:
                lines += handler(self, child)
                if not self._cells and self._content is self._flowing:
                    lines += self._notes_of(endnotes=False)
        if self._carried:
            text, pages = self._pages.place(self._carried)
            lines.append(Line(Block(Kind.PARAGRAPH, text, pages=pages)))
            self._carried = ""
        return lines

    def _alternatives(self, element: Element) -> list[Line]:
        chosen = chosen_alternative(element)
        return [] if chosen is None else self._lines(chosen)

    def _paragraph(self, paragraph: Element) -> list[Line]:
        properties = paragraph.find(f"{W}pPr")
        style = self._styles.style(value(properties, "pStyle"))
        if self._content is self._flowing and breaks_page(properties, self._styles):
            self._pages.new_page()
        content = self._content.read(paragraph, style)
        lines = []
        if _goes_on(properties):
            self._carried += content.text
        else:
            text, pages = self._pages.place(self._carried + content.text)
            self._carried = ""
            look = _Look(properties, style, self._marker(properties, style))
            lines.append(Line(_block(text, pages, look), bool(content.is_monospaced)))
        for area in content.pictures:
            self._pages.picture(area)
        lines += self._text_boxes(content.boxes)
        if properties is not None and properties.find(f"{W}sectPr") is not None:
            self._pages.end_section()
        return lines

    def _text_boxes(self, boxes: list[Element]) -> list[Line]:
        """The text beside a paragraph, in which no page ends."""
        before, carried = self._content, self._carried
        self._content, self._carried = self._standing, ""
        lines = [line for box in boxes for line in self._lines(box)]
        self._content, self._carried = before, carried
        return lines

    def _marker(self, properties: Element | None, style: Style) -> Marker | None:
        """The bullet or number of a paragraph; None where it has none."""
        own = properties.find(f"{W}numPr") if properties is not None else None
        numbering = value(own, "numId") or style.numbering
        if not numbering or numbering == "0":
            return None
        level = value(own, "ilvl")
        if level is not None:
            return self._numbering.advance(numbering, number(level))
        tied = self._numbering.level_of_style(numbering, value(properties, "pStyle"))
        return self._numbering.advance(numbering, style.list_level or 0 if tied is None else tied)

    def _table(self, table: Element) -> list[Line]:
        frame = framed_cell(table)
        if frame is not None and not self._cells:
            return self._lines(frame)
        cells: list[tuple[str, tuple[int, ...]]] = []
        grid = grid_of(table, lambda row: self._row(row, cells))
        nested = " ".join(text for text, _ in cells if text)
        pages = sorted({page for _, pages in cells for page in pages})
        text = nested if self._cells else markdown_table(grid)
        return [Line(Block(Kind.TABLE, text, pages=tuple(pages)))]

    def _row(self, row: list[Element], cells: list[tuple[str, tuple[int, ...]]]) -> list[str]:
        """The texts of a row's cells, which stand side by side: all start on the same page."""
        start, end, texts = self._pages.number, self._pages.number, []
        for cell in row:
            self._pages.number = start
            text, pages = self._inside(cell)
            end = max(end, self._pages.number)
            texts.append(text)
            cells.append((text, pages))
        self._pages.number = end
        return texts

    def _inside(self, container: Element) -> tuple[str, tuple[int, ...]]:
        """All that stands in a cell or a note as one text, and its pages."""
        self._cells += 1
        blocks = list(joined(self._lines(container)))
        self._cells -= 1
        pages = sorted({page for block in blocks for page in block.pages})
        return " ".join(map(_inline, blocks)), tuple(pages)

    def _notes_of(self, *, endnotes: bool) -> list[Line]:
        """The notes that were referred to and not yet read, a paragraph each."""
        lines = []
        before, self._content = self._content, self._standing
        for mark, note in self._notes.take(endnotes=endnotes):
            text, pages = self._inside(note)
            if text:
                lines.append(Line(Block(Kind.PARAGRAPH, f"{mark}: {text}", pages=pages)))
        self._content = before
        return lines


def _block(text: str, pages: tuple[int, ...], look: _Look) -> Block:
    """The paragraph as a block; its text still as it stands."""
    marker, kind = look.marker, look.style.kind
    number_text = marker.text if marker and not marker.is_bullet else ""
    if level := heading_level(look.properties, look.style):
        return Block(Kind.HEADING, text, level, number_text, pages)
    if kind is Kind.CODE:
        return Block(kind, text, pages=pages)
    if kind in (Kind.TITLE, Kind.CAPTION):
        return Block(kind, f"{number_text} {text}" if text.strip() else "", pages=pages)
    if marker and (marker.text or marker.is_bullet):
        return Block(Kind.LIST_ITEM, text, marker.level + 1, marker.text, pages)
    if kind is Kind.LIST_ITEM:
        return Block(kind, text, look.style.named_list_level, pages=pages)
    if text.lstrip().startswith((CHECKED, UNCHECKED)):
        return Block(Kind.LIST_ITEM, text, level=1, pages=pages)
    return Block(Kind.PARAGRAPH, text, pages=pages)


def _inline(block: Block) -> str:
    """A block within one line of text."""
    if block.kind is Kind.LIST_ITEM:
        is_number = any(map(str.isalnum, block.marker))
        return f"{block.marker if is_number else '-'} {block.text}"
    return f"{block.marker} {block.text}" if block.marker else block.text


def _goes_on(properties: Element | None) -> bool:
    """Whether a paragraph goes on in the next: its mark was deleted or moved away, or it is a
    drop cap, the first letter of the next."""
    if properties is None:
        return False
    frame, mark = properties.find(f"{W}framePr"), properties.find(f"{W}rPr")
    if frame is not None and frame.get(f"{W}dropCap", "none") != "none":
        return True
    return mark is not None and any(mark.find(f"{W}{tag}") is not None for tag in _TAKEN_AWAY)


_TAKEN_AWAY = ("del", "moveFrom")
_HANDLERS: dict[str, Callable[[Story, Element], list[Line]]] = {
    f"{W}p": Story._paragraph,
    f"{W}tbl": Story._table,
    f"{MC}AlternateContent": Story._alternatives,
    **{f"{W}{tag}": Story._lines for tag in ("sdt", "sdtContent", "customXml", "ins", "moveTo")},
}
