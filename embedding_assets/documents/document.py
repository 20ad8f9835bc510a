"""A document as every format is read: blocks in reading order, with pages, boxes and headings."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from embedding_assets.errors import InputError


class Kind(StrEnum):
    """What a block is."""

    TITLE = "title"
    HEADING = "heading"
    PARAGRAPH = "paragraph"
    LIST_ITEM = "list_item"
    TABLE = "table"
    CAPTION = "caption"
    CODE = "code"


@dataclass(frozen=True)
class Box:
    """A rectangle on a page, in points (1/72 inch) from the top left corner of the page as it is
    shown, its rotation applied."""

    page: int
    left: float
    top: float
    right: float
    bottom: float


@dataclass(frozen=True)
class Page:
    """A page as it is shown: its size in points, and the characters of text that it carries.

    number: the first page of a PDF or DOCX is 1; a pair's and a JSON file's pages keep theirs.
    width, height: None where the format has no page size.
    characters: 0 for a page without text, scanned or empty.
    has_image: whether a picture covers a good part of it, so that a page without text is a scan.
    """

    number: int
    width: float | None = None
    height: float | None = None
    characters: int = 0
    has_image: bool = False


@dataclass(frozen=True)
class Block:
    """A piece of a document that belongs together.

    text: plain text, a table as Markdown; never empty. Language and characters as in the file.
    level: of a heading 1 to 9, of a list item its nesting from 1; 0 elsewhere.
    marker: the bullet or number of a list item, the number of a numbered heading; else "".
    pages: the pages that it stands on, ascending; () where the format has none.
    boxes: where on them; () where the format has none.
    """

    kind: Kind
    text: str
    level: int = 0
    marker: str = ""
    pages: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Document:
    """What was read from one file.

    format: `pdf`, `docx`, `json`, `pair`.
    title: from the file's metadata or its title block; None where neither has one.
    language: as the file names it; None where it does not.
    """

    format: str
    blocks: tuple[Block, ...]
    pages: tuple[Page, ...] = ()
    title: str | None = None
    language: str | None = None

    @property
    def pages_without_text(self) -> tuple[int, ...]:
        """The numbers of scanned and empty pages."""
        return tuple(page.number for page in self.pages if not page.characters)

    @property
    def scanned_pages(self) -> tuple[int, ...]:
        """The numbers of pages that show a picture and carry no text."""
        return tuple(page.number for page in self.pages if page.has_image and not page.characters)

    @property
    def markdown(self) -> str:
        """The document for people, as Markdown."""
        return "\n\n".join(_joined(self.blocks)) + "\n" if self.blocks else ""


class DocumentError(InputError):
    """A document cannot be read."""


class EmptyDocumentError(DocumentError):
    """The file has no byte, or no page."""


class DamagedDocumentError(DocumentError):
    """The file is truncated, broken, or not of the format that its name says."""


class LockedDocumentError(DocumentError):
    """The file is encrypted, and no given password opens it."""


class RefusedDocumentError(DocumentError):
    """The file is dangerous: a zip bomb, external entities, nested too deep, too large."""


class UnresolvedPageError(DocumentError):
    """A text of a pair names a page that its page table does not have."""


def _joined(blocks: tuple[Block, ...]) -> Iterator[str]:
    """Each block as Markdown; list items that follow one another in one paragraph."""
    items: list[str] = []
    for block in blocks:
        if block.kind is Kind.LIST_ITEM:
            items.append(_item(block))
            continue
        if items:
            yield "\n".join(items)
            items = []
        yield _markdown(block)
    if items:
        yield "\n".join(items)


def _item(block: Block) -> str:
    # Markdown knows no other markers than bullets and numbers.
    marker = block.marker if block.marker[:1].isdigit() else "-"
    return "  " * max(0, block.level - 1) + f"{marker} {block.text}"


def _markdown(block: Block) -> str:
    match block.kind:
        case Kind.TITLE:
            return f"# {block.text}"
        case Kind.HEADING:
            number = f"{block.marker} " if block.marker else ""
            return f"{'#' * min(6, block.level + 1)} {number}{block.text}"
        case Kind.CODE:
            return f"```\n{block.text}\n```"
        case _:
            return block.text
