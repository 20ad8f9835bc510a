"""DOCX files as documents (Office Open XML, Transitional and Strict)."""

from pathlib import Path

from embedding_assets.documents.document import (
    Block,
    DamagedDocumentError,
    Document,
    Kind,
    RefusedDocumentError,
)
from embedding_assets.documents.parse.docx_notes import Notes
from embedding_assets.documents.parse.docx_numbering import Numbering
from embedding_assets.documents.parse.docx_package import Element, Package, W, open_package
from embedding_assets.documents.parse.docx_pages import PageCount
from embedding_assets.documents.parse.docx_story import Parts, Story
from embedding_assets.documents.parse.docx_styles import Styles

_DC = "{http://purl.org/dc/elements/1.1/}"


def read_docx(path: Path) -> Document:
    """The document in a DOCX file; also in a DOCM or DOTX.

    Tables are Markdown with merged cells repeated; a nested table is part of its cell's text, a
    table of one cell is read as its content. Equations are LaTeX between dollar signs, check
    boxes `[x]` and `[ ]`, notes marked `[^1]`. Headers, footers, comments, deletions and hidden
    text are left out. Pages are those of the program that saved the file, else those of explicit
    breaks, else unknown; boxes are unknown.

    Raises EmptyDocumentError, DamagedDocumentError, LockedDocumentError, RefusedDocumentError;
    InputNotFoundError.
    """
    with open_package(path) as package:
        try:
            return _document(package)
        except RecursionError as error:
            raise RefusedDocumentError(
                f"{path.name} is nested too deep.", "Save it again with simpler tables."
            ) from error


def _document(package: Package) -> Document:
    main = package.main
    body = _body(package, main)
    styles = Styles(package.related("styles", main))
    pages = PageCount(body, styles)
    notes = Notes(package.related("footnotes", main), package.related("endnotes", main))
    parts = Parts(styles, Numbering(package.related("numbering", main)), notes, pages)
    blocks = Story(parts).blocks(body)
    core = package.related("core-properties")
    return Document(
        "docx",
        blocks,
        pages.pages(),
        title=_property(core, "title") or _title(blocks),
        language=_property(core, "language") or styles.language,
    )


def _body(package: Package, main: str) -> Element:
    root = package.part(main)
    if root is None:
        reason = f"it has no part {main}"
    elif root.tag != f"{W}document":
        reason = f"its main part is no text document but <{root.tag.rsplit('}', 1)[-1]}>"
    elif (body := root.find(f"{W}body")) is not None:
        return body
    else:
        reason = "its text has no body"
    raise DamagedDocumentError(
        f"{package.name} is no readable DOCX: {reason}.",
        "Open it in the program that made it and save it as .docx.",
    )


def _title(blocks: tuple[Block, ...]) -> str | None:
    return next((block.text for block in blocks if block.kind is Kind.TITLE), None)


def _property(core: Element | None, name: str) -> str | None:
    text = core.findtext(f"{_DC}{name}") if core is not None else None
    return (text or "").strip() or None
