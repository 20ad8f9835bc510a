"""The parts of a DOCX, read within limits; bombs, DTDs, locks and damage have their own errors."""

import errno
import mmap
import posixpath
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from zipfile import BadZipFile, ZipFile, ZipInfo

from embedding_assets.documents.document import (
    DamagedDocumentError,
    EmptyDocumentError,
    LockedDocumentError,
    RefusedDocumentError,
)
from embedding_assets.errors import InputNotFoundError

Element: TypeAlias = Any
"""An lxml element; lxml ships no types."""

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_MAX_ENTRIES = 10_000
_MAX_DECLARED_BYTES = 1 << 30
_MAX_XML_BYTES = 128 << 20
_MAX_RATIO = 200
_RATIO_FROM_BYTES = {True: 8 << 20, False: 64 << 20}
"""From which size the ratio counts, for XML and for the rest: a blank bitmap packs as well as a
bomb, and is never unpacked here."""

_COMPOUND_FILE = bytes.fromhex("d0cf11e0a1b11ae1")
_DOCTYPES = tuple("<!DOCTYPE".encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
_STRICT = re.compile(rb"""(?<==["'])http://purl\.oclc\.org/ooxml/(\w+)/""")
_TRANSITIONAL = rb"http://schemas.openxmlformats.org/\1/2006/"
_RELATIONSHIP = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_BROKEN = (BadZipFile, EOFError, NotImplementedError, UnicodeError, ValueError, zlib.error)
_SAVE_AGAIN = "Open the file in a word processor and save it again as .docx."


@dataclass
class Package:
    """The parts of one file that is open, by their lower-case names without the first slash."""

    name: str
    archive: ZipFile
    entries: dict[str, ZipInfo]
    unpacked: int = 0

    @property
    def main(self) -> str:
        """The name of the part with the text: mostly, not always, `word/document.xml`."""
        return self._targets("").get("officeDocument", "word/document.xml")

    def related(self, kind: str, source: str = "") -> Element | None:
        """The root of the part that `source` refers to as `kind`, None where there is none.

        source: the name of a part; "" for the package.
        """
        target = self._targets(source).get(kind)
        return self.part(target) if target else None

    def part(self, name: str) -> Element | None:
        """The root element of a part, in the Transitional namespaces; None where it is missing.

        Raises DamagedDocumentError, LockedDocumentError and RefusedDocumentError.
        """
        entry = self.entries.get(name.lower())
        return self._parse(self._read(entry), entry.filename) if entry else None

    def _targets(self, source: str) -> dict[str, str]:
        """The targets of a part's relationships by the last word of their types."""
        folder, name = posixpath.split(source)
        root = self.part(posixpath.join(folder, "_rels", f"{name}.rels"))
        targets: dict[str, str] = {}
        for relationship in root.iter(_RELATIONSHIP) if root is not None else ():
            if relationship.get("TargetMode") != "External":
                kind = relationship.get("Type", "").rsplit("/", 1)[-1]
                target = relationship.get("Target", "").replace("\\", "/")
                joined = posixpath.normpath(posixpath.join("/", folder, target))
                targets.setdefault(kind, joined.lstrip("/"))
        return targets

    def _read(self, entry: ZipInfo) -> bytes:
        if entry.flag_bits & 1:
            raise _locked(self.name)
        room = _MAX_XML_BYTES - self.unpacked
        try:
            with self.archive.open(entry) as stream:
                data = stream.read(room + 1)
        except (*_BROKEN, OSError) as error:
            if not _is_damage(error):
                raise
            raise _damaged(self.name, f"its part {entry.filename} is broken: {error}") from error
        if len(data) > room:
            raise _refused(self.name, f"unpacks to more than {_MAX_XML_BYTES:,} bytes of text")
        self.unpacked += len(data)
        return data

    def _parse(self, data: bytes, part: str) -> Element:
        from lxml import etree

        if any(doctype in data for doctype in _DOCTYPES):
            raise _refused(self.name, f"declares a document type, and so entities, in {part}")
        try:
            root = etree.fromstring(data, _parser())
            if b"//purl.oclc.org/ooxml/" in data:
                plain = etree.tostring(root, encoding="utf-8")
                root = etree.fromstring(_STRICT.sub(_TRANSITIONAL, plain), _parser())
        except etree.XMLSyntaxError as error:
            if "xcessive depth" in str(error):
                raise _refused(self.name, f"is nested too deep in {part}") from error
            raise _damaged(self.name, f"its part {part} is no XML: {error}") from error
        if root.getroottree().docinfo.doctype:
            raise _refused(self.name, f"declares a document type, and so entities, in {part}")
        return root


@contextmanager
def open_package(path: Path) -> Iterator[Package]:
    """The package at `path`, its limits checked; open inside the `with`.

    Raises EmptyDocumentError for 0 bytes, LockedDocumentError for an encrypted file,
    RefusedDocumentError for a zip bomb, DamagedDocumentError for what is no package,
    InputNotFoundError.
    """
    try:
        archive = ZipFile(path)
    except FileNotFoundError as error:
        raise InputNotFoundError(f"{path} is not there.", "Name an existing file.") from error
    except (*_BROKEN, OSError) as error:
        if not _is_damage(error):
            raise
        raise _not_a_package(path) from error
    with archive:
        entries = archive.infolist()
        _check_limits(path.name, entries)
        names = {entry.filename.replace("\\", "/").lstrip("/").lower(): entry for entry in entries}
        yield Package(path.name, archive, names)


def _is_damage(error: Exception) -> bool:
    """Whether the file is at fault: a seek to before its start is, a failing disk is not."""
    return not isinstance(error, OSError) or error.errno == errno.EINVAL


def _check_limits(name: str, entries: list[ZipInfo]) -> None:
    if len(entries) > _MAX_ENTRIES:
        raise _refused(name, f"holds {len(entries):,} parts, more than {_MAX_ENTRIES:,}")
    declared = sum(entry.file_size for entry in entries)
    if declared > _MAX_DECLARED_BYTES:
        raise _refused(name, f"unpacks to {declared:,} bytes, more than {_MAX_DECLARED_BYTES:,}")
    for entry in entries:
        is_xml = entry.filename.lower().endswith((".xml", ".rels"))
        counts = entry.file_size > _RATIO_FROM_BYTES[is_xml]
        if counts and entry.file_size > _MAX_RATIO * entry.compress_size:
            raise _refused(
                name,
                f"unpacks {entry.filename} from {entry.compress_size:,} to"
                f" {entry.file_size:,} bytes, more than {_MAX_RATIO} times",
            )


def _not_a_package(
    path: Path,
) -> EmptyDocumentError | LockedDocumentError | DamagedDocumentError:
    """Why a file that is no ZIP archive cannot be read."""
    size = path.stat().st_size
    if not size:
        return EmptyDocumentError(f"{path.name} has 0 bytes.", "Copy the file again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content[:8] != _COMPOUND_FILE:
            reason = "it is truncated" if content[:4] == b"PK\x03\x04" else "it is no ZIP archive"
            return _damaged(path.name, reason)
        if content.find("EncryptedPackage".encode("utf-16-le")) >= 0:
            return _locked(path.name)
    return _damaged(path.name, "it is of the binary format of Word 97 to 2003")


def _parser() -> Element:
    """A parser that resolves no entity, opens no other file and no address."""
    from lxml import etree

    return etree.XMLParser(
        resolve_entities=False,
        load_dtd=False,
        no_network=True,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )


def _damaged(name: str, reason: str) -> DamagedDocumentError:
    return DamagedDocumentError(f"{name} is no readable DOCX: {reason}.", _SAVE_AGAIN)


def _locked(name: str) -> LockedDocumentError:
    return LockedDocumentError(
        f"{name} is encrypted with a password.",
        "Save it without a password; passwords can be given for PDF only.",
    )


def _refused(name: str, reason: str) -> RefusedDocumentError:
    return RefusedDocumentError(
        f"{name} {reason}.", "If it comes from a source that you trust, save it again or split it."
    )
