"""Labelled words in columns, one a line, as CoNLL files have them."""

from collections import Counter
from collections.abc import Container, Iterator
from pathlib import Path

from embedding_assets.documents.entities.labelled import Example, spans_of_tags, split_tag
from embedding_assets.errors import InputNotFoundError, UnreadableInputError

_LONGEST_LINE = 1_000_000
_MOST_WORDS = 1_000
"""Of a sentence: a file without empty lines is cut."""
_CONLLU_COLUMNS = 10
_COLUMNS = "Put a word and its tag on each line: `Acme B-ORG`, parted by a tab or a space."


def read_columns(path: Path, notes: Counter[str]) -> Iterator[Example]:
    """The sentences of a file with a word on each line: the first column is the word, the last one
    its tag in BIO, IO, BIOES or BILOU; empty lines part sentences, comments and `-DOCSTART-` too.
    A line like `#acme ORG` is a word where a word before had that tag in as many columns; else it
    is a comment, and counted in `notes`.

    Raises InputNotFoundError, UnreadableInputError naming the line.
    """
    words: list[str] = []
    tags: list[str] = []
    known: set[tuple[int, str]] = set()
    is_conllu = path.suffix.lower() == ".conllu"
    for number, line in _lines(path):
        parts = line.split("\t") if "\t" in line else line.split(" ")
        if is_conllu and len(parts) == _CONLLU_COLUMNS and parts[0][:1].isdigit():
            raise UnreadableInputError(
                f"Line {number} of {path} is CoNLL-U, which has no column of entities.", _COLUMNS
            )
        parts = [part for part in parts if part]
        if not parts or parts[0] == "-DOCSTART-" or _is_comment(parts, known, notes):
            yield from _example(words, tags)
            words, tags = [], []
            continue
        if len(parts) == 1:
            raise UnreadableInputError(
                f"Line {number} of {path} has one column: {line[:80]!r}.", _COLUMNS
            )
        words.append(parts[0])
        tags.append(parts[-1])
        known.add((len(parts), parts[-1]))
        if len(words) == _MOST_WORDS:
            notes[f"sentences cut after {_MOST_WORDS} words"] += 1
            yield from _example(words, tags)
            words, tags = [], []
    yield from _example(words, tags)


def _example(words: list[str], tags: list[str]) -> Iterator[Example]:
    if words:
        yield Example(tuple(words), tuple(spans_of_tags(tags)))


def _is_comment(parts: list[str], known: Container[tuple[int, str]], notes: Counter[str]) -> bool:
    """Whether a line that begins with `#` is no word: its last column is then no tag.

    known: how many columns and which tag the words before it had.
    """
    if not parts[0].startswith("#"):
        return False
    prefix, name = split_tag(parts[-1])
    is_bare = prefix != "O" and parts[-1] == name
    if parts[0] == "#" or len(parts) == 1:
        return is_bare or len(parts) == 1
    if not is_bare or (len(parts), name) in known:
        return False
    notes["lines like `#word LABEL` taken for comments"] += 1
    return True


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if len(line) == _LONGEST_LINE:
                    raise UnreadableInputError(
                        f"Line {number} of {path} is longer than {_LONGEST_LINE:,} letters.",
                        _COLUMNS,
                    )
                yield number, line.strip("\r\n \t")
    except FileNotFoundError:
        raise InputNotFoundError(f"{path} does not exist.", "Name a file that does.") from None
    except UnicodeDecodeError as error:
        raise UnreadableInputError(
            f"{path} is no UTF-8 text: {error.reason}.", "Save it as UTF-8."
        ) from None
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}.", "Name a file.") from error
