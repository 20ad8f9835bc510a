"""The documents in a watched folder, each with an id that comes from its path alone."""

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from embedding_assets.documents.reader import pair_id, pair_names, supported_suffixes
from embedding_assets.errors import InputNotFoundError, UnreadableInputError

PAIR, FOLDER = "pair", "folder"

_State: TypeAlias = os.stat_result | str

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_/-]*(?:\.[A-Za-z0-9_/-]+)*")
_MARKED = re.compile(
    r"""[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"%,*\[\\\]|~]"""
    r"|\.(?=\.\.)|(?<=\.\.)\.|(?<=\.)\.(?=\.)|\.\Z|\A[ -]| \Z"
)
"""Control characters, line ends and turns of direction; what tells keys apart in Dagster's command
line and page; a dot in a row of three or at the end, beside the `...` of a range."""
_LONGEST, _KEPT = 150, 100
"""Bytes of an id; of its readable part when it is longer and ends in a hash."""
_TEMPORARY = re.compile(r"\.|~\$|.*\.(?:tmp|part|partial|crdownload|download)\Z", re.I | re.S)
"""Names of what is hidden, of Office's locks, and of what is still being copied or downloaded, in
Safari's case a folder."""
_PIECE = re.compile(r"%[0-9A-F]{2}|.", re.S)
_MARK = "surrogatepass"
"""Names that are not UTF-8 hold lone surrogates; so they too are told apart."""


