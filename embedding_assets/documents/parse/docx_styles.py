"""What the styles of a DOCX say: headings, lists, code, hidden text."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from embedding_assets.documents.document import Kind
from embedding_assets.documents.parse.docx_package import Element, W

# Word writes the names of built-in styles in English in every language; other programs do not.
_HEADING = re.compile(
    r"(?:heading|überschrift|titre|título|titulo|titolo|kop|rubrik|overskrift|otsikko|nagłówek"
    r"|nadpis|címsor|titlu|başlık|заголовок|заглавие|επικεφαλίδα|כותרת|عنوان|标题|標題|見出し|제목"
    r"|tiêu đề|judul)[ _-]*([1-9])(?:\b|$)"
)
_TITLES = frozenset(
    "title|titel|titre|título|titulo|titolo|tittel|otsikko|tytuł|název|cím|titlu|konu başlığı"
    "|название|заголовок|τίτλος|标题|標題|表題|제목|tiêu đề|judul".split("|")
)
_CAPTIONS = frozenset(
    "caption|beschriftung|légende|legenda|leyenda|didascalia|bijschrift|billedtekst|bildtext"
    "|kuvaotsikko|titulek|resim yazısı|название объекта|题注|標號|図表番号|캡션".split("|")
)
_CODES = frozenset(
    "code|source code|sourcecode|code block|codeblock|code snippet|html preformatted"
    "|htmlpreformatted|preformatted text|preformatted|verbatim|macro text|macro".split("|")
)
_LIST = re.compile(r"list (?:bullet|number)(?: ([2-5]))?$")
_MONOSPACED = re.compile(
    r"courier|consolas|monaco|menlo|lucida (?:console|sans typewriter)|fira code|inconsolata"
    r"|cascadia|andale|source code|\bmono\b|monospace|letter gothic|ocr a",
    re.IGNORECASE,
)
_OFF = frozenset(("0", "false", "off"))
_NO_OUTLINE = 9


@dataclass(frozen=True)
class Style:
    """A style with all that it takes from those it is based on.

    names: its own name first, then those it is based on, in lower case.
    outline: the level of a heading from 0, None for body text.
    numbering, list_level: of its list, None where it does not say.
    font: of Latin text, "" where it does not say.
    """

    names: tuple[str, ...] = ()
    outline: int | None = None
    numbering: str | None = None
    list_level: int | None = None
    font: str = ""
    is_hidden: bool = False
    breaks_page: bool = False

    @cached_property
    def kind(self) -> Kind:
        """What a paragraph of this style is, its list aside."""
        if self.heading_level:
            return Kind.HEADING
        for names, kind in ((_TITLES, Kind.TITLE), (_CAPTIONS, Kind.CAPTION), (_CODES, Kind.CODE)):
            if not names.isdisjoint(self.names):
                return kind
        return Kind.LIST_ITEM if self.named_list_level else Kind.PARAGRAPH

    @cached_property
    def heading_level(self) -> int:
        """1 to 9 for a heading, else 0; the nearest style that says something decides."""
        if self.outline is not None:
            return self.outline + 1
        return next((int(match[1]) for match in map(_HEADING.match, self.names) if match), 0)

    @cached_property
    def named_list_level(self) -> int:
        """The level that the name of a built-in list style tells, 0 for other styles."""
        matches = filter(None, map(_LIST.match, self.names))
        return next((int(match[1] or 1) for match in matches), 0)


class Styles:
    """The styles of one document, and its defaults."""

    def __init__(self, root: Element | None) -> None:
        elements = root.findall(f"{W}style") if root is not None else []
        self._elements = {style.get(f"{W}styleId", ""): style for style in elements}
        self._styles: dict[str, Style] = {}
        self._default = next((key for key, style in self._elements.items() if _default(style)), "")
        defaults = root.find(f"{W}docDefaults/{W}rPrDefault/{W}rPr") if root is not None else None
        self.language = _language(defaults)
        self.default_font = self.style(None).font or _font(defaults)

    def style(self, style_id: str | None) -> Style:
        """The style of that id; without one the default; an unknown id names itself."""
        key = self._default if style_id is None else style_id
        if key not in self._styles:
            self._styles[key] = self._resolved(key)
        return self._styles[key]

    def is_monospaced(self, font: str) -> bool:
        """Whether text in `font` stands out as code, in a document that is not typewritten."""
        return bool(_MONOSPACED.search(font)) and not _MONOSPACED.search(self.default_font)

    def _resolved(self, key: str) -> Style:
        chain = list(self._chain(key))
        names = [value(style, "name") or style.get(f"{W}styleId", "") for style in chain]
        properties = [style.find(f"{W}pPr") for style in chain]
        runs = [style.find(f"{W}rPr") for style in chain]
        lists = [found for props in properties if (found := _find(props, "numPr")) is not None]
        return Style(
            names=tuple(name.lower() for name in names) or (key.lower(),),
            outline=next(filter(_is_level, map(outline, properties)), None),
            numbering=next(filter(None, (value(found, "numId") for found in lists)), None),
            list_level=next((number(v) for v in (value(f, "ilvl") for f in lists) if v), None),
            font=next(filter(None, map(_font, runs)), ""),
            is_hidden=next((on for run in runs if (on := flag(run, "vanish")) is not None), False),
            breaks_page=next(
                (on for props in properties if (on := flag(props, "pageBreakBefore")) is not None),
                False,
            ),
        )

    def _chain(self, key: str | None) -> Iterator[Element]:
        """The style and those that it is based on, each once."""
        seen: set[str] = set()
        while key and key not in seen and key in self._elements:
            seen.add(key)
            yield self._elements[key]
            key = value(self._elements[key], "basedOn")


def value(parent: Element | None, tag: str) -> str | None:
    """The `w:val` of a child, None where either is missing."""
    child = _find(parent, tag)
    found: str | None = child.get(f"{W}val") if child is not None else None
    return found


def number(text: str | None, default: int = 0) -> int:
    """The whole number that an attribute holds, `default` for anything else."""
    try:
        return int(text or "")
    except ValueError:
        return default


def flag(parent: Element | None, tag: str) -> bool | None:
    """Whether a property is on, off, or None: not said."""
    child = _find(parent, tag)
    return None if child is None else child.get(f"{W}val", "1") not in _OFF


def outline(properties: Element | None) -> int | None:
    """The outline level of paragraph properties, from 0; 9 is body text, None not said."""
    found = value(properties, "outlineLvl")
    return None if found is None else number(found, _NO_OUTLINE)


def heading_level(properties: Element | None, style: Style) -> int:
    """1 to 9 for a heading, else 0: what the paragraph says itself goes before its style."""
    own = outline(properties)
    return own + 1 if own is not None and 0 <= own < _NO_OUTLINE else style.heading_level


def run_font(properties: Element | None, styles: Styles, paragraph: Style) -> str:
    """The font of a run's Latin text, from itself, its style, or its paragraph's style."""
    own = _font(properties)
    style = None if own else value(properties, "rStyle")
    return own or (styles.style(style).font if style else "") or paragraph.font


def _find(parent: Element | None, tag: str) -> Element | None:
    return parent.find(f"{W}{tag}") if parent is not None else None


def _default(style: Element) -> bool:
    kinds = style.get(f"{W}type") == "paragraph"
    return kinds and style.get(f"{W}default", "0") not in _OFF


def _is_level(level: int | None) -> bool:
    return level is not None and 0 <= level < _NO_OUTLINE


def _font(properties: Element | None) -> str:
    fonts = _find(properties, "rFonts")
    return "" if fonts is None else fonts.get(f"{W}ascii") or fonts.get(f"{W}hAnsi") or ""


def _language(properties: Element | None) -> str | None:
    return value(properties, "lang")
