"""A small PDF writer: titles, headings, paragraphs, lists and ruled tables on numbered pages."""

import unicodedata
from collections.abc import Iterator, Sequence

PAGE_WIDTH, PAGE_HEIGHT = 595, 842
MARGIN = 64
TEXT_WIDTH = PAGE_WIDTH - 2 * MARGIN
TEXT_SIZE = 10.5
HEADING_SIZES = {0: 22.0, 1: 15.0, 2: 12.5}
LEADING = 1.35
CELL_PADDING = 4
PLAIN, BOLD = "F1", "F2"
BOLD_IS_WIDER = 1.08
# Of Helvetica's printable ASCII characters from the space on, in thousandths of the font size.
WIDTHS = (
    *(278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278),
    *(556, 556, 556, 556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556),
    *(1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778),
    *(667, 778, 722, 667, 611, 722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556),
    *(333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500, 222, 833, 556, 556),
    *(556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584),
)


class PdfWriter:
    """Text flows from the top of the first page down, onto as many pages as it needs."""

    def __init__(self, title: str, footer: str) -> None:
        self._title = title
        self._footer = footer
        self._pages: list[list[str]] = [[]]
        self._y = float(PAGE_HEIGHT - MARGIN)

    def heading(self, text: str, level: int) -> None:
        """A title (level 0) or a heading, never the last thing on a page."""
        size = HEADING_SIZES[level]
        lines = wrapped(text, size, TEXT_WIDTH, BOLD)
        self._skip(size * 0.8)
        self._require(size * LEADING * len(lines) + 3 * TEXT_SIZE * LEADING)
        self._lines(lines, size, BOLD)
        self._skip(size * 0.3)

    def paragraph(self, text: str) -> None:
        """Lines of plain text."""
        self._lines(wrapped(text, TEXT_SIZE, TEXT_WIDTH), TEXT_SIZE)
        self._skip(TEXT_SIZE * 0.6)

    def items(self, texts: Sequence[str]) -> None:
        """A list with bullets."""
        for text in texts:
            lines = wrapped(text, TEXT_SIZE, TEXT_WIDTH - 16)
            self._require(len(lines) * TEXT_SIZE * LEADING)
            self._text("•", MARGIN, self._y - TEXT_SIZE, TEXT_SIZE, PLAIN)
            self._lines(lines, TEXT_SIZE, PLAIN, MARGIN + 16)
        self._skip(TEXT_SIZE * 0.6)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Cells between lines, the first row bold; a row is never torn between pages."""
        width = TEXT_WIDTH / len(rows[0])
        for number, row in enumerate(rows):
            font = PLAIN if number else BOLD
            cells = [wrapped(cell, TEXT_SIZE, width - 2 * CELL_PADDING, font) for cell in row]
            height = max(map(len, cells)) * TEXT_SIZE * LEADING + 2 * CELL_PADDING
            self._require(height)
            for column, lines in enumerate(cells):
                left, y = MARGIN + column * width, self._y - CELL_PADDING
                self._draw(f"{left:.2f} {self._y - height:.2f} {width:.2f} {height:.2f} re S")
                for line in lines:
                    self._text(line, left + CELL_PADDING, y - TEXT_SIZE, TEXT_SIZE, font)
                    y -= TEXT_SIZE * LEADING
            self._y -= height
        self._skip(TEXT_SIZE)

    def to_bytes(self) -> bytes:
        """The whole file."""
        count = len(self._pages)
        first = 5
        kids = " ".join(f"{first + 2 * page} 0 R" for page in range(count))
        objects = [
            "<< /Type /Catalog /Pages 2 0 R /Lang (en) >>",
            f"<< /Type /Pages /Count {count} /Kids [{kids}] >>",
            *(_font(name) for name in ("Helvetica", "Helvetica-Bold")),
        ]
        for number, drawn in enumerate(self._pages):
            footer = f"{self._footer} - page {number + 1} of {count}"
            stream = "\n".join([*drawn, _show(footer, MARGIN, MARGIN / 2, 8, PLAIN)])
            objects.append(
                f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE_WIDTH} {PAGE_HEIGHT}] "
                f"/Contents {first + 2 * number + 1} 0 R "
                f"/Resources << /Font << /{PLAIN} 3 0 R /{BOLD} 4 0 R >> >> >>"
            )
            objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
        objects.append(f"<< /Title {_string(self._title)} >>")
        return _file(objects)

    def _lines(
        self, lines: Sequence[str], size: float, font: str = PLAIN, left: float = MARGIN
    ) -> None:
        for line in lines:
            self._require(size * LEADING)
            self._text(line, left, self._y - size, size, font)
            self._y -= size * LEADING

    def _text(self, text: str, left: float, base: float, size: float, font: str) -> None:
        self._draw(_show(text, left, base, size, font))

    def _draw(self, operators: str) -> None:
        self._pages[-1].append(operators)

    def _skip(self, height: float) -> None:
        if self._y < PAGE_HEIGHT - MARGIN:
            self._y -= height

    def _require(self, height: float) -> None:
        """Go to the next page unless that much is free on this one."""
        if self._y - height < MARGIN and self._pages[-1]:
            self._pages.append([])
            self._y = float(PAGE_HEIGHT - MARGIN)


def can_show(text: str) -> bool:
    """Whether the standard fonts have every letter of `text`, accents apart."""
    return all(letter == "?" or _known(letter) != "?" for letter in text)


def wrapped(text: str, size: float, width: float, font: str = PLAIN) -> list[str]:
    """`text` in lines that fit `width` points; a word that does not has a line of its own."""
    lines: list[str] = []
    for word in text.split():
        if lines and _width(f"{lines[-1]} {word}", font) * size <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _width(text: str, font: str) -> float:
    """Of text in a font of 1 point."""
    thousandths = sum(WIDTHS[ord(letter) - 32] if " " <= letter <= "~" else 556 for letter in text)
    return thousandths / 1000 * (BOLD_IS_WIDER if font == BOLD else 1)


def _font(name: str) -> str:
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /{name} /Encoding /WinAnsiEncoding >>"


def _show(text: str, left: float, base: float, size: float, font: str) -> str:
    return f"BT /{font} {size:g} Tf {left:.2f} {base:.2f} Td {_string(text)} Tj ET"


def _string(text: str) -> str:
    """A string of the standard fonts; a letter that they lack loses its accent."""
    known = "".join(_known(letter) for letter in text)
    escaped = known.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"({escaped})"


def _known(letter: str) -> str:
    """`letter` as the byte of Windows-1252 that stands for it, read as Latin-1."""
    for form in (letter, unicodedata.normalize("NFKD", letter)[0]):
        try:
            return form.encode("cp1252").decode("latin-1")
        except UnicodeEncodeError:
            continue
    return "?"


def _file(objects: Sequence[str]) -> bytes:
    """The objects, numbered from 1, with the table of where each begins; the last is the info."""
    content = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    starts = []
    for part in _numbered(objects):
        starts.append(len(content))
        content += part
    table = "".join(f"{start:010} 00000 n \n" for start in starts)
    size = len(objects) + 1
    content += (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}"
        f"trailer\n<< /Size {size} /Root 1 0 R /Info {len(objects)} 0 R >>\n"
        f"startxref\n{len(content)}\n%%EOF\n"
    ).encode()
    return bytes(content)


def _numbered(objects: Sequence[str]) -> Iterator[bytes]:
    for number, body in enumerate(objects, start=1):
        yield f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1")
