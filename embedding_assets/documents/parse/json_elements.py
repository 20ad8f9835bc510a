"""Lists of elements as unstructured exports them, as documents."""

import re
from collections.abc import Iterator, Mapping

from embedding_assets.documents.document import Block, Box, Document, Kind
from embedding_assets.documents.parse.json_load import (
    Json,
    list_of,
    number_of,
    object_of,
    text_of,
    whole_of,
)
from embedding_assets.documents.parse.json_pages import pages_of
from embedding_assets.documents.parse.tables import markdown_table

_KINDS: Mapping[str, Kind] = {
    "Title": Kind.HEADING,
    "Headline": Kind.HEADING,
    "Subheadline": Kind.HEADING,
    "ListItem": Kind.LIST_ITEM,
    "List-item": Kind.LIST_ITEM,
    "BulletedText": Kind.LIST_ITEM,
    "Table": Kind.TABLE,
    "FigureCaption": Kind.CAPTION,
    "Caption": Kind.CAPTION,
    "CodeSnippet": Kind.CODE,
}
_FURNITURE = frozenset(
    ("Header", "Footer", "Page-header", "Page-footer", "PageNumber", "PageBreak")
)
_PARAGRAPH_END = re.compile(r"\n\s*\n")
_MAX_LEVEL = 9
_MAX_SPAN = 100


def is_elements(value: Json) -> bool:
    """Whether a value is a list of elements: each with a type, a text and what is known of it."""
    return bool(list_of(value)) and all(
        isinstance(element, dict)
        and isinstance(element.get("type"), str)
        and isinstance(element.get("text"), str)
        and ("element_id" in element or isinstance(element.get("metadata"), dict))
        for element in value
    )


def document_of_elements(elements: list[dict[str, Json]]) -> Document:
    """The document that the elements make, page headers and footers left out.

    Boxes are in points where the elements' coordinates are; pixels, whose size is unknown, are
    taken as points on a page of as many points.
    """
    sizes: dict[int, tuple[float, float]] = {}
    blocks = tuple(block for element in elements for block in _blocks(element, sizes))
    return Document(
        "json",
        blocks,
        pages_of(blocks, sizes),
        title=blocks[0].text if blocks and blocks[0].kind is Kind.HEADING else None,
        language=_language(elements),
    )


def _blocks(element: dict[str, Json], sizes: dict[int, tuple[float, float]]) -> Iterator[Block]:
    metadata = object_of(element.get("metadata"))
    kind = _KINDS.get(element["type"], Kind.PARAGRAPH)
    page = whole_of(metadata.get("page_number"))
    box = _box(metadata, page, sizes)
    if element["type"] in _FURNITURE:
        return
    for text in _texts(element["text"], kind, metadata):
        yield Block(
            kind,
            text,
            level=_level(metadata) if kind in (Kind.HEADING, Kind.LIST_ITEM) else 0,
            pages=() if page is None else (page,),
            boxes=() if box is None else (box,),
        )


def _texts(text: str, kind: Kind, metadata: dict[str, Json]) -> list[str]:
    """The texts of an element: a table as Markdown, the paragraphs of a composite one by one."""
    if kind is Kind.TABLE:
        found = [_table(text_of(metadata.get("text_as_html"))) or text.strip()]
    elif kind is Kind.CODE:
        found = [text.strip("\n")]
    else:
        found = [part.strip() for part in _PARAGRAPH_END.split(text)]
    return [part for part in found if part.strip()]


def _level(metadata: dict[str, Json]) -> int:
    return min(max(whole_of(metadata.get("category_depth")) or 0, 0) + 1, _MAX_LEVEL)


def _box(
    metadata: dict[str, Json], page: int | None, sizes: dict[int, tuple[float, float]]
) -> Box | None:
    """The box of an element on its page, from the top left; None where it is not told."""
    coordinates = object_of(metadata.get("coordinates"))
    width = number_of(coordinates.get("layout_width"))
    height = number_of(coordinates.get("layout_height"))
    points = [_point(point) for point in list_of(coordinates.get("points"))]
    told = [point for point in points if point is not None]
    if page is None or not width or not height or not told or len(told) < len(points):
        return None
    sizes[page] = (width, height)
    from_bottom = coordinates.get("system") == "PointSpace"
    across = [x for x, _ in told]
    down = [height - y if from_bottom else y for _, y in told]
    return Box(page, min(across), min(down), max(across), max(down))


def _point(point: Json) -> tuple[float, float] | None:
    pair = [number_of(value) for value in list_of(point)]
    if len(pair) != 2 or pair[0] is None or pair[1] is None:
        return None
    return pair[0], pair[1]


def _table(html: str) -> str:
    """A table in HTML as Markdown, spans repeated; "" where the HTML has none."""
    if not html:
        return ""
    from lxml import etree
    from lxml import html as lxml_html

    try:
        root = lxml_html.fragment_fromstring(html, create_parent=True)
    except (etree.ParserError, ValueError):
        return ""
    grid: list[list[str]] = []
    hanging: dict[tuple[int, int], str] = {}
    for row, line in enumerate(root.iter("tr")):
        cells: list[str] = []
        for cell in line.iterchildren("td", "th"):
            _hang(cells, hanging, row)
            text = " ".join(cell.text_content().split())
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            for column in range(len(cells), len(cells) + width):
                hanging |= {(row + down, column): text for down in range(1, height)}
            cells += [text] * width
        _hang(cells, hanging, row)
        grid.append(cells)
    return markdown_table(grid)


def _hang(cells: list[str], hanging: dict[tuple[int, int], str], row: int) -> None:
    """Adds the cells from rows above that reach down to this row's next columns."""
    while (text := hanging.pop((row, len(cells)), None)) is not None:
        cells.append(text)


def _span(cell: Json, name: str) -> int:
    value = cell.get(name, "1")
    return min(max(int(value), 1), _MAX_SPAN) if value.isascii() and value.isdigit() else 1


def _language(elements: list[dict[str, Json]]) -> str | None:
    metadata = object_of(elements[0].get("metadata"))
    return next(filter(None, map(text_of, list_of(metadata.get("languages")))), None)
