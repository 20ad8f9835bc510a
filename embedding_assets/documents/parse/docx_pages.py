"""The pages of a DOCX: rendered breaks where it has any, else explicit ones, else unknown."""

import re
from collections import Counter
from collections.abc import Iterator

from embedding_assets.documents.document import Page
from embedding_assets.documents.parse.docx_package import Element, W
from embedding_assets.documents.parse.docx_styles import Styles, flag, value
from embedding_assets.documents.parse.docx_text import PAGE_BREAK, Breaks

_SAME_PAGE = frozenset(("continuous", "nextColumn"))
_GOOD_PART = 0.5
_MEASURE = re.compile(r"(\d+(?:\.\d+)?)(mm|cm|in|pt|pc|pi)?")
_POINTS = {"mm": 72 / 25.4, "cm": 72 / 2.54, "in": 72.0, "pt": 1.0, "pc": 12.0, "pi": 12.0}
_TWIPS_PER_POINT = 20


class PageCount:
    """Counts pages while a document is read from its start to its end."""

    def __init__(self, body: Element, styles: Styles) -> None:
        self.breaks = _breaks(body, styles)
        self.number = 1
        self._sections = [it for it in body.iter(f"{W}sectPr") if it.getparent().tag in _HOLDERS]
        self._section_starts = [1]
        self._characters: Counter[int] = Counter()
        self._largest_picture: dict[int, float] = {}
        self._is_first = True

    def place(self, text: str) -> tuple[str, tuple[int, ...]]:
        """`text` without its page breaks, and the pages that its visible parts stand on."""
        if self.breaks is Breaks.NONE:
            return text, ()
        parts = text.split(PAGE_BREAK)
        pages = []
        for place, part in enumerate(parts):
            self.number += place > 0
            if length := len(part.strip()):
                self._characters[self.number] += length
                pages.append(self.number)
        self._is_first = False
        return "".join(parts), tuple(pages)

    def picture(self, area: float) -> None:
        """Notes a picture of so many square points on the page that was reached."""
        self._largest_picture[self.number] = max(area, self._largest_picture.get(self.number, 0))

    def new_page(self) -> None:
        """A paragraph that asks for a page of its own; nothing at the start of the document."""
        if self.breaks is Breaks.EXPLICIT and not self._is_first:
            self.number += 1

    def end_section(self) -> None:
        """A section ends here; the next one says whether it begins a page."""
        ended = len(self._section_starts)
        begins_page = ended < len(self._sections) and _begins_page(self._sections[ended])
        self._section_starts.append(self.number + begins_page)
        if self.breaks is Breaks.EXPLICIT:
            self.number += begins_page

    def pages(self) -> tuple[Page, ...]:
        """All pages, () where they are unknown."""
        if self.breaks is Breaks.NONE:
            return ()
        return tuple(self._page(number) for number in range(1, self.number + 1))

    def _page(self, number: int) -> Page:
        width, height = self._size(number)
        area = width * height if width and height else float("inf")
        return Page(
            number,
            width,
            height,
            characters=self._characters[number],
            has_image=self._largest_picture.get(number, 0) >= _GOOD_PART * area,
        )

    def _size(self, number: int) -> tuple[float | None, float | None]:
        """The size of the section that the page belongs to, the last that starts on it."""
        started = [place for place, start in enumerate(self._section_starts) if start <= number]
        if not self._sections:
            return None, None
        section = self._sections[min(started[-1], len(self._sections) - 1)]
        size = section.find(f"{W}pgSz")
        if size is None:
            return None, None
        return _points(size.get(f"{W}w", "")), _points(size.get(f"{W}h", ""))


def _breaks(body: Element, styles: Styles) -> Breaks:
    if next(body.iter(f"{W}lastRenderedPageBreak"), None) is not None:
        return Breaks.RENDERED
    return Breaks.EXPLICIT if any(_explicit(body, styles)) else Breaks.NONE


def _explicit(body: Element, styles: Styles) -> Iterator[bool]:
    yield from (br.get(f"{W}type") == "page" for br in body.iter(f"{W}br"))
    yield from (_begins_page(section) for section in list(body.iter(f"{W}sectPr"))[1:])
    for properties in body.iter(f"{W}pPr"):
        yield breaks_page(properties, styles)


def breaks_page(properties: Element | None, styles: Styles) -> bool:
    """Whether a paragraph with these properties starts a page of its own."""
    own = flag(properties, "pageBreakBefore")
    return styles.style(value(properties, "pStyle")).breaks_page if own is None else own


def _begins_page(section: Element) -> bool:
    return value(section, "type") not in _SAME_PAGE


def _points(measure: str) -> float | None:
    """A measure in points: a bare number counts twentieths, Strict files name their unit."""
    match = _MEASURE.fullmatch(measure)
    if not match:
        return None
    size = float(match[1])
    return size * _POINTS[match[2]] if match[2] else size / _TWIPS_PER_POINT


_HOLDERS = frozenset((f"{W}body", f"{W}pPr"))
