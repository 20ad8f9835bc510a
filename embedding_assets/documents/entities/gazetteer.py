"""Names that are known, and where they stand in texts."""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from embedding_assets.documents.entities.words import find_words
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError

Words: TypeAlias = tuple[str, ...]
_SHORT = 3
"""Letters up to which case counts: "IT" is a name, "it" is none."""
_MEND = 'Write a CSV file with the columns "name" and "label", or LABEL.txt with a name a line.'


@dataclass(frozen=True)
class Gazetteer:
    """Names by their first word: the other words, how the name is written, and its label.

    digest: of the files that they come from.
    """

    names: dict[str, list[tuple[Words, str, str]]]
    digest: str

    @classmethod
    def read(cls, path: Path) -> "Gazetteer":
        """The names of a file, or of all files in a folder: CSV with `name` and `label`, or text
        files called by the label, a name on each line.

        Raises InputNotFoundError, UnreadableInputError, SchemaError.
        """
        names: dict[str, list[tuple[Words, str, str]]] = {}
        for file in _files(path):
            for name, label in _entries(file):
                words = tuple(name[start:end].casefold() for start, end in find_words(name))
                if words:
                    names.setdefault(words[0], []).append((words[1:], name, label))
        for known in names.values():
            known.sort(key=lambda each: -len(each[0]))
        return cls(names, gazetteer_digest(path))

    def matches(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where names begin and end, and their labels: the longest at each place, whatever their
        case; that of names up to three letters counts."""
        places = find_words(text)
        words = [text[start:end].casefold() for start, end in places]
        at = 0
        while at < len(words):
            found = self._longest(text, words, places, at)
            if found is None:
                at += 1
                continue
            count, label = found
            yield places[at][0], places[at + count - 1][1], label
            at += count

    def _longest(
        self, text: str, words: list[str], places: list[tuple[int, int]], at: int
    ) -> tuple[int, str] | None:
        for rest, name, label in self.names.get(words[at], ()):
            last = at + len(rest)
            if tuple(words[at + 1 : last + 1]) != rest:
                continue
            if len(name) > _SHORT or text[places[at][0] : places[last][1]] == name:
                return len(rest) + 1, label
        return None


def gazetteer_digest(path: Path) -> str:
    """SHA-256 (hex) over the names of the files and their content. Raises InputNotFoundError."""
    digest = hashlib.sha256()
    for file in _files(path):
        with file.open("rb") as content:
            inside = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file.name}\0{inside}\n".encode())
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return [each for each in sorted(path.iterdir()) if each.suffix in (".csv", ".txt")]
    if not path.is_file():
        raise InputNotFoundError(f"The gazetteer {path} does not exist.", _MEND)
    return [path]


def _entries(file: Path) -> Iterator[tuple[str, str]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as content:
            if file.suffix != ".csv":
                lines = (line.strip() for line in content)
                yield from ((line, file.stem) for line in lines if line and line[0] != "#")
                return
            rows = csv.DictReader(content)
            if not {"name", "label"} <= set(rows.fieldnames or ()):
                raise SchemaError(f"{file} has the columns {rows.fieldnames}.", _MEND)
            for row in rows:
                name, label = (row["name"] or "").strip(), (row["label"] or "").strip()
                if name and label:
                    yield name, label
    except (UnicodeDecodeError, csv.Error) as error:
        raise UnreadableInputError(f"{file} cannot be read: {error}.", _MEND) from None
