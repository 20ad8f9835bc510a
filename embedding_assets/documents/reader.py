"""Any supported file as a Document: its format is told by the name and checked by the content."""

import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from embedding_assets.documents.document import (
    DamagedDocumentError,
    Document,
    DocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
)
from embedding_assets.errors import InputNotFoundError, UnreadableInputError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

FORMATS_GROUP = "embedding_assets.formats"
"""Entry points that add formats: the name is the suffix without its dot, the object a Reader.

    [project.entry-points."embedding_assets.formats"]
    md = "my_package.markdown:read_markdown"

`read_markdown(path, options)` returns a Document or raises a DocumentError; it runs in the worker
processes of `isolate`, so it may crash, hang or eat memory without harm to other files. A suffix
that is known already is then read by the entry point.
"""
MEGABYTE = 2**20
MAX_MB = 512


@dataclass(frozen=True)
class Options:
    """How files are read. passwords: tried in turn on an encrypted file. ocr: whether scanned
    pages are read by Tesseract, where that is installed."""

    passwords: tuple[str, ...] = ()
    ocr: bool = False


NO_OPTIONS = Options()
Reader: TypeAlias = Callable[[Path, Options], Document]

_PAIR = re.compile(r"(?:texts_(?P<texts>.+)\.json|pages_(?P<pages>.+)\.csv)", re.DOTALL)
_HEAD = 1024
"""Bytes: where PDF readers look for the header (ISO 32000-2, annex I)."""
_MAGIC = (
    (b"%PDF-", "a PDF"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"II*\0", "a TIFF picture"),
    (b"MM\0*", "a TIFF picture"),
    (b"{\\rtf", "a rich text (RTF) file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"%!PS", "a PostScript file"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
_ZIP = b"PK\x03\x04"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OFFICE = {"word/": "a DOCX", "xl/": "an Excel workbook", "ppt/": "a PowerPoint presentation"}


def read_document(path: Path, options: Options = NO_OPTIONS, max_mb: int = MAX_MB) -> Document:
    """What stands in a file, or in the pair that it is one half of.

    Either half, `pages_<id>.csv` or `texts_<id>.json`, names a pair. max_mb: larger files are
    refused unread. For files that may be hostile see `isolate`.

    Raises InputNotFoundError, UnreadableInputError for what is no file or no supported format,
    EmptyDocumentError, DamagedDocumentError with what a wrongly named file really is,
    LockedDocumentError, RefusedDocumentError, UnresolvedPageError.
    """
    try:
        if pair := pair_id(path.name):
            return _read_pair(path.parent, pair, max_mb)
        return _read_single(path, options, max_mb)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path.name} does not exist.", "Check the path.") from error
    except OSError as error:
        raise UnreadableInputError(
            f"{path.name} cannot be read: {error.strerror or error}.",
            "Check its permissions and the disk.",
        ) from error


def supported_suffixes() -> frozenset[str]:
    """The endings, in lower case, of files that are documents by themselves."""
    return frozenset(_readers())


@cache
def plugged_release(suffix: str) -> str | None:
    """The package, with its version, that reads files with this ending; None for ours."""
    from importlib.metadata import entry_points

    for entry in entry_points(group=FORMATS_GROUP):
        if f".{entry.name}".lower() == suffix.lower():
            return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
    return None


def pair_id(name: str) -> str | None:
    """The id of the pair whose half has this file name; None for other files."""
    found = _PAIR.fullmatch(name)
    return found and (found["texts"] or found["pages"])


def pair_names(pair: str) -> tuple[str, str]:
    """The names of a pair's two files: its texts and its page table."""
    return f"texts_{pair}.json", f"pages_{pair}.csv"


@cache
def _readers() -> dict[str, Reader]:
    from importlib.metadata import entry_points

    own: dict[str, Reader] = {".pdf": _read_pdf, ".docx": _read_docx, ".json": _read_json}
    added = {
        f".{entry.name.lower()}": _plugged(entry) for entry in entry_points(group=FORMATS_GROUP)
    }
    return own | added


def _plugged(entry: "EntryPoint") -> Reader:
    """Its package is imported when a file is read, not when files are listed."""

    def read(path: Path, options: Options) -> Document:
        found = entry.load()(path, options)
        if not isinstance(found, Document):
            raise DocumentError(
                f"The reader of .{entry.name} files, {entry.value}, gave a "
                f"{type(found).__name__} for {path.name}.",
                "A reader returns a Document; mend or remove its package.",
            )
        return found

    return read


def _read_single(path: Path, options: Options, max_mb: int) -> Document:
    suffix = path.suffix.lower()
    read = _readers().get(suffix)
    if read is None:
        raise UnreadableInputError(
            f"{path.name} has no supported format.",
            f"Supported are {', '.join(sorted(supported_suffixes()))} and pairs.",
        )
    _require_size(path, max_mb)
    _require_content(path, suffix)
    return read(path, options)


def _read_pair(folder: Path, pair: str, max_mb: int) -> Document:
    from embedding_assets.documents.parse.pair import read_pair_document

    for half in pair_names(pair):
        if (folder / half).exists():
            _require_size(folder / half, max_mb)
    return read_pair_document(folder, pair)


def _read_pdf(path: Path, options: Options) -> Document:
    from embedding_assets.documents.parse.pdf import read_pdf

    return read_pdf(path, options.passwords, ocr=options.ocr)


def _read_docx(path: Path, _: Options) -> Document:
    from embedding_assets.documents.parse.docx import read_docx

    return read_docx(path)


def _read_json(path: Path, _: Options) -> Document:
    from embedding_assets.documents.parse.json_file import read_json

    return read_json(path)


def _require_size(path: Path, max_mb: int) -> None:
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise UnreadableInputError(f"{path.name} is not a file.", "Name one file.")
    size = status.st_size
    if not size:
        raise EmptyDocumentError(f"{path.name} has no byte.", "Copy the file again.")
    if size > max_mb * MEGABYTE:
        raise RefusedDocumentError(
            f"{path.name} has {size / MEGABYTE:.0f} MB, {max_mb} MB are allowed.",
            "Split the file or raise the limit.",
        )


def _require_content(path: Path, suffix: str) -> None:
    """Only what is certainly something else is refused; the format's own reader judges the rest."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if suffix == ".docx" and head.startswith(_OLE) and _is_encrypted_office(path):
        raise LockedDocumentError(
            f"{path.name} is encrypted with a password.", "Save it in Word without a password."
        )
    if _fits(path, head, suffix):
        return
    raise DamagedDocumentError(
        f"{path.name} is {_really(path, head)}, not what its ending {suffix} says.",
        "Give it its true ending, or replace the file.",
    )


def _fits(path: Path, head: bytes, suffix: str) -> bool:
    match suffix:
        case ".pdf":
            return b"%PDF" in head
        case ".docx":
            return head.startswith(_ZIP) and _really(path, head) in ("a DOCX", "a damaged archive")
        case ".json":
            return _really(path, head) == "text"
        case _:
            return True


def _really(path: Path, head: bytes) -> str:
    """What a file is by its first bytes, in words."""
    if head.startswith(_ZIP):
        return _kind_of_zip(path)
    if head.startswith(_OLE):
        return "an old or encrypted Office file"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page"
    is_utf16 = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return "text" if is_utf16 or b"\0" not in head else "of an unknown format"


def _kind_of_zip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return "a damaged archive"
    kinds = (kind for prefix, kind in _OFFICE.items() if any(n.startswith(prefix) for n in names))
    return next(kinds, "a zip archive")


def _is_encrypted_office(path: Path) -> bool:
    """[MS-OFFCRYPTO] 2.3.2: the compound file then has a stream of this name."""
    return "EncryptedPackage".encode("utf-16-le") in path.read_bytes()
