"""Documents as Docling exports them (schema `DoclingDocument`)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

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

_KINDS = {
    "title": Kind.TITLE,
    "section_header": Kind.HEADING,
    "field_heading": Kind.HEADING,
    "list_item": Kind.LIST_ITEM,
    "checkbox_selected": Kind.LIST_ITEM,
    "checkbox_unselected": Kind.LIST_ITEM,
    "caption": Kind.CAPTION,
    "code": Kind.CODE,
}
_BEFORE = {"checkbox_selected": "[x] ", "checkbox_unselected": "[ ] "}
_FURNITURE = frozenset(("page_header", "page_footer"))
_HIDDEN_LAYERS = frozenset(("furniture", "background", "invisible"))
_LISTS = frozenset(("list", "ordered_list"))
_MAX_LEVEL = 9
_GOOD_PART = 0.5
_MAX_ROWS, _MAX_COLUMNS, _MAX_SPAN = 100_000, 1_000, 100

Node = dict[str, Json]


def is_docling(value: Json) -> bool:
    """Whether a value is a Docling document."""
    return isinstance(value, dict) and value.get("schema_name") == "DoclingDocument"


def document_of_docling(root: Node) -> Document:
    """The document in reading order, page headers and footers left out; boxes in points.

    Raises RecursionError when its nodes are nested without end.
    """
    sizes = dict(_sizes(object_of(root.get("pages"))))
    reader = _Reader(root, sizes)
    blocks = tuple(reader.read(object_of(root.get("body"))))
    return Document(
        "json",
        blocks,
        pages_of(blocks, sizes, reader.pictured),
        title=next((block.text for block in blocks if block.kind is Kind.TITLE), None),
    )


@dataclass(frozen=True)
class _Spot:
    """Where a node stands: in how many lists, and as which of its list's items from 1."""

    lists: int = 0
    number: int = 0


@dataclass
class _Reader:
    """Reads the nodes of one document, each once, however their references are tangled.

    pictured: the pages that a picture covers in good part.
    """

    root: Node
    sizes: Mapping[int, tuple[float, float]]
    pictured: set[int] = field(default_factory=set)
    seen: set[int] = field(default_factory=set)

    def read(self, node: Node, spot: _Spot = _Spot()) -> Iterator[Block]:
        """The blocks of a node and of all below it."""
        if id(node) in self.seen:
            return
        self.seen.add(id(node))
        label = text_of(node.get("label"))
        if text_of(node.get("content_layer")) in _HIDDEN_LAYERS or label in _FURNITURE:
            return
        if "data" in node:
            yield from self._table(node)
        elif label == "inline":
            yield from self._block(node, Kind.PARAGRAPH, self._inline(node))
        else:
            if label == "picture":
                self._note_picture(node)
            yield from self._refer(node, "captions")
            yield from self._text(node, spot)
            yield from self._children(node, spot)

    def _children(self, node: Node, spot: _Spot) -> Iterator[Block]:
        lists = spot.lists + (text_of(node.get("label")) in _LISTS)
        number = 0
        for child in self._targets(node, "children"):
            number += child.get("label") == "list_item"
            yield from self.read(child, _Spot(lists, number))

    def _refer(self, node: Node, name: str) -> Iterator[Block]:
        for target in self._targets(node, name):
            yield from self.read(target)

    def _table(self, node: Node) -> Iterator[Block]:
        """A table with its captions before and its notes after; its children are its cells."""
        yield from self._refer(node, "captions")
        yield from self._block(node, Kind.TABLE, markdown_table(_grid(object_of(node["data"]))))
        yield from self._refer(node, "footnotes")

    def _text(self, node: Node, spot: _Spot) -> Iterator[Block]:
        label = text_of(node.get("label"))
        kind = _KINDS.get(label, Kind.PARAGRAPH)
        text = text_of(node.get("text")) or text_of(node.get("orig"))
        if kind is Kind.CODE:
            text = node["text"].strip("\n") if text_of(node.get("text")) else ""
        elif not text:
            text = self._formatted(node) or _graph(node)
        elif label == "formula":
            text = f"$${text}$$"
        for block in self._block(node, kind, _BEFORE.get(label, "") * bool(text) + text):
            if kind is Kind.HEADING:
                level = whole_of(node.get("level")) or 1
                yield replace(block, level=min(max(level, 1), _MAX_LEVEL))
            elif kind is Kind.LIST_ITEM:
                yield replace(block, level=max(spot.lists, 1), marker=_marker(node, spot.number))
            else:
                yield block

    def _formatted(self, node: Node) -> str:
        """The text of a node that leaves it to a group of formatted pieces."""
        groups = (it for it in self._targets(node, "children") if it.get("label") == "inline")
        return " ".join(filter(None, map(self._inline, groups)))

    def _inline(self, node: Node) -> str:
        """The texts below a node in one line."""
        self.seen.add(id(node))
        below = [it for it in self._targets(node, "children") if id(it) not in self.seen]
        own = text_of(node.get("text"))
        return " ".join(filter(None, [own, *map(self._inline, below)]))

    def _block(self, node: Node, kind: Kind, text: str) -> Iterator[Block]:
        if text:
            boxes = tuple(self._boxes(node))
            pages = {whole_of(object_of(prov).get("page_no")) for prov in list_of(node.get("prov"))}
            known = tuple(sorted(page for page in pages if page is not None))
            yield Block(kind, text, pages=known, boxes=boxes)

    def _boxes(self, node: Node) -> Iterator[Box]:
        """Where a node stands, from the top left, on the pages whose size is known."""
        for prov in map(object_of, list_of(node.get("prov"))):
            page, box = whole_of(prov.get("page_no")), object_of(prov.get("bbox"))
            left, right = number_of(box.get("l")), number_of(box.get("r"))
            top, bottom = number_of(box.get("t")), number_of(box.get("b"))
            if page is None or page not in self.sizes:
                continue
            if left is None or right is None or top is None or bottom is None:
                continue
            if box.get("coord_origin") == "BOTTOMLEFT":
                height = self.sizes[page][1]
                top, bottom = height - top, height - bottom
            yield Box(page, left, min(top, bottom), right, max(top, bottom))

    def _note_picture(self, node: Node) -> None:
        for box in self._boxes(node):
            width, height = self.sizes[box.page]
            area = (box.right - box.left) * (box.bottom - box.top)
            if area >= _GOOD_PART * width * height:
                self.pictured.add(box.page)

    def _targets(self, node: Node, name: str) -> Iterator[Node]:
        """The nodes that a node refers to; references that lead nowhere are passed over."""
        for reference in map(object_of, list_of(node.get(name))):
            pointer = text_of(reference.get("$ref") or reference.get("cref"))
            _, _, address = pointer.partition("#/")
            kind, _, place = address.partition("/")
            nodes = list_of(self.root.get(kind))
            if place.isascii() and place.isdigit() and int(place) < len(nodes):
                yield object_of(nodes[int(place)])


