"""Labelled collections: documents, queries, and which document answers which query how well."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from embedding_assets.errors import EmptyInputError, InputError, InputNotFoundError

Qrels: TypeAlias = dict[str, dict[str, int]]

_SMART_RECORD = re.compile(r"\.I\s+(\S+)\s*$")
_SMART_FIELD = re.compile(r"\.([A-Z])\s*$")


class CollectionError(InputError):
    """A labelled collection is malformed or contradicts itself."""


@dataclass(frozen=True)
class Collection:
    """Documents, queries and judgements under one name.

    documents: text by id, title first; may be empty. queries: text by id, judged ones alone.
    judgements: by query, the grade of each document that was judged; above 0 is relevant.
    Raises CollectionError when a judgement names an id that is not there, EmptyInputError when no
    query has a relevant document.
    """

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    judgements: Qrels

    def __post_init__(self) -> None:
        _require_known(self.name, "query", self.judgements, self.queries)
        for grades in self.judgements.values():
            _require_known(self.name, "document", grades, self.documents)
        judged = {
            query: grades
            for query, grades in self.judgements.items()
            if any(grade > 0 for grade in grades.values())
        }
        if not judged:
            raise EmptyInputError(
                f"No query of {self.name} has a relevant document.",
                "Give at least one judgement with a score above 0.",
            )
        object.__setattr__(self, "judgements", judged)
        object.__setattr__(self, "queries", {query: self.queries[query] for query in judged})


def load_collection(folder: Path) -> Collection:
    """The collection in `folder`, of either form.

    BEIR: `corpus.jsonl` (`_id`, `title`, `text`), `queries.jsonl` (`_id`, `text`), and `qrels.tsv`
    or `qrels/test.tsv` (`query-id`, `corpus-id`, `score`, with a header).
    SMART, as the Glasgow test collections: one file each with `.all`, `.qry`, and `.rel` or `qrel`
    in its name.
    Raises InputNotFoundError, CollectionError, EmptyInputError.
    """
    if not folder.is_dir():
        raise InputNotFoundError(
            f"{folder} is no folder.", "Name a folder with a labelled collection."
        )
    names = {path.name.lower(): path for path in folder.iterdir() if path.is_file()}
    if any(".all" in name for name in names):
        return _load_smart(folder, names)
    return _load_beir(folder)


def _load_beir(folder: Path) -> Collection:
    documents = _by_id(folder / "corpus.jsonl")
    queries = _by_id(folder / "queries.jsonl")
    qrels = folder / "qrels.tsv"
    path = qrels if qrels.exists() else folder / "qrels" / "test.tsv"
    return Collection(folder.name, documents, queries, _grouped(_beir_judgements(path)))


def _by_id(path: Path) -> dict[str, str]:
    texts: dict[str, str] = {}
    for number, row in _json_lines(path):
        name = _string(row, "_id", path, number)
        if name in texts:
            raise _malformed(path, number, f"the id {name!r} was given before")
        texts[name] = _titled(row.get("title"), _string(row, "text", path, number))
    return texts


def _beir_judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in _lines(path):
        fields = line.rstrip("\r\n").split("\t")
        if number == 1 and fields[0] == "query-id":
            continue
        try:
            query, document, grade = fields
            yield query, document, int(float(grade))
        except (ValueError, OverflowError) as error:
            raise CollectionError(
                f"Line {number} of {path} is {line.rstrip()!r}.",
                "Give query-id, corpus-id and a score, separated by tabs.",
            ) from error


def _load_smart(folder: Path, names: dict[str, Path]) -> Collection:
    documents = {
        record: _titled(" ".join(fields.get("T", "").split()), fields.get("W", ""))
        for record, fields in _smart_records(_only(folder, names, r"\.all"))
    }
    queries = {
        record: " ".join(fields.get("W", "").split())
        for record, fields in _smart_records(_only(folder, names, r"\.qry"))
    }
    judgements = _smart_judgements(_only(folder, names, r"\.rel$|qrel$|qrels\.text$"), [*queries])
    return Collection(folder.name, documents, queries, _grouped(judgements))


def _smart_records(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each record's id and its fields by letter; lines of a repeated field follow one another."""
    record, fields, letter = "", dict[str, str](), ""
    for number, line in _lines(path):
        if opening := _SMART_RECORD.match(line):
            if record:
                yield record, fields
            record, fields, letter = opening[1], {}, ""
        elif not record:
            raise CollectionError(
                f"Line {number} of {path} stands before the first record.", "Begin it with `.I 1`."
            )
        elif field := _SMART_FIELD.match(line):
            letter = field[1]
        else:
            fields[letter] = fields.get(letter, "") + line
    if record:
        yield record, fields


