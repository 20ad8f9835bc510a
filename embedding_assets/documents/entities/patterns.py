"""Entities that follow a pattern: built-in ones, and those of the settings."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from embedding_assets.documents.entities.identifiers import is_iban, is_isin
from embedding_assets.errors import SettingsError

Check: TypeAlias = Callable[[str], bool]
Match: TypeAlias = tuple[int, int]
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_NUMBER = r"\d{1,3}(?:[,.' ]\d{3}){1,6}(?:[.,]\d{1,2})?|\d{1,15}(?:[.,]\d{1,4})?"
_SCALE = r"(?:(?:\s?(?:thousand|million|billion|trillion|bn|mn|m|k)|[MBK])\b)?"
_CODE = r"(?:USD|EUR|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN|CZK)"
_SIGN = r"(?:[A-Z]{0,2}\$|[€£¥₹])"
_CURRENCY = r"(?:euros?|dollars?|pounds?|francs?|yen|rupees?|cents?|pence)"
_IBAN = re.compile(
    r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"
)
_GROUP = "embedding_assets_entity"
_PLAIN_GROUP = re.compile(r"\\.|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]|\((?!\?)", re.DOTALL)
"""What is escaped, a class of letters, or the beginning of a group without a name."""


@dataclass(frozen=True)
class Pattern:
    """Finds entities of one label.

    name: by which it is switched on, and named as their source. check: what a match must pass.
    """

    name: str
    label: str
    find: Callable[[str], Iterator[Match]]
    check: Check | None = None

    def matches(self, text: str) -> Iterator[Match]:
        """Where in `text` they begin and end."""
        for start, end in self.find(text):
            if self.check is None or self.check(text[start:end]):
                yield start, end


def _built_in(
    name: str, label: str, expression: str, check: Check | None = None
) -> tuple[str, Pattern]:
    compiled = re.compile(expression)

    def find(text: str) -> Iterator[Match]:
        for match in compiled.finditer(text):
            yield match.span()

    return name, Pattern(name, label, find, check)


def _ibans(text: str) -> Iterator[Match]:
    """IBANs, behind which words in capitals may stand that look like more of them."""
    at = 0
    while match := _IBAN.search(text, at):
        start, end = match.span()
        at = text.find(" ", start, end) + 1 or end
        while end > start:
            if is_iban(text[start:end]):
                yield start, end
                at = end
                break
            end = text.rfind(" ", start, end)


# Each has bounded repeats, or repeats of letters that what follows cannot be: time grows with the
# length of the text alone.
PATTERNS: Mapping[str, Pattern] = dict(
    [
        _built_in(
            "money",
            "MONEY",
            rf"(?<![\w.,])(?:{_SIGN}\s?(?:{_NUMBER}){_SCALE}"
            rf"|{_CODE}\s?(?:{_NUMBER}){_SCALE}"
            rf"|(?:{_NUMBER}){_SCALE}\s?(?:{_CODE}\b|{_SIGN}(?!\d)|{_CURRENCY}\b))",
        ),
        _built_in(
            "date",
            "DATE",
            rf"(?<![\w/.-])(?:\d{{4}}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])"
            rf"|(?:0?[1-9]|[12]\d|3[01])[./](?:0?[1-9]|1[0-2])[./](?:19|20)\d{{2}}"
            rf"|(?:0?[1-9]|1[0-2])/(?:0?[1-9]|[12]\d|3[01])/(?:19|20)\d{{2}}"
            rf"|(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}\.?(?:,?\s(?:19|20)\d{{2}})?"
            rf"|{_MONTH}\.?\s(?:0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?(?:,?\s(?:19|20)\d{{2}})?"
            rf"|{_MONTH}\s(?:19|20)\d{{2}})(?!\w)",
        ),
        _built_in(
            "percent",
            "PERCENT",
            rf"(?<![\w.,])[-+−]?(?:{_NUMBER})\s?(?:%|‰|per ?cent\b|percentage points?\b)",
        ),
        _built_in(
            "email",
            "EMAIL",
            r"(?<![\w.+%-])[A-Za-z0-9_%+-]{1,64}(?:\.[A-Za-z0-9_%+-]{1,64}){0,4}"
            r"@(?:[A-Za-z0-9-]{1,63}\.){1,5}[A-Za-z]{2,24}(?![\w-])",
        ),
        _built_in("isin", "ISIN", r"(?<![A-Za-z0-9])[A-Z]{2}[A-Z0-9]{9}\d(?![A-Za-z0-9])", is_isin),
        ("iban", Pattern("iban", "IBAN", _ibans)),
        _built_in(
            "url", "URL", r"(?<!\w)(?:https?://|www\.)[^\s<>\"'()\[\]{}|]{3,500}(?<![.,;:!?])"
        ),
    ]
)
"""Patterns that can be switched on by name."""


def built_in_patterns(names: Sequence[str]) -> tuple[Pattern, ...]:
    """The patterns of that name. Raises SettingsError for a name that there is not."""
    unknown = [name for name in names if name not in PATTERNS]
    if unknown:
        raise SettingsError(
            f"entities.patterns names {unknown[0]!r}, which is no built-in pattern.",
            f"There are {', '.join(PATTERNS)}; your own go to entities.expressions.",
        )
    return tuple(PATTERNS[name] for name in dict.fromkeys(names))


def own_pattern(label: str, expression: str) -> Pattern:
    """A pattern by a regular expression in RE2's syntax, which has no way to run away: its time
    grows with the length of the text alone (Cox 2010, Regular expression matching in the wild).

    Raises SettingsError when it cannot be read, or matches the empty text.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    wrapped = f"(?P<{_GROUP}>{_PLAIN_GROUP.sub(_uncaptured, expression)})"
    try:
        is_empty = pc.extract_regex_span(pa.array([""]), wrapped)[0].is_valid
    except pa.ArrowInvalid as error:
        raise SettingsError(
            f"The expression {expression!r} of {label!r} in entities.expressions cannot be read: "
            f"{str(error).splitlines()[0]}.",
            "Write it in RE2's syntax: no look-around, no back references, groups closed.",
        ) from None
    if is_empty:
        raise SettingsError(
            f"The expression {expression!r} of {label!r} in entities.expressions matches an empty "
            "text.",
            "Ask for at least one letter, for example + instead of *.",
        )

    # A later match is looked for from the letter before it, so that \b and ^ mean what they say.
    later = rf"\A(?s:.)(?s:.*?){wrapped}"

    def find(text: str) -> Iterator[Match]:
        content = text.encode("utf-8", "replace")
        held, letters = pa.py_buffer(content), _Letters(content)
        at = before = 0
        while at < len(content):
            ends = pa.py_buffer(np.array([before, len(content)], dtype=np.int32))
            rest = pa.Array.from_buffers(pa.string(), 1, [None, ends, held])  # nothing is copied
            found = pc.extract_regex_span(rest, later if at else wrapped)[0]
            if not found.is_valid:
                return
            first, length = found[_GROUP].as_py()
            start, at = before + first, before + first + max(1, length)
            before = start + length - 1 if length else start
            while content[before : before + 1] and content[before] & 0xC0 == 0x80:
                before -= 1  # to where the last letter begins
            if length:
                yield letters.before(start), letters.before(start + length)

    return Pattern(label, label, find)


def _uncaptured(found: re.Match[str]) -> str:
    """A group that only groups, for one that would be numbered: Arrow takes named ones alone."""
    return "(?:" if found[0] == "(" else found[0]


class _Letters:
    """How many letters stand before places in UTF-8, which are asked for in their order."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._place = self._letters = 0

    def before(self, place: int) -> int:
        self._letters += len(self._content[self._place : place].decode())
        self._place = place
        return self._letters
