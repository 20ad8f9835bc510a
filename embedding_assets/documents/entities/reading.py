"""Labelled files of any kind, alone or in a folder."""

import hashlib
import os
from pathlib import Path

from embedding_assets.documents.entities.columns import read_columns
from embedding_assets.documents.entities.labelled import MOST_EXAMPLES, Collection, Labelled
from embedding_assets.documents.entities.marked import read_marked
from embedding_assets.documents.own_files import own_files, readable
from embedding_assets.errors import InputNotFoundError

READER_CODE = "3"
"""Changes whenever the same files would be read otherwise."""
_MARKED = {".json", ".jsonl", ".ndjson"}
_COLUMNS = {".txt", ".conll", ".conllu", ".bio", ".iob", ".tsv", ".annotated"}


def read_labelled(path: Path, most: int = MOST_EXAMPLES) -> Labelled:
    """The labelled sentences of a file, or of all files in a folder: JSON by its suffix, any other
    file in columns.

    most: of more sentences a fixed sample is kept.
    Raises InputNotFoundError, UnreadableInputError, SchemaError, EmptyInputError.
    """
    gathered = Collection(most)
    for file in labelled_files(path):
        read = read_marked if file.suffix.lower() in _MARKED else read_columns
        gathered.add(read(file, gathered.notes))
    return gathered.labelled(str(path))


def labelled_files(path: Path) -> list[Path]:
    """The file, or the labelled files of the folder by name.

    Raises InputNotFoundError, UnreadableInputError.
    """
    if not os.path.isdir(path):
        if not os.path.exists(path):
            raise InputNotFoundError(
                f"The labelled file {path} does not exist.",
                "Name a file or folder in CoNLL columns or JSON.",
            )
        return [path]
    files = [each for each in own_files(path) if each.suffix.lower() in _MARKED | _COLUMNS]
    if not files:
        raise InputNotFoundError(
            f"{path} holds no labelled file.",
            f"Put files there that end in {', '.join(sorted(_MARKED | _COLUMNS))}.",
        )
    return files


def labelled_digest(path: Path) -> str:
    """SHA-256 (hex) over the content of the labelled files.

    Raises InputNotFoundError, UnreadableInputError.
    """
    digest = hashlib.sha256(READER_CODE.encode())
    for file in labelled_files(path):
        with readable(file), file.open("rb") as content:
            inside = hashlib.file_digest(content, "sha256").hexdigest()
        digest.update(f"{file.suffix.lower()}\0{inside}\n".encode())
    return digest.hexdigest()
