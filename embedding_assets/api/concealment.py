"""Messages without what they tell of the machine: its folders and its passwords."""

import re
from collections.abc import Iterable
from pathlib import Path

_NAME = r"[^\s/'\"<>,;:()]*"
_PART = r"[^\s/'\"<>;()]+"
# A folder may have spaces, but for the first one: `/docs or a/b` is no path.
_FOLDERS = rf"{_PART}/(?:{_PART}(?: {_PART}){{0,4}}/)*"
_FILE = r"(?:(?i:file):(?://[^\s/'\"]*)?)"
_IN_QUOTES = re.compile(
    rf"(?P<q>['\"]){_FILE}?/(?:(?!(?P=q)).){{0,999}}/((?:(?!(?P=q))[^/])*)(?P=q)"
)
_PATTERNS = tuple(
    (re.compile(pattern), shown)
    for pattern, shown in (
        (rf"(?:{_FILE}|(?<![\w.:/]))/{_FOLDERS}({_NAME})", r"\1"),
        (r"(?:\b[A-Za-z]:|(?<![\w\\])\\)[\\/](?:[^\\\n'\"<>|]+\\)+([^\s\\'\"<>|,;:()]*)", r"\1"),
        (r"\b([\w+.-]{1,40}://)[^\s'\"]{0,999}@", r"\1"),
        (r"(?i)\b(password|passwd|pwd)=[^\s&'\"]+", r"\1=…"),
    )
)
_MOST = 4_000
_known: set[str] = set()


def conceal(folders: Iterable[str | Path]) -> None:
    """Let messages of this process name what is in these folders without them.

    They are taken as they are written, and as absolute paths; URLs are passed over.
    """
    given = [str(folder) for folder in folders if "://" not in str(folder)]
    absolute = [str(form) for each in given for form in (Path(each).absolute(), Path(each))]
    resolved = [str(Path(each).resolve()) for each in given]
    # A single word may be any word of a sentence.
    _known.update(each for each in (*absolute, *resolved) if each.strip("/").count("/") >= 1)


def public(text: str) -> str:
    """A message without the folders and passwords of the machine that it was made on."""
    # In quotes a path ends with them, whatever it holds.
    text = _IN_QUOTES.sub(r"\1\2\1", text[:_MOST])
    for folder in sorted(_known, key=len, reverse=True):
        if folder in text:
            text = _without(text, folder)
    for pattern, shown in _PATTERNS:
        text = pattern.sub(shown, text)
    return text


def _without(text: str, folder: str) -> str:
    """Files of a folder by their names, and the folder by its own."""
    known = rf"(?<![\w.-])(?:{_FILE})?{re.escape(folder)}"
    named = re.sub(rf"{known}/(?:{_PART}/)*(?=[^\s/])", "", text)
    # Not the beginning of another name, which may have spaces.
    alone = rf"{known}(?![\w-])(?!(?: [^\s/]+){{1,5}}/)"
    return re.sub(alone, lambda _: folder.rpartition("/")[2], named)
