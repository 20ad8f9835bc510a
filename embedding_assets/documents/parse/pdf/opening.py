"""PDF files opened, or refused with their reason; what a file says about itself."""

import ctypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.documents.document import (
    DamagedDocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
)
from embedding_assets.documents.parse.pdf.headings import outline_key
from embedding_assets.errors import InputNotFoundError

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

_MAX_BYTES = 2 * 1024**3
_MAX_PAGES = 20_000
_MAX_ENTRIES = 20_000


@contextmanager
def open_pdf(path: Path, passwords: Sequence[str]) -> Iterator["PdfDocument"]:
    """The file, closed at the end.

    Raises EmptyDocumentError, DamagedDocumentError, LockedDocumentError, RefusedDocumentError, and
    InputNotFoundError where no file stands at `path`.
    """
    _check_size(path)
    pdf = _opened(path, passwords)
    try:
        pages = len(pdf)
        if not pages:
            raise EmptyDocumentError(f"{path} has no page.", "Replace the file, or remove it.")
        if pages > _MAX_PAGES:
            raise RefusedDocumentError(
                f"{path} has {pages} pages; {_MAX_PAGES} are the limit.", "Split it."
            )
        yield pdf
    finally:
        pdf.close()


def read_outline(pdf: "PdfDocument") -> Mapping[str, int]:
    """The level, from 1, of each entry of the file's outline by its `outline_key`."""
    from pypdfium2 import PdfiumError

    levels: dict[str, int] = {}
    try:
        for number, entry in enumerate(pdf.get_toc(max_depth=9)):
            if number == _MAX_ENTRIES:
                break
            key = outline_key(entry.get_title())
            if key:
                levels.setdefault(key, entry.level + 1)
    except PdfiumError:
        return levels
    return levels


def read_language(pdf: "PdfDocument") -> str | None:
    """The language that the file names, such as `en-US`."""
    import pypdfium2.raw as raw

    buffer = ctypes.create_string_buffer(128)
    size = raw.FPDFCatalog_GetLanguage(
        pdf.raw, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), len(buffer)
    )
    text = buffer.raw[: min(size, len(buffer))].decode("utf-16-le", "ignore")
    return text.replace("\0", "").strip() or None


def _check_size(path: Path) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError as error:
        raise InputNotFoundError(f"No file stands at {path}.", "Check the path.") from error
    if size == 0:
        raise EmptyDocumentError(f"{path} has 0 bytes.", "Copy the file again, or remove it.")
    if size > _MAX_BYTES:
        raise RefusedDocumentError(
            f"{path} has {size} bytes; {_MAX_BYTES} are the limit.", "Split it."
        )


def _opened(path: Path, passwords: Sequence[str]) -> "PdfDocument":
    from pypdfium2 import PdfDocument, PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD

    for password in (None, *passwords):
        try:
            return PdfDocument(path, password=password)
        except FileNotFoundError as error:
            raise InputNotFoundError(f"No file stands at {path}.", "Check the path.") from error
        except PdfiumError as error:
            if error.err_code != FPDF_ERR_PASSWORD:
                raise DamagedDocumentError(
                    f"{path} is no PDF file, or a truncated or damaged one.",
                    "Copy it again, or remove it.",
                ) from error
    tried = "none of the passwords given opens it" if passwords else "no password is given"
    raise LockedDocumentError(
        f"{path} is encrypted, and {tried}.", "Add its password to the setting documents.passwords."
    )