def _smart_judgements(path: Path, queries: list[str]) -> Iterator[tuple[str, str, int]]:
    """The judgements in a file of any of the three forms.

    `q d code` (Cranfield): code 1 is a complete answer and 4 of minimum interest, so that the grade
    is 5 - code; others are undefined. `q 0 d 1` (MED) and `q d 0 0.0` (CISI) have one grade.
    Query numbers are positions in the file of queries, whatever ids stand there.
    """
    for number, line in _lines(path):
        try:
            query, *rest = line.split()
            name = queries[_position(query)]
            match rest:
                case [document, code]:
                    if 1 <= int(code) <= 4:
                        yield name, document, 5 - int(code)
                case ["0", document, grade]:
                    yield name, document, int(grade)
                case [document, "0", _]:
                    yield name, document, 1
                case _:
                    raise ValueError("neither three nor four columns")
        except (ValueError, IndexError) as error:
            raise CollectionError(
                f"Line {number} of {path} is {line.rstrip()!r}, and there are {len(queries)} "
                f"queries: {error}.",
                "Give `query document code`, `query 0 document 1` or `query document 0 0.0`.",
            ) from error


def _position(number: str) -> int:
    if int(number) < 1:
        raise ValueError("queries are numbered from 1")
    return int(number) - 1


def _only(folder: Path, names: dict[str, Path], pattern: str) -> Path:
    found = [path for name, path in names.items() if re.search(pattern, name)]
    if len(found) != 1:
        raise InputNotFoundError(
            f"{folder} has {len(found)} files whose names match {pattern!r}, not one.",
            "Put one file each of documents, queries and judgements there.",
        )
    return found[0]


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _malformed(path, number, str(error)) from error
        if not isinstance(row, dict):
            raise _malformed(path, number, "it is no object")
        yield number, row


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of `path` that are not blank, with their numbers from 1."""
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError as error:
        raise InputNotFoundError(
            f"{path} does not exist.", "A collection has documents, queries and judgements."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CollectionError(f"{path} cannot be read: {error}.", "Give a UTF-8 file.") from error


def _string(row: dict[str, Any], key: str, path: Path, number: int) -> str:
    value = row.get(key)
    if isinstance(value, str):
        return value
    raise _malformed(path, number, f"{key!r} is {value!r}, not a string")


def _malformed(path: Path, number: int, why: str) -> CollectionError:
    return CollectionError(
        f"Line {number} of {path} cannot be used: {why}.",
        "Give one JSON object per line with the strings `_id` and `text`.",
    )


def _titled(title: Any, text: str) -> str:
    return f"{title}\n{text}".strip() if isinstance(title, str) and title else text.strip()


def _grouped(judgements: Iterable[tuple[str, str, int]]) -> Qrels:
    grouped: Qrels = {}
    for query, document, grade in judgements:
        grouped.setdefault(query, {})[document] = grade
    return grouped


def _require_known(name: str, kind: str, used: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(used) - set(known))
    if unknown:
        raise CollectionError(
            f"The judgements of {name} name {len(unknown)} unknown {kind} ids, "
            f"first {unknown[0]!r}.",
            f"Add each {kind} or remove its judgements.",
        )
