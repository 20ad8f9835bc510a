"""What people are told, without the secrets that an error's text may hold."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

Severity = Literal["info", "warning", "error"]
_MOST = 4_000
_MOST_TITLE = 200
_MOST_FACTS = 50
_NAMES = r"pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|credentials?|sig(?:nature)?"
_SECRET_NAME = re.compile(rf"(?i)(?:^|[_.-])(?:{_NAMES}|authorization)$")
_PATTERNS = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (r"\b([\w+.-]{1,40}://)[^\s'\"/]{0,999}@", r"\1…@"),
        (r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}", r"\1 …"),
        (r"\bea_[\w-]{43}", "ea_…"),
        (rf"(?i)((?:\b|_)(?:{_NAMES})\\?['\"]?\s*[:=]\s*)\\?(['\"]?)[^\s&'\",;}}]+", r"\1\2…"),
    )
)


@dataclass(frozen=True)
class Alert:
    """One piece of news. kind: a word that machines go by (`run_failed`); title: one line;
    text: what is wrong and what to do; facts: names and numbers for machines.

    Alerts of one kind, title and severity tell of the same thing: they are not sent each time it
    happens. What turns from a warning into an error is news.
    """

    kind: str
    title: str
    text: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"

    @property
    def key(self) -> str:
        """The same for alerts of the same thing; says nothing of it by itself."""
        return sha256(f"{self.kind}\n{self.severity}\n{self.title}".encode()).hexdigest()[:32]

    def shown(self, secrets: Iterable[str] = ()) -> "Alert":
        """The alert as it may leave this machine: passwords and keys are struck out, long texts
        cut, facts plain. secrets: values that are struck out wherever they stand."""
        hidden = sorted((each for each in secrets if len(each) >= 4), key=len, reverse=True)
        facts = _plain_facts(self.facts, hidden, 0)
        title = " ".join(_struck(self.title, hidden).split())
        title = title if len(title) <= _MOST_TITLE else f"{title[: _MOST_TITLE - 1]}…"
        return Alert(self.kind, title, _struck(self.text, hidden), facts, self.severity)


def _plain_facts(facts: Mapping[Any, Any], hidden: list[str], depth: int) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for name, value in list(facts.items())[:_MOST_FACTS]:
        secret = _SECRET_NAME.search(str(name))
        plain[_struck(str(name), hidden)] = "…" if secret else _plain(value, hidden, depth)
    return plain


def _plain(value: object, hidden: list[str], depth: int) -> object:
    """A fact as JSON can hold it."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if abs(value) <= 1e308 else str(value)  # JSON has neither NaN nor infinity
    if depth < 4 and isinstance(value, Mapping):
        return _plain_facts(value, hidden, depth + 1)
    if depth < 4 and isinstance(value, list | tuple | set | frozenset):
        return [_plain(each, hidden, depth + 1) for each in list(value)[:_MOST_FACTS]]
    return _struck(str(value), hidden)


def _struck(text: str, hidden: list[str]) -> str:
    text = text.encode(errors="replace").decode()  # half a character, as a broken file may give
    for secret in hidden:
        text = text.replace(secret, "…")
    text = text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text
