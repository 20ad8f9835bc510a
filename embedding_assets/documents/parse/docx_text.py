"""The text of one paragraph of a DOCX, and what is anchored in it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from embedding_assets.documents.parse.docx_math import M, latex
from embedding_assets.documents.parse.docx_package import MC, Element, W
from embedding_assets.documents.parse.docx_styles import Style, Styles, flag, run_font, value
from embedding_assets.documents.parse.docx_symbols import (
    from_symbol_font,
    without_private_characters,
)

PAGE_BREAK = "\f"
"""Stands in a paragraph's text where a page ends: a character that XML cannot hold."""

CHECKED, UNCHECKED = "[x]", "[ ]"

_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_WP = "{http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing}"
_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_EMU_PER_POINT = 12_700
_NUMBER = re.compile(r"[+\-−–]?\d")
_OFF = frozenset(("0", "false", "off"))


class Breaks(StrEnum):
    """Which marks in a document tell its pages."""

    RENDERED = "rendered"
    EXPLICIT = "explicit"
    NONE = "none"


@dataclass(frozen=True)
class NoteReference:
    """A place that refers to a footnote or an endnote, by the note's id."""

    is_endnote: bool
    note_id: str


@dataclass
class Content:
    """What a paragraph holds.

    pieces: its text in order, with PAGE_BREAK where a page ends.
    boxes: the contents of its text boxes. pictures: their areas in square points.
    is_monospaced: whether all its text is in a monospaced font; None where it has no text.
    """

    pieces: list[str] = field(default_factory=list)
    boxes: list[Element] = field(default_factory=list)
    pictures: list[float] = field(default_factory=list)
    is_monospaced: bool | None = None

    @property
    def text(self) -> str:
        """The text, with PAGE_BREAK where a page ends."""
        return "".join(self.pieces)


class ContentReader:
    """Reads paragraphs: visible text only, insertions in, deletions out.

    note_mark: the mark that stands in the text for a note.
    """

    def __init__(
        self, styles: Styles, breaks: Breaks, note_mark: Callable[[NoteReference], str]
    ) -> None:
        self._styles = styles
        self._breaks = breaks
        self._note_mark = note_mark

    def read(self, paragraph: Element, style: Style) -> Content:
        """The content of a `w:p` whose style is `style`."""
        content = Content()
        _Walk(self._styles, self._breaks, self._note_mark, style, content).walk(paragraph)
        return content


