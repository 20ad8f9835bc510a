"""Labelled texts and described categories out of files: tables, folders, lists of categories."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from embedding_assets.documents.classify.labels import Category, LabelledRow
from embedding_assets.errors import (
    InputNotFoundError,
    SchemaError,
    UnreadableInputError,
)
from embedding_assets.storage.slices import digest_of

TABLES = (".csv", ".tsv", ".parquet", ".jsonl")
LISTS = ("categories.yaml", "categories.yml", "categories.json")
_TEXT, _LABELS = "text", ("label", "category")
_PLAIN = (".txt", ".md")
_MOST_BYTES = 4 * 8_000
"""Of a text file, as more of it is not learnt from: four bytes to the character."""
_LONGEST_FIELD = 2**24
_BATCH_ROWS = 2_048
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
        return digest_of([(name, _sha256(path)) for name, path in self._files()])

    def signature(self) -> str:
        """Changes whenever a file appears, changes or goes; no file is read for it."""
        found = []
        for path in (self.labels, self.categories):
            files = sorted(path.rglob("*")) if path and path.is_dir() else [path] if path else []
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
        if self.labels.is_dir():
            yield from _folder_rows(self.labels, read)
        else:
            yield from read_table(self.labels)

    def _list(self) -> Path | None:
        if self.categories is not None:
            return self.categories
        if self.labels is None or not self.labels.is_dir():
            return None
        return next((path for name in LISTS if (path := self.labels / name).is_file()), None)

    def _files(self) -> list[tuple[str, Path]]:
        files = []
        if self.labels is not None and self.labels.is_dir():
            files = [(p.relative_to(self.labels).as_posix(), p) for p in _visible(self.labels)]
        elif self.labels is not None:
            files = [(self.labels.name, self.labels)]
        return [*files, *([("categories", self.categories)] if self.categories else [])]


def read_table(path: Path) -> Iterator[LabelledRow]:
    """The rows of a table, read just ahead of their use.

    Raises InputNotFoundError, UnreadableInputError, SchemaError naming the missing column.
    """
    readers = {
        ".parquet": _parquet_rows,
        ".jsonl": _json_rows,
        ".csv": _csv_rows,
        ".tsv": _csv_rows,
    }
    if not path.exists():
        raise InputNotFoundError(f"{path} does not exist.", _ANOTHER)
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UnreadableInputError(
            f"{path} is no table of labelled texts.",
            f"Name a file that ends in {', '.join(TABLES)}.",
        )
    try:
        yield from reader(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error}.", "Write it anew, as UTF-8 where it is text."
        ) from error


def read_categories(path: Path) -> list[Category]:
    """The categories of a YAML or JSON file: a list of names, a mapping of names to descriptions,
    or a list of mappings with "name" and "description".

    Raises InputNotFoundError, UnreadableInputError, SchemaError.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        found = json.loads(text) if path.suffix.lower() == ".json" else yaml.safe_load(text)
    except FileNotFoundError:
        raise InputNotFoundError(f"{path} does not exist.", _ANOTHER) from None
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}.", "Mend the file.") from error
    if isinstance(found, Mapping):
        pairs = [*found.items()]
    elif isinstance(found, list):
        pairs = [_pair(path, each) for each in found]
    else:
        raise _unlike(path)
    categories = [Category(_words(name), _words(said)) for name, said in pairs]
    if not all(each.name for each in categories):
        raise _unlike(path)
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


def _parquet_rows(path: Path) -> Iterator[LabelledRow]:
    with pq.ParquetFile(path) as file:
        label = _label_column(path, file.schema_arrow.names)
        for batch in file.iter_batches(_BATCH_ROWS, columns=[_TEXT, label]):
            pairs = zip(batch[_TEXT].to_pylist(), batch[label].to_pylist(), strict=True)
            yield from (_row(text, name) for text, name in pairs)


def _json_rows(path: Path) -> Iterator[LabelledRow]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                entry = json.loads(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            if not isinstance(entry, dict):
                raise ValueError(f"line {number} is no object")
            label = _label_column(path, [*entry], f" in line {number}")
            yield _row(entry[_TEXT], entry[label])


def _csv_rows(path: Path) -> Iterator[LabelledRow]:
    csv.field_size_limit(_LONGEST_FIELD)
    with path.open(encoding="utf-8-sig", newline="") as file:
        head = file.readline()
        file.seek(0)
        delimiter = max(",;\t|", key=head.count)
        reader = csv.reader(file, delimiter=delimiter)
        try:
            names = [name.strip().lower() for name in next(reader, [])]
            label = names.index(_label_column(path, names))
            text = names.index(_TEXT)
            for fields in reader:
                if len(fields) > len(names):
                    raise UnreadableInputError(
                        f"Line {reader.line_num} of {path} has {len(fields)} fields, not "
                        f"{len(names)}.",
                        f"Put quotes around texts with {delimiter!r}.",
                    )
                if fields:
                    yield LabelledRow(
                        *(fields[at] if at < len(fields) else None for at in (text, label))
                    )
        except csv.Error as error:
            raise ValueError(f"line {reader.line_num}: {error}") from None


def _row(text: Any, label: Any) -> LabelledRow:
    return LabelledRow(*(None if each is None else str(each) for each in (text, label)))


def _label_column(path: Path, names: Sequence[str], where: str = "") -> str:
    label = next((name for name in _LABELS if name in names), None)
    if _TEXT not in names or label is None:
        lacks = _TEXT if _TEXT not in names else "label"
        raise SchemaError(
            f'{path} has no column "{lacks}"{where}.',
            'It needs the columns "text" and "label" (or "category").',
        )
    return label


def _folder_rows(folder: Path, read: ReadText) -> Iterator[LabelledRow]:
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name in LISTS:
            continue
        if entry.is_dir():
            yield from (LabelledRow(text, entry.name) for text in _document_texts(entry, read))
        elif entry.suffix.lower() in TABLES:
            yield from read_table(entry)
        elif entry.suffix.lower() in _PLAIN:
            with entry.open(encoding="utf-8-sig", errors="replace") as file:
                yield from (LabelledRow(line, entry.stem) for line in file if line.strip())


def _document_texts(folder: Path, read: ReadText) -> Iterator[str | None]:
    others = []
    for file in _visible(folder):
        if file.suffix.lower() in _PLAIN:
            with file.open("rb") as opened:
                yield opened.read(_MOST_BYTES).decode("utf-8", "ignore").removeprefix("\ufeff")
        else:
            others.append(file)
    for start in range(0, len(others), _DOCUMENTS_AT_ONCE):
        some = others[start : start + _DOCUMENTS_AT_ONCE]
        texts = read(some)
        yield from map(texts.get, some)


def _require_there(path: Path | None, setting: str) -> None:
    if path is not None and not path.exists():
        raise InputNotFoundError(f"{path} does not exist.", f"Put it there, or mend {setting}.")


def _visible(folder: Path) -> list[Path]:
    parts = ((path, path.relative_to(folder).parts) for path in folder.rglob("*"))
    hidden = ((path, any(part.startswith(".") for part in names)) for path, names in parts)
    return sorted(path for path, is_hidden in hidden if not is_hidden and path.is_file())


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
    except FileNotFoundError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns
