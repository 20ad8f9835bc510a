"""Texts as words: where they are, how they are written, and where a sentence ends."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cache

_LAST_MARK = 0xFFFF
"""Of scripts in use today; behind it `re` would look at each mark one by one."""
# Blanks are looked at from their first one alone, so that a long row of them is read once.
_SENTENCE_END = re.compile(
    r"[.!?][\"'”’)\]]*\s++(?=[\"'“‘(\[]?[A-Z0-9])|\n\s*|(?:(?<!\s)\s++)?\|\s*"
)
_LONGEST_ABBREVIATION = len("approx")
_ABBREVIATION = re.compile(
    r"\b(?:[A-Za-z]|Mr|Mrs|Ms|Dr|St|No|Nos|Inc|Ltd|Co|Corp|vs|etc|e\.g|i\.e|Sec|Art|approx)\.\s+$"
)
SHAPES = 9
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,-'&$%#@/:()\"_+!?;€£"
_LETTER_IDS = {letter: place + 2 for place, letter in enumerate(LETTERS)}
UNKNOWN_LETTER = 1
LONGEST = 16
"""Letters of a word that are looked at: of longer ones the first and the last half of it."""


def find_words(text: str, start: int = 0, end: int | None = None) -> list[tuple[int, int]]:
    """Where the words of `text` between two places begin and end; marks, such as accents that are
    stored by themselves and the vowels of Devanagari, belong to the letter before them."""
    end = len(text) if end is None else end
    return [match.span() for match in _word().finditer(text, start, end)]


@cache
def _word() -> re.Pattern[str]:
    letters = map(chr, range(_LAST_MARK + 1))
    marks = "".join(each for each in letters if unicodedata.category(each) in ("Mn", "Mc"))
    return re.compile(
        r"\d+(?:[.,:/]\d+)*"  # 1,000.50  12:30  27/1/1999
        rf"|(?:[^\W\d_][{marks}]*\.){{2,}}"  # U.S.
        rf"|[^\W_]+(?:[{marks}]+[^\W_]*)*"
        r"|\S"
    )


def find_sentences(text: str) -> Iterator[tuple[int, int]]:
    """Where the sentences of `text` begin and end: at full stops before a capital, at line ends,
    and at the bars of a table; an entity never reaches across."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        before = max(start, match.start() - _LONGEST_ABBREVIATION)
        if text[match.start()] == "." and _ABBREVIATION.search(text, before, match.end()):
            continue
        if match.start() > start or match.end() > match.start():
            yield start, match.end()
        start = match.end()
    if start < len(text):
        yield start, len(text)


def shape(word: str) -> int:
    """How a word is written, 1 up to `SHAPES` - 1; 0 is left to padding."""
    word = unicodedata.normalize("NFC", word)
    has_letter = any(letter.isalpha() for letter in word)
    if any(letter.isdigit() for letter in word):
        return 1 if has_letter else 2
    if not has_letter:
        return 3
    if word.islower():
        return 4
    if word.isupper():
        return 5 if len(word) > 1 else 6
    return 7 if word[0].isupper() and word[1:].islower() else 8


def letter_ids(word: str) -> list[int]:
    """The letters of a word as numbers, their case kept and their accents left out."""
    if not word.isascii():
        word = unicodedata.normalize("NFKD", word)
        word = "".join(letter for letter in word if not unicodedata.combining(letter))
    if len(word) > LONGEST:
        word = word[: LONGEST // 2] + word[-LONGEST // 2 :]
    return [_LETTER_IDS.get(letter, UNKNOWN_LETTER) for letter in word]


def widened(spans: Sequence[tuple[int, int]], start: int, end: int) -> tuple[int, int] | None:
    """The first and one past the last of the words, ascending and apart, that share a character
    with a stretch of the text; None when no word does."""
    first = bisect_right(spans, start, key=lambda each: each[1])
    after = bisect_left(spans, end, key=lambda each: each[0])
    return (first, after) if first < after else None