@dataclass
class _Walk:
    """One walk through one paragraph.

    fields: for each field that is open, whether its instruction, not its result, is being read.
    """

    styles: Styles
    breaks: Breaks
    note_mark: Callable[[NoteReference], str]
    style: Style
    content: Content
    fields: list[bool] = field(default_factory=list)
    run_properties: Element | None = None

    def walk(self, element: Element) -> None:
        for child in element:
            handler = _HANDLERS.get(child.tag)
            if handler is not None:
                handler(self, child)

    def put(self, text: str) -> None:
        if text and True not in self.fields:
            self.content.pieces.append(text)

    def run(self, run: Element) -> None:
        properties = run.find(f"{W}rPr")
        if self._is_hidden(properties):
            return
        self.run_properties = properties
        self.walk(run)

    def text(self, element: Element) -> None:
        text = element.text or ""
        if not text.isascii():
            text = without_private_characters(text, self._font())
        if self.content.is_monospaced is not False and not text.isspace():
            self.content.is_monospaced = self.styles.is_monospaced(self._font())
        self.put("^" + text if self._is_power(text) else text)

    def tab(self, _: Element) -> None:
        self.put("\t")

    def line_break(self, element: Element) -> None:
        is_page = element.get(f"{W}type") == "page"
        self.put("\n" + PAGE_BREAK if is_page and self.breaks is Breaks.EXPLICIT else "\n")

    def rendered_break(self, _: Element) -> None:
        if self.breaks is Breaks.RENDERED:
            self.content.pieces.append(PAGE_BREAK)

    def hyphen(self, _: Element) -> None:
        self.put("-")

    def symbol(self, element: Element) -> None:
        try:
            code = int(element.get(f"{W}char", ""), 16)
        except ValueError:
            return
        self.put(from_symbol_font(code, element.get(f"{W}font", "")))

    def field_character(self, element: Element) -> None:
        match element.get(f"{W}fldCharType"):
            case "begin":
                self._form_checkbox(element)
                self.fields.append(True)
            case "separate" if self.fields:
                self.fields[-1] = False
            case "end" if self.fields:
                self.fields.pop()

    def content_control(self, element: Element) -> None:
        """A control's content; a check box as a mark, whatever its own symbols are."""
        checkbox = element.find(f"{W}sdtPr/{_W14}checkbox")
        if checkbox is None:
            self.walk(element)
            return
        state = checkbox.find(f"{_W14}checked")
        is_checked = state is not None and state.get(f"{_W14}val", "1") not in _OFF
        self.put(CHECKED if is_checked else UNCHECKED)

    def ruby(self, element: Element) -> None:
        """The text, and its reading in brackets."""
        for tag, opening, closing in (("rubyBase", "", ""), ("rt", "(", ")")):
            self.put(opening)
            if (part := element.find(f"{W}{tag}")) is not None:
                self.walk(part)
            self.put(closing)

    def alternatives(self, element: Element) -> None:
        if (chosen := chosen_alternative(element)) is not None:
            self.walk(chosen)

    def drawing(self, element: Element) -> None:
        self.content.boxes.extend(_text_boxes(element))
        if next(element.iter(f"{_A}blip"), None) is not None:
            for extent in element.iter(f"{_WP}extent"):
                self.content.pictures.append(_area(extent))

    def note(self, element: Element) -> None:
        is_endnote = element.tag == f"{W}endnoteReference"
        mark = self.note_mark(NoteReference(is_endnote, element.get(f"{W}id", "")))
        if element.get(f"{W}customMarkFollows", "0") in _OFF:
            self.put(mark)

    def equation(self, element: Element) -> None:
        if formula := latex(element):
            self.put(f"${formula}$")

    def displayed_equation(self, element: Element) -> None:
        if formula := latex(element):
            self.put(f"\n$${formula}$$\n")

    def _is_hidden(self, properties: Element | None) -> bool:
        own = flag(properties, "vanish")
        if own is None and (style := value(properties, "rStyle")):
            own = self.styles.style(style).is_hidden or None
        return self.style.is_hidden if own is None else own

    def _is_power(self, text: str) -> bool:
        """Whether a raised number follows other text: without a mark, 10 to the 6 reads 106."""
        raised = value(self.run_properties, "vertAlign") == "superscript"
        pieces = self.content.pieces
        return bool(raised and _NUMBER.match(text) and pieces and not pieces[-1][-1].isspace())

    def _font(self) -> str:
        return run_font(self.run_properties, self.styles, self.style)

    def _form_checkbox(self, element: Element) -> None:
        box = element.find(f"{W}ffData/{W}checkBox")
        if box is not None:
            state = flag(box, "checked")
            self.put(CHECKED if (flag(box, "default") if state is None else state) else UNCHECKED)


def chosen_alternative(element: Element) -> Element | None:
    """The one alternative of `mc:AlternateContent` that is read: the first choice."""
    choice = element.find(f"{MC}Choice")
    return choice if choice is not None else element.find(f"{MC}Fallback")


def _text_boxes(element: Element) -> Iterator[Element]:
    """The contents of text boxes in a drawing, each once; boxes inside a box are left to it."""
    for child in element:
        if child.tag == f"{W}txbxContent":
            yield child
        elif child.tag == f"{MC}AlternateContent":
            if (chosen := chosen_alternative(child)) is not None:
                yield from _text_boxes(chosen)
        else:
            yield from _text_boxes(child)


def _area(extent: Element) -> float:
    try:
        width, height = int(extent.get("cx", "0")), int(extent.get("cy", "0"))
    except ValueError:
        return 0.0
    return width * height / _EMU_PER_POINT**2


_HANDLERS: dict[str, Callable[[_Walk, Element], None]] = {
    **{
        f"{W}{tag}": _Walk.walk
        for tag in (
            "hyperlink", "smartTag", "customXml", "ins", "moveTo", "sdtContent", "fldSimple",
            "bdo", "dir", "rubyBase", "rt",
        )
    },
    **{f"{W}{tag}": _Walk.drawing for tag in ("drawing", "pict", "object")},
    **{f"{W}{tag}": _Walk.tab for tag in ("tab", "ptab")},
    **{f"{W}{tag}": _Walk.line_break for tag in ("br", "cr")},
    **{f"{W}{tag}": _Walk.note for tag in ("footnoteReference", "endnoteReference")},
    f"{W}r": _Walk.run,
    f"{W}t": _Walk.text,
    f"{W}noBreakHyphen": _Walk.hyphen,
    f"{W}sym": _Walk.symbol,
    f"{W}fldChar": _Walk.field_character,
    f"{W}sdt": _Walk.content_control,
    f"{W}ruby": _Walk.ruby,
    f"{W}lastRenderedPageBreak": _Walk.rendered_break,
    f"{MC}AlternateContent": _Walk.alternatives,
    f"{M}oMath": _Walk.equation,
    f"{M}oMathPara": _Walk.displayed_equation,
}  # fmt: skip
