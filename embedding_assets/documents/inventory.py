"""What the watched folder holds, so that only documents whose bytes changed are read again."""

import hashlib
import os
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from embedding_assets.documents.folder import FOLDER, DocumentFile, list_document_files
from embedding_assets.storage.slices import digest_of

DOCUMENT_INVENTORY_SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string()),
        pa.field("path", pa.string()),
        pa.field("format", pa.string()),
        pa.field("size", pa.int64()),
        pa.field("modified_ns", pa.int64()),
        pa.field("changed_ns", pa.int64()),
        pa.field("content_sha256", pa.string()),
        pa.field("error", pa.string()),
        pa.field("unsettled", pa.bool_()),
    ]
)
SETTLE_SECONDS = 2.0
_SECOND = 10**9


@dataclass(frozen=True)
class DocumentEntry:
    """One document as it was last seen; the fields of DocumentFile, and what its bytes are.

    content_sha256: of the bytes that were last read whole; "" before that. error: why they cannot
    be read now. unsettled: it is still being written, so the hash is that of what stood before.
    """

    doc_id: str
    path: str
    format: str
    size: int
    modified_ns: int
    changed_ns: int
    content_sha256: str = ""
    error: str | None = None
    unsettled: bool = False


@dataclass(frozen=True)
class Changes:
    """The doc_ids that came, changed their bytes, or went; each sorted."""

    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    deleted: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.new or self.changed or self.deleted)


@dataclass(frozen=True)
class DocumentInventory:
    """What the folder holds, by doc_id."""

    entries: tuple[DocumentEntry, ...] = ()

    @classmethod
    def from_table(cls, table: pa.Table) -> "DocumentInventory":
        """The inventory that `to_table` gave."""
        columns = (table.column(name).to_pylist() for name in DOCUMENT_INVENTORY_SCHEMA.names)
        return cls(tuple(map(DocumentEntry, *columns)))

    def to_table(self) -> pa.Table:
        """The same with DOCUMENT_INVENTORY_SCHEMA."""
        return pa.Table.from_pylist(
            [vars(entry) for entry in self.entries], DOCUMENT_INVENTORY_SCHEMA
        )

    @cached_property
    def contents(self) -> dict[str, str]:
        """The SHA-256 of each document's bytes by doc_id, of those that were ever read whole."""
        return {e.doc_id: e.content_sha256 for e in self.entries if e.content_sha256}

    @property
    def digest(self) -> str:
        """Changes whenever a file is touched, so that it is not read again, or its bytes change."""
        return digest_of("document_files", [tuple(vars(entry).values()) for entry in self.entries])

    @property
    def errors(self) -> dict[str, str]:
        """What cannot be read, by doc_id, with the reason; folders that cannot be listed too."""
        return {entry.doc_id: entry.error for entry in self.entries if entry.error}

    @property
    def unsettled(self) -> tuple[str, ...]:
        """The doc_ids that are to be looked at again soon: they are still being written."""
        return tuple(entry.doc_id for entry in self.entries if entry.unsettled)

    def changes(self, before: "DocumentInventory") -> Changes:
        """What to build and what to remove, when all of `before` was built.

        A document that cannot be read now, or is being written, counts as it last was.
        """
        now, then = self.contents, before.contents
        return Changes(
            new=tuple(sorted(now.keys() - then.keys())),
            changed=tuple(sorted(key for key in now if then.get(key, now[key]) != now[key])),
            deleted=tuple(sorted(then.keys() - now.keys())),
        )


def without_documents(
    rows: pa.RecordBatch | pa.Table, doc_ids: Container[str]
) -> pa.RecordBatch | pa.Table:
    """The rows of other documents (`doc_id`)."""
    ids = rows["doc_id"]
    gone = [doc_id for doc_id in pc.unique(ids).to_pylist() if doc_id in doc_ids]
    return rows.filter(pc.invert(pc.is_in(ids, pa.array(gone, pa.string())))) if gone else rows


