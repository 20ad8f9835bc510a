"""JSON files as documents: Docling documents, element lists, and JSON of any other shape."""

from pathlib import Path

from embedding_assets.documents.document import Document, RefusedDocumentError
from embedding_assets.documents.parse.json_docling import document_of_docling, is_docling
from embedding_assets.documents.parse.json_elements import document_of_elements, is_elements
from embedding_assets.documents.parse.json_load import load_json
from embedding_assets.documents.parse.json_plain import document_of_plain


def read_json(path: Path) -> Document:
    """The document in a JSON or JSON Lines file.

    Raises EmptyDocumentError; DamagedDocumentError with line and column; RefusedDocumentError
    for what is nested too deep or too large; InputNotFoundError.
    """
    value = load_json(path)
    if is_elements(value):
        return document_of_elements(value)
    if not is_docling(value):
        return document_of_plain(value)
    try:
        return document_of_docling(value)
    except RecursionError as error:
        raise RefusedDocumentError(
            f"{path.name} refers from part to part without end.", "Export the document again."
        ) from error
