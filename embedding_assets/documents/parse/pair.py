"""Pairs: the texts of a document in one file, the numbers of their pages in another."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_assets.documents.document import (
    Block,
    DamagedDocumentError,
    Document,
    EmptyDocumentError,
    Kind,
    Page,
    UnresolvedPageError,
)
from embedding_assets.errors import InputError, InputNotFoundError, UnreadableInputError

_HALF = re.compile(r"(?:pages_(?P<pages>.+)\.csv|texts_(?P<texts>.+)\.json)", re.DOTALL)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,10}")
_LARGEST_PAGE = 2**31 - 1
_TEXTS_MEND = 'It must hold a list of {"text": "…", "pages": ["<page id>", …]}.'
_PAGES_MEND = "It must hold the columns id and pg_num, one page in each row."


@dataclass(frozen=True)
class PairText:
    """A text of a pair. pages: the numbers of its pages, in the order in which it names them."""

    text: str
    pages: tuple[int, ...]


def find_pairs(folder: Path) -> list[str]:
    """The ids of the pairs in `folder`, sorted; of those too that lack one half."""
    found = (_HALF.fullmatch(entry.name) for entry in os.scandir(folder))
    return sorted({match["pages"] or match["texts"] for match in found if match})


def read_pair(folder: Path, doc_id: str) -> list[PairText]:
    """The texts of a pair in the order of their file, empty and repeated ones too.

    Page numbers are returned as given. Raises InputNotFoundError when a half is missing,
    EmptyDocumentError, DamagedDocumentError when one is not of the format, UnresolvedPageError
    when a text names a page that the page table lacks.
    """
    return _texts(*_halves(folder, doc_id))


def read_pair_document(folder: Path, doc_id: str) -> Document:
    """A pair as a document: a paragraph for each text that is not empty, ordered by page.

    The texts of a page keep the order of their file. Raises what `read_pair` raises.
    """
    pages, texts_path = _halves(folder, doc_id)
    texts = [text for text in _texts(pages, texts_path) if text.text.strip()]
    texts.sort(key=lambda text: sorted(text.pages))
    characters = dict.fromkeys(sorted(pages.values()), 0)
    for text in texts:
        for number in text.pages:
            characters[number] += len(text.text)
    return Document(
        format="pair",
        blocks=tuple(
            Block(Kind.PARAGRAPH, text.text, pages=tuple(sorted(text.pages))) for text in texts
        ),
        pages=tuple(Page(number, characters=count) for number, count in characters.items()),
    )


def _halves(folder: Path, doc_id: str) -> tuple[dict[str, int], Path]:
    """The page table of a pair, and where its texts are."""
    if not doc_id or os.path.basename(doc_id) != doc_id or "\0" in doc_id:
        raise InputError(
            f"{doc_id!r} is not the id of a pair.",
            "Give what stands between pages_ and .csv in the name of its page table.",
        )
    pages, texts = folder / f"pages_{doc_id}.csv", folder / f"texts_{doc_id}.json"
    missing = [path for path in (pages, texts) if not os.path.isfile(path)]
    if missing:
        names = " and ".join(path.name for path in missing)
        raise InputNotFoundError(
            f"{names} {'are' if len(missing) == 2 else 'is'} not in {folder}.",
            f"A pair needs both {pages.name} and {texts.name} in one folder.",
        )
    return _page_numbers(pages), texts


def _page_numbers(path: Path) -> dict[str, int]:
    """The number of each page by its id."""
    numbers: dict[str, int] = {}
    for line, page_id, number in _page_rows(path):
        if not _WHOLE_NUMBER.fullmatch(number) or abs(int(number)) > _LARGEST_PAGE:
            raise _damaged(path, f"line {line} has the page number {number!r}", _PAGES_MEND)
        if not page_id:
            raise _damaged(path, f"line {line} has no page id", _PAGES_MEND)
        if numbers.setdefault(page_id, int(number)) != int(number):
            problem = f"line {line} gives page {page_id} the number {number}, an earlier one "
            raise _damaged(path, f"{problem}{numbers[page_id]}", "Keep one row for each page.")
    return numbers


def _page_rows(path: Path) -> Iterator[tuple[int, str, str]]:
    """Line, id and number of each row."""
    try:
        text = _read(path).decode("utf-8-sig")
        rows = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
        columns = rows.fieldnames or []
        if not {"id", "pg_num"} <= set(columns):
            raise _damaged(path, f"it has the columns {', '.join(columns)}", _PAGES_MEND)
        for row in rows:
            yield rows.line_num, (row["id"] or "").strip(), (row["pg_num"] or "").strip()
    except UnicodeDecodeError as error:
        raise _damaged(path, f"it is not UTF-8 ({error})", "Save it as UTF-8.") from error
    except csv.Error as error:
        raise _damaged(path, f"line {rows.reader.line_num}: {error}", _PAGES_MEND) from error


def _texts(numbers: Mapping[str, int], path: Path) -> list[PairText]:
    try:
        entries = json.loads(_read(path))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"it is not JSON ({error})", _TEXTS_MEND) from error
    if not isinstance(entries, list):
        raise _damaged(path, f"it holds a {type(entries).__name__}, not a list", _TEXTS_MEND)
    return [
        _text(entry, numbers, f"{path}, entry {position}") for position, entry in enumerate(entries)
    ]


def _text(entry: Any, numbers: Mapping[str, int], place: str) -> PairText:
    """The text of one entry; `place` names it, counted from 0."""
    text = entry.get("text") if isinstance(entry, dict) else None
    pages = entry.get("pages") if isinstance(entry, dict) else None
    if not isinstance(text, str):
        raise DamagedDocumentError(f"{place} has no text.", _TEXTS_MEND)
    if not isinstance(pages, list) or not all(isinstance(page, str) for page in pages):
        raise DamagedDocumentError(f"{place} has no list of page ids.", _TEXTS_MEND)
    for page in pages:
        if page not in numbers:
            raise UnresolvedPageError(
                f"{place} names the page {page!r}, which the page table does not have.",
                "Add a row with its number to the page table, or export the pair again.",
            )
    readable = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return PairText(readable, tuple(dict.fromkeys(numbers[page] for page in pages)))


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"{path} vanished while it was read.", "Put it back, then run it again."
        ) from error
    except OSError as error:
        raise UnreadableInputError(
            f"{path} cannot be read: {error.strerror}.", "Change its permissions."
        ) from error
    if not content.strip():
        raise EmptyDocumentError(f"{path} is empty.", "Export the pair again.")
    return content


def _damaged(path: Path, problem: str, mend: str) -> DamagedDocumentError:
    return DamagedDocumentError(f"{path}: {problem}.", mend)
