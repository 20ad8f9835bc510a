"""Texts as terms that a keyword search compares: folded words of any script, then their stems."""

import re
import unicodedata
from functools import cache
from itertools import pairwise

import Stemmer

ANALYZER_VERSION = "folded words, whole codes, unspaced pairs, English stems, 1"
"""Stands in every saved index: change it with anything that changes a term."""

STOP_WORDS = frozenset(
    """a about above after again against all am an and any are as at be because been before being
    below between both but by can could did do does doing don down during each few for from further
    had has have having he her here hers herself him himself his how i if in into is it its itself
    just me more most my myself no nor not now of off on once only or other ought our ours ourselves
    out over own s same she should so some such t than that the their theirs them themselves then
    there these they this those through to too under until up very was we were what when where which
    while who whom why will with would you your yours yourself yourselves""".split()
)
"""Snowball's English list, with what is left of its contractions."""

_LONGEST = 64
_ASCII_SPACED = {code: " " for code in range(128) if not chr(code).isalnum()}
_JOINT = "[-./]"
_DIGIT = re.compile(r"\d")
UNSPACED = re.compile(
    "[\u3005\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3100-\u312f\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Thai, Lao, Burmese, Khmer, kana, bopomofo, Han; and Hangul, whose words carry their particles."""
_DROPPED = re.compile(
    "[\u00ad\u0300-\u036f\u0591-\u05c7\u0640\u064b-\u065f\u0670\u200b-\u200d\u2060\ufeff]"
)
"""Soft hyphens, accents, Hebrew and Arabic points, tatweel, and what has no width."""


def words(text: str) -> list[str]:
    """The words of `text`, folded: compatibility forms, case and accents are gone.

    Parts of hyphenated words and codes are words; one with a digit, such as APP_29786 or 3.14,
    is a word as a whole too. Scripts without spaces give each character and each pair of them.
    """
    folded = _folded(text).replace("_", "-")
    if folded.isascii():
        return folded.translate(_ASCII_SPACED).split() + _codes(folded, r"\w")
    spaced = UNSPACED.sub(" ", folded)
    found = _patterns(letter())[0].findall(spaced) + _codes(spaced, letter())
    for run in UNSPACED.findall(folded):
        found += run
        found += map("".join, pairwise(run))
    return found


def terms(found: list[str]) -> list[str]:
    """What words are compared as: their English stems (Porter 2001, Snowball), cut when endless.

    Words of other languages keep their meaning: a stem stands for one word in texts and queries.
    """
    stems: list[str] = Stemmer.Stemmer("english", 0).stemWords([word[:_LONGEST] for word in found])
    return stems


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    bare = _DROPPED.sub("", unicodedata.normalize("NFKD", text).casefold())
    return unicodedata.normalize("NFC", bare)


def _codes(folded: str, letter: str) -> list[str]:
    """The joined words of `folded` that have a digit."""
    _, joint, joined = _patterns(letter)
    if not (_DIGIT.search(folded) and joint.search(folded)):
        return []
    return [each for each in joined.findall(folded) if _DIGIT.search(each)]


@cache
def _patterns(letter: str) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
    """A word, a joint in a word, a joined word; possessive, so that no text makes them go back."""
    return (
        re.compile(f"{letter}++"),
        re.compile(f"{_JOINT}(?<={letter}.){letter}"),
        re.compile(f"(?<!{letter}){letter}++(?:{_JOINT}{letter}++)+"),
    )


@cache
def letter() -> str:
    """A character of a word: what `\\w` knows and the marks it leaves out (vowels of Hindi).

    Marks beyond the basic plane are left out too: with them the pattern would be a list to go
    through, without them it is a table.
    """
    marks = (chr(code) for code in range(0x10000) if unicodedata.category(chr(code))[0] == "M")
    return rf"[\w{''.join(marks)}]"