@dataclass(frozen=True)
class DocumentFile:
    """One document of the folder, from one file or a pair of them.

    path: below the folder, with `/`; of a pair that of its texts, whether they exist or not.
    format: the ending without its dot; `pair`; `folder` for one that cannot be listed.
    size: in bytes; modified_ns, changed_ns: the newest of its files, in nanoseconds since 1970;
    the latter is when the system last saw the content or the metadata change.
    error: why it cannot be read, known from the names alone; size and times are then 0.
    """

    doc_id: str
    path: str
    format: str
    size: int = 0
    modified_ns: int = 0
    changed_ns: int = 0
    error: str | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The files that it is made of, below the folder."""
        if self.format != PAIR:
            return (self.path,)
        folder, _, name = self.path.rpartition("/")
        return tuple(_below(folder, half) for half in pair_names(pair_id(name) or name))


def list_document_files(folder: Path) -> list[DocumentFile]:
    """The documents of a folder, searched in depth, by doc_id; of each id there is one.

    Left out: hidden and temporary files, folders that are links to others inside. Listed with an
    error: a pair of which a half is missing or whose id is taken, a link that leads out of the
    folder or nowhere, what is no regular file, a name that is not UTF-8, a folder that cannot be
    read. A file that is a link to another inside is a document of its own.

    Raises InputNotFoundError, UnreadableInputError when the folder itself cannot be listed.
    """
    if not folder.is_dir():
        raise InputNotFoundError(
            f"The folder of documents, {folder}, does not exist.",
            "Create it or set EMBEDDING_ASSETS_DOCUMENTS__SOURCE.",
        )
    halves: dict[tuple[str, str], dict[str, _State]] = {}
    singles = []
    for entry in _entries(folder):
        if pair := pair_id(entry.name):
            halves.setdefault((entry.folder, pair), {})[entry.name] = entry.state
        else:
            singles.append(_single(entry))
    files = {file.doc_id: file for file in singles}
    for (where, pair), found in sorted(halves.items()):
        file = _pair(where, pair, found)
        if file.doc_id in files:
            file = _collided(file, files[file.doc_id])
        files[file.doc_id] = file
    return sorted(files.values(), key=lambda file: file.doc_id)


def encoded_id(text: str) -> str:
    """The doc_id of a file's path below the folder, or of a pair's id; unlike for unlike texts.

    Characters that Dagster's command line cannot take are percent-encoded; a text that is long
    or not in Unicode's normal form C ends in a hash of itself behind a `~`, which no other has.
    """
    if len(text) <= _LONGEST and _PLAIN.fullmatch(text):
        return text
    normal = unicodedata.normalize("NFC", text)
    encoded = _MARKED.sub(_percent, normal)
    if normal == text and len(encoded.encode()) <= _LONGEST:
        return encoded
    digest = hashlib.sha256(text.encode("utf-8", _MARK)).hexdigest()[:32]
    return f"{_cut(normal)}~{digest}"


@dataclass(frozen=True)
class _Entry:
    """What stands where a document may be. state: its status, or why it cannot be read."""

    folder: str
    name: str
    state: _State

    @property
    def path(self) -> str:
        return _below(self.folder, self.name)


def _entries(root: Path) -> Iterator[_Entry]:
    suffixes, real = supported_suffixes(), os.path.join(os.path.realpath(root), "")
    waiting = [""]
    while waiting:
        where = waiting.pop()
        try:
            with os.scandir(os.path.join(root, where)) as entries:
                found = [entry for entry in entries if not _TEMPORARY.match(entry.name)]
        except FileNotFoundError:
            continue
        except OSError as error:
            if not where:
                raise UnreadableInputError(
                    f"The folder of documents, {root}, cannot be listed: {error.strerror}.",
                    "Check its permissions and the disk.",
                ) from error
            yield _Entry(where, "", f"The folder cannot be listed: {error.strerror}.")
            continue
        for entry in found:
            if entry.is_dir(follow_symlinks=False):
                waiting.append(_below(where, entry.name))
                continue
            ending = os.path.splitext(entry.name)[1].lower()
            is_document = ending in suffixes or pair_id(entry.name) is not None
            if state := _state(entry, real, is_document=is_document):
                yield _Entry(where, entry.name, state)


def _state(entry: "os.DirEntry[str]", real: str, *, is_document: bool) -> _State | None:
    """None for what is no document, or not one any more."""
    try:
        if entry.is_symlink():
            return _link_state(entry, real, is_document=is_document)
        return _regular(entry) if is_document else None
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"It cannot be examined: {error.strerror}."


def _link_state(entry: "os.DirEntry[str]", real: str, *, is_document: bool) -> _State | None:
    is_folder = entry.is_dir()
    if not (is_document or is_folder):
        return None
    if not os.path.join(os.path.realpath(entry.path), "").startswith(real):
        return "It is a link that leads out of the folder."
    if is_folder:
        return None
    return _regular(entry) if os.path.exists(entry.path) else "It is a link that leads nowhere."


def _regular(entry: "os.DirEntry[str]") -> _State:
    status = entry.stat()
    return status if stat.S_ISREG(status.st_mode) else "It is not a regular file."


def _single(entry: _Entry) -> DocumentFile:
    ending = os.path.splitext(entry.name)[1].lower()
    if ending not in supported_suffixes():
        return _file(f"{entry.path}/", entry.path, FOLDER, [entry.state])
    return _file(entry.path, entry.path, ending[1:], [entry.state])


def _pair(where: str, pair: str, found: dict[str, _State]) -> DocumentFile:
    names = pair_names(pair)
    states = [found.get(name, f"Its other half {name} is missing.") for name in names]
    return _file(pair, _below(where, names[0]), PAIR, states)


def _file(key: str, path: str, kind: str, states: Sequence[_State]) -> DocumentFile:
    doc_id = encoded_id(key)
    if not _is_unicode(path):
        shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return DocumentFile(doc_id, shown, kind, error="Its name is not UTF-8; rename it.")
    wrong = [state for state in states if isinstance(state, str)]
    if wrong:
        return DocumentFile(doc_id, path, kind, error=" ".join(wrong))
    known = [state for state in states if not isinstance(state, str)]
    size = sum(state.st_size for state in known)
    modified = max(state.st_mtime_ns for state in known)
    changed = max(state.st_ctime_ns for state in known)
    return DocumentFile(doc_id, path, kind, size, modified, changed)


def _collided(file: DocumentFile, other: DocumentFile) -> DocumentFile:
    """Under an id that no path has, because none begins with `./`, and no pair, because of `/`."""
    return DocumentFile(
        f"./{encoded_id(file.path)}",
        file.path,
        file.format,
        error=f"Its id {file.doc_id} is that of {other.path} already; rename the pair.",
    )


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder and name else folder or name


def _is_unicode(text: str) -> bool:
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", _MARK))


def _cut(text: str) -> str:
    """As much of `text`, encoded, as the readable part of an id may hold."""
    kept = ""
    for piece in _PIECE.findall(_MARKED.sub(_percent, text)):
        if len((kept + piece).encode()) > _KEPT:
            break
        kept += piece
    return kept