def take_inventory(
    folder: Path,
    before: DocumentInventory = DocumentInventory(),
    settle_seconds: float = SETTLE_SECONDS,
    clock_ns: Callable[[], int] = time.time_ns,
    without: Container[str] = (),
) -> DocumentInventory:
    """What the folder holds now; files whose size and times are as in `before` are not read, and
    those whose doc_ids are in `without` are not even looked at.

    settle_seconds: a file that changed less long ago is left until it is complete. Documents in a
    folder that cannot be listed stay as they were.

    Raises InputNotFoundError, UnreadableInputError when the folder itself cannot be listed, so
    that nothing counts as deleted.
    """
    look = _Look(folder, settle_seconds, clock_ns)
    known = {entry.doc_id: entry for entry in before.entries if entry.doc_id not in without}
    files = [file for file in list_document_files(folder) if file.doc_id not in without]
    found = {file.doc_id: look.entry(file, known.get(file.doc_id)) for file in files}
    for unseen in (file for file in files if file.format == FOLDER and file.error):
        for entry in known.values():
            if entry.path.startswith(f"{unseen.path}/") and entry.doc_id not in found:
                found[entry.doc_id] = replace(entry, error=unseen.error)
    kept = (entry for entry in found.values() if entry is not None)
    return DocumentInventory(tuple(sorted(kept, key=lambda entry: entry.doc_id)))


@dataclass(frozen=True)
class _Look:
    """One look at the folder."""

    folder: Path
    settle_seconds: float
    clock_ns: Callable[[], int]

    def entry(self, file: DocumentFile, before: DocumentEntry | None) -> DocumentEntry | None:
        """The file's entry; None when it vanished meanwhile."""
        is_same = before is not None and _stamp(before) == _stamp(file)
        if before and is_same and not before.unsettled and before.error == file.error:
            return before
        seen = _seen(file, before)
        if file.error:
            return seen
        if not self._is_settled(file, is_same_again=is_same):
            return replace(seen, unsettled=True)
        try:
            content = _content(self.folder, file)
        except FileNotFoundError:
            return None
        except OSError as error:
            return replace(seen, error=f"It cannot be read: {error.strerror}.")
        if content is None:
            return replace(seen, unsettled=True)
        return replace(seen, content_sha256=content)

    def _is_settled(self, file: DocumentFile, *, is_same_again: bool) -> bool:
        """A time in the future says nothing; where no other is known two looks must do."""
        now = self.clock_ns()
        past = [moment for moment in (file.modified_ns, file.changed_ns) if moment <= now]
        if not past:
            return is_same_again
        return (now - max(past)) / _SECOND >= self.settle_seconds


def _seen(file: DocumentFile, before: DocumentEntry | None) -> DocumentEntry:
    return DocumentEntry(
        file.doc_id,
        file.path,
        file.format,
        file.size,
        file.modified_ns,
        file.changed_ns,
        before.content_sha256 if before else "",
        file.error,
    )


def _stamp(file: DocumentFile | DocumentEntry) -> tuple[str, int, int, int]:
    return file.path, file.size, file.modified_ns, file.changed_ns


def _content(folder: Path, file: DocumentFile) -> str | None:
    """SHA-256 of a document's bytes; None when they changed while they were read."""
    digests, states = [], []
    for part in file.parts:
        with open(os.path.join(folder, part), "rb", buffering=0) as opened:
            digests.append(hashlib.file_digest(opened, "sha256").hexdigest())
            states.append(os.fstat(opened.fileno()))
    size = sum(state.st_size for state in states)
    modified = max(state.st_mtime_ns for state in states)
    changed = max(state.st_ctime_ns for state in states)
    if (size, modified, changed) != (file.size, file.modified_ns, file.changed_ns):
        return None
    return digests[0] if len(digests) == 1 else digest_of(*digests)
