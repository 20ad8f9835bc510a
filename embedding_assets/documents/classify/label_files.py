"""Labelled texts and described categories out of files: tables, folders, lists of categories."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import yaml

from embedding_assets.documents.classify.label_tables import TABLES, read_table
from embedding_assets.documents.classify.labels import Category, LabelledRow
from embedding_assets.documents.own_files import is_about, is_own, is_whole, label_in, readable
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError
from embedding_assets.storage.slices import digest_of

READER_CODE = "2"
"""Changes whenever the same files would be read otherwise."""
LISTS = ("categories.yaml", "categories.yml", "categories.json")
_PLAIN = (".txt", ".md")
_MOST_BYTES = 4 * 8_000
"""Of a text file, as more of it is not learnt from: four bytes to the character."""
_DOCUMENTS_AT_ONCE = 256
_ANOTHER = "Put it there, or name another file."

ReadText = Callable[[Sequence[Path]], Mapping[Path, str]]
"""The texts of documents; those that cannot be read are left out."""


@dataclass(frozen=True)
class LabelFiles:
    """Where labelled texts and descriptions of categories are; either may be absent.

    labels: a table (CSV, TSV, Parquet, JSON Lines) with the columns "text" and "label" or
    "category"; or a folder with such tables, with one folder of documents per category, or with
    one text file per category that has a text on each line.
    categories: a YAML or JSON file with names and descriptions; a folder of labels may hold one as
    categories.yaml or categories.json.
    """

    labels: Path | None = None
    categories: Path | None = None

    def digest(self) -> str:
        """Changes whenever the content of a file does, or a file comes or goes."""
        return digest_of(READER_CODE, [(name, _sha256(path)) for name, path in self._files()])

    def signature(self) -> str:
        """Changes whenever a file appears, changes or goes; no file is read for it."""
        found = []
        for path in filter(None, (self.labels, self.categories)):
            files = sorted(path.rglob("*")) if os.path.isdir(path) else [path]
            found += [(str(file), *_stamp(file)) for file in files]
        return digest_of(found)

    def described(self) -> list[Category]:
        """The categories that are described. Raises InputError subclasses."""
        _require_there(self.categories, "classification.categories")
        path = self._list()
        return read_categories(path) if path else []

    def rows(self, read: ReadText) -> Iterator[LabelledRow]:
        """The labelled texts, one by one; without a text where a document cannot be read.

        read: gives the texts of documents in a folder, of some at a time.

        Raises InputNotFoundError, UnreadableInputError, SchemaError.
        """
        if self.labels is None:
            return
        _require_there(self.labels, "classification.labels")
        if os.path.isdir(self.labels):
            yield from _folder_rows(self.labels, read)
        else:
            yield from read_table(self.labels)

    def _list(self) -> Path | None:
        if self.categories is not None:
            return self.categories
        if self.labels is None:
            return None
        paths = (self.labels / name for name in LISTS)
        return next((path for path in paths if os.path.isfile(path)), None)

    def _files(self) -> list[tuple[str, Path]]:
        files = []
        if self.labels is not None and os.path.isdir(self.labels):
            seen = [p for p in _visible(self.labels) if p.parent != self.labels or not is_about(p)]
            files = [(p.relative_to(self.labels).as_posix(), p) for p in seen]
        elif self.labels is not None:
            files = [(self.labels.name, self.labels)]
        return [*files, *([("categories", self.categories)] if self.categories else [])]


def read_categories(path: Path) -> list[Category]:
    """The categories of a YAML or JSON file: a list of names, a mapping of names to descriptions,
    or a list of mappings with "name" and "description"; in YAML `No` and `007` are what they say.

    Raises InputNotFoundError, UnreadableInputError, SchemaError.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        is_json = path.suffix.lower() == ".json"
        # This loader makes nothing but text: the other ones read `No` as False, and 007 as 7.
        found = json.loads(text) if is_json else yaml.load(text, Loader=yaml.BaseLoader)
    except FileNotFoundError:
        raise InputNotFoundError(f"{path} does not exist.", _ANOTHER) from None
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}.", "Mend the file.") from error
    if isinstance(found, Mapping):
        pairs = [*found.items()]
    elif isinstance(found, list):
        pairs = [_pair(path, each) for each in found]
    else:
        raise _unlike(path)
    categories = [Category(_words(name), _said(said)) for name, said in pairs]
    if not all(each.name for each in categories):
        raise _unlike(path)
    if torn := next((each for each in categories if not is_whole(each.name + each.text)), None):
        raise UnreadableInputError(f"{path} has half a letter in {torn.name!r}.", "Mend the file.")
    return categories


def _pair(path: Path, entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, Mapping):
        if "name" not in entry:
            raise _unlike(path)
        return entry["name"], entry.get("description", "")
    if isinstance(entry, list):
        raise _unlike(path)
    return entry, ""


def _unlike(path: Path) -> SchemaError:
    return SchemaError(
        f"{path} is no list of categories.",
        "Write `name: description` for each, or a list of names.",
    )


def _words(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _said(description: Any) -> str:
    """A description; of YAML's words for nothing none."""
    words = _words(description)
    return "" if words in ("~", "null") else words


def _folder_rows(folder: Path, read: ReadText) -> Iterator[LabelledRow]:
    with readable(folder):
        entries = sorted(each for each in folder.iterdir() if is_own(each))
    for entry in entries:
        if os.path.isdir(entry):
            label = label_in(entry)
            yield from (LabelledRow(text, label) for text in _document_texts(entry, read))
        elif not os.path.isfile(entry) or entry.name in LISTS:
            continue
        elif entry.suffix.lower() in TABLES:
            yield from read_table(entry)
        elif entry.suffix.lower() in _PLAIN:
            label = label_in(entry)
            with readable(entry), entry.open(encoding="utf-8-sig", errors="replace") as file:
                yield from (LabelledRow(line, label) for line in file if line.strip())


def _document_texts(folder: Path, read: ReadText) -> Iterator[str | None]:
    others = []
    for file in _visible(folder):
        if file.suffix.lower() in _PLAIN:
            yield _beginning(file)
        else:
            others.append(file)
    for start in range(0, len(others), _DOCUMENTS_AT_ONCE):
        some = others[start : start + _DOCUMENTS_AT_ONCE]
        texts = read(some)
        yield from map(texts.get, some)


def _beginning(file: Path) -> str | None:
    """The beginning of a text file; None for one that may not be read, as for any document."""
    try:
        with file.open("rb") as opened:
            return opened.read(_MOST_BYTES).decode("utf-8", "ignore").removeprefix("\ufeff")
    except OSError:
        return None


def _require_there(path: Path | None, setting: str) -> None:
    if path is not None and not os.path.exists(path):
        raise InputNotFoundError(f"{path} does not exist.", f"Put it there, or mend {setting}.")


def _visible(folder: Path) -> list[Path]:
    parts = ((path, path.relative_to(folder).parts) for path in folder.rglob("*"))
    hidden = ((path, any(part.startswith(".") for part in names)) for path, names in parts)
    return sorted(path for path, is_hidden in hidden if not is_hidden and os.path.isfile(path))


def _sha256(path: Path) -> str | None:
    """Of a file's content; None for one that cannot be read."""
    try:
        with path.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _stamp(path: Path) -> tuple[int, int, int] | tuple[()]:
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
