"""Names that are known, and where they stand in texts."""

import hashlib
import io
import os
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from embedding_assets.documents.entities.words import find_words
from embedding_assets.documents.own_files import csv_rows, label_in, own_files, readable
from embedding_assets.errors import InputNotFoundError, SchemaError, UnreadableInputError

Words: TypeAlias = tuple[str, ...]
_SHORT = 3
"""Letters up to which case counts: "IT" is a name, "it" is none."""
_MEND = 'Write a CSV file with the columns "name" and "label", or LABEL.txt with a name a line.'


@dataclass(frozen=True)
class Gazetteer:
    """Names by their words: how each is written, and its label.

    lengths: of names in words by their first one, the longest first. digest: of the files that
    they come from.
    """

    names: dict[Words, list[tuple[str, str]]]
    lengths: dict[str, list[int]]
    digest: str

    @classmethod
    def read(cls, path: Path) -> "Gazetteer":
        """The names of a file, or of all files in a folder: CSV with `name` and `label`, or text
        files called by the label, a name on each line.

        Raises InputNotFoundError, UnreadableInputError, SchemaError.
        """
        files = []
        for file in _files(path):
            with readable(file):
                files.append((file, file.read_bytes()))
        return _parsed(tuple(files))

    def matches(self, text: str) -> Iterator[tuple[int, int, str]]:
        """Where names begin and end, and their labels: the longest at each place, whatever their
        case; that of names up to three letters counts."""
        places = find_words(text)
        words = [_folded(text[start:end]) for start, end in places]
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
        self, text: str, words: Sequence[str], places: Sequence[tuple[int, int]], at: int
    ) -> tuple[int, str] | None:
        for count in self.lengths.get(words[at], ()):
            for name, label in self.names.get(tuple(words[at : at + count]), ()):
                written = text[places[at][0] : places[at + count - 1][1]]
                if len(name) > _SHORT or unicodedata.normalize("NFC", written) == name:
                    return count, label
        return None


@lru_cache(maxsize=2)
def _parsed(files: tuple[tuple[Path, bytes], ...]) -> Gazetteer:
    """The names in the content of files; of the same again what it was, as each look at what is to
    be done asks."""
    names: dict[Words, list[tuple[str, str]]] = {}
    lengths: dict[str, set[int]] = {}
    digest = hashlib.sha256()
    for file, content in files:
        digest.update(os.fsencode(file.name) + b"\0" + hashlib.sha256(content).digest())
        for given, label in _entries(file, content):
            name = unicodedata.normalize("NFC", given)
            words = tuple(_folded(name[start:end]) for start, end in find_words(name))
            if words:
                names.setdefault(words, []).append((name, label))
                lengths.setdefault(words[0], set()).add(len(words))
    longest_first = {word: sorted(each, reverse=True) for word, each in lengths.items()}
    return Gazetteer(names, longest_first, digest.hexdigest())


def _folded(word: str) -> str:
    """A word in one spelling, whatever its case and however its accents are stored."""
    return unicodedata.normalize("NFC", word.casefold())


def _files(path: Path) -> list[Path]:
    if os.path.isdir(path):
        return [each for each in own_files(path) if each.suffix.lower() in (".csv", ".txt")]
    if not os.path.isfile(path):
        raise InputNotFoundError(f"The gazetteer {path} does not exist.", _MEND)
    return [path]


def _entries(file: Path, content: bytes) -> Iterator[tuple[str, str]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableInputError(f"{file} cannot be read: {error}.", _MEND) from None
    if file.suffix.lower() != ".csv":
        label = label_in(file)
        lines = (line.strip() for line in io.StringIO(text))
        yield from ((line, label) for line in lines if line and line[0] != "#")
        return
    rows = csv_rows(io.StringIO(text, newline=""), file)
    head = next(rows, [])
    if not {"name", "label"} <= {*head}:
        raise SchemaError(f"{file} has the columns {head}.", _MEND)
    columns = head.index("name"), head.index("label")
    for fields in rows:
        if len(fields) > max(columns):
            name, label = (fields[column].strip() for column in columns)
            if name and label:
                yield name, label