def _marker(node: Node, number: int) -> str:
    if marker := text_of(node.get("marker")):
        return marker
    return f"{max(number, 1)}." if node.get("enumerated") is True else ""


def _grid(data: Node) -> list[list[str]]:
    """The texts of a table by row and column, a merged cell's in each place it covers."""
    rows = [list_of(row) for row in list_of(data.get("grid"))]
    if rows:
        return [[text_of(object_of(cell).get("text")) for cell in row] for row in rows]
    grid: dict[int, dict[int, str]] = {}
    for cell in map(object_of, list_of(data.get("table_cells"))):
        for row in _covered(cell, "row", _MAX_ROWS):
            for column in _covered(cell, "col", _MAX_COLUMNS):
                grid.setdefault(row, {})[column] = text_of(cell.get("text"))
    width = max((max(row) + 1 for row in grid.values()), default=0)
    return [[grid[row].get(column, "") for column in range(width)] for row in sorted(grid)]


def _covered(cell: Node, side: str, most: int) -> range:
    """The rows or columns that a cell covers, within what a table can have."""
    start = max(whole_of(cell.get(f"start_{side}_offset_idx")) or 0, 0)
    end = whole_of(cell.get(f"end_{side}_offset_idx")) or start + 1
    return range(start, min(max(end, start + 1), start + _MAX_SPAN, most))


def _graph(node: Node) -> str:
    """The texts of a form or of keys and values, one per line."""
    cells = map(object_of, list_of(object_of(node.get("graph")).get("cells")))
    return "\n".join(filter(None, (text_of(cell.get("text")) for cell in cells)))


def _sizes(pages: Node) -> Iterator[tuple[int, tuple[float, float]]]:
    for page in map(object_of, pages.values()):
        size, number = object_of(page.get("size")), whole_of(page.get("page_no"))
        width, height = number_of(size.get("width")), number_of(size.get("height"))
        if number is not None and width and height:
            yield number, (width, height)
