"""The bullets and numbers of a DOCX, counted as Word counts them (ISO/IEC 29500-1, 17.9)."""

import re
from dataclasses import dataclass

from embedding_assets.documents.parse.docx_package import Element, W
from embedding_assets.documents.parse.docx_styles import flag, number, value
from embedding_assets.documents.parse.docx_symbols import bullet

_LEVELS = 9
_PLACE = re.compile(r"%([1-9])")
_ROMAN = tuple(
    zip(
        (1000, 900, 500, 400, 100, 90, 50, 40, 10, 9, 5, 4, 1),
        ("m", "cm", "d", "cd", "c", "xc", "l", "xl", "x", "ix", "v", "iv", "i"),
        strict=True,
    )
)


@dataclass(frozen=True)
class Marker:
    """What stands before a numbered paragraph; text "" where the level shows nothing."""

    text: str
    level: int
    is_bullet: bool


@dataclass(frozen=True)
class _Level:
    start: int = 1
    format: str = "decimal"
    text: str = ""
    style: str = ""
    restart: int | None = None
    is_legal: bool = False


class Numbering:
    """Counts the lists of one document; ask once per paragraph, in reading order."""

    def __init__(self, root: Element | None) -> None:
        abstracts = root.findall(f"{W}abstractNum") if root is not None else []
        numbers = root.findall(f"{W}num") if root is not None else []
        self._abstracts = _abstracts(abstracts)
        self._abstract_of = {
            num.get(f"{W}numId", ""): value(num, "abstractNumId") or "" for num in numbers
        }
        self._levels = {num.get(f"{W}numId", ""): self._levels_of(num) for num in numbers}
        self._restarts = {
            (num.get(f"{W}numId", ""), level): start
            for num in numbers
            for level, start in _start_overrides(num)
        }
        self._counts: dict[str, list[int | None]] = {}
        self._is_missing = root is None

    def level_of_style(self, numbering: str, style_id: str | None) -> int | None:
        """The level of a list that is tied to a paragraph style, None where none is."""
        levels = self._levels.get(numbering, {})
        tied = (level for level, it in levels.items() if style_id and it.style == style_id)
        return next(tied, None)

    def advance(self, numbering: str, level: int) -> Marker | None:
        """The marker of the next paragraph of a list; None where there is no such list.

        Where the document lost its lists altogether, it is a bullet without text.
        """
        level = min(max(level, 0), _LEVELS - 1)
        if self._is_missing:
            return Marker("", level, is_bullet=True)
        levels = self._levels.get(numbering)
        if levels is None:
            return None
        here = levels.get(level, _Level())
        counts = self._count(numbering, level)
        if here.format == "bullet":
            return Marker(bullet(here.text) or "•", level, is_bullet=True)
        if here.format == "none":
            return Marker(_PLACE.sub("", here.text).strip(), level, is_bullet=False)
        return Marker(_numbered(here, levels, counts), level, is_bullet=False)

    def _count(self, numbering: str, level: int) -> list[int | None]:
        """The counts of the list after one more paragraph at `level`.

        Lists of one definition go on from each other, unless told where to start again; a level
        that was skipped counts as begun, so that 2, 2.1.1 is followed by 2.2.
        """
        levels = self._levels[numbering]
        counts = self._counts.setdefault(self._abstract_of[numbering], [None] * _LEVELS)
        before, restart = counts[level], self._restarts.pop((numbering, level), None)
        if restart is not None or before is None:
            counts[level] = levels.get(level, _Level()).start if restart is None else restart
        else:
            counts[level] = before + 1
        for above in range(level):
            if counts[above] is None:
                counts[above] = levels.get(above, _Level()).start
        for deeper in range(level + 1, _LEVELS):
            restarts_after = levels.get(deeper, _Level()).restart
            if restarts_after is None or level < restarts_after:
                counts[deeper] = None
        return counts

    def _levels_of(self, num: Element) -> dict[int, _Level]:
        levels = dict(self._abstracts.get(value(num, "abstractNumId") or "", {}))
        for override in num.findall(f"{W}lvlOverride"):
            if (lvl := override.find(f"{W}lvl")) is not None:
                levels[number(override.get(f"{W}ilvl"))] = _level(lvl)
        return levels


def _abstracts(elements: list[Element]) -> dict[str, dict[int, _Level]]:
    """The levels of each definition; one that only names a list style takes that style's."""
    levels = {
        it.get(f"{W}abstractNumId", ""): {
            number(lvl.get(f"{W}ilvl")): _level(lvl) for lvl in it.findall(f"{W}lvl")
        }
        for it in elements
    }
    styles = {value(it, "styleLink"): it.get(f"{W}abstractNumId", "") for it in elements}
    for it in elements:
        link = value(it, "numStyleLink")
        if link and link in styles:
            levels[it.get(f"{W}abstractNumId", "")] = levels[styles[link]]
    return levels


def _level(element: Element) -> _Level:
    restart = value(element, "lvlRestart")
    return _Level(
        start=number(value(element, "start"), 1),
        format=value(element, "numFmt") or "decimal",
        text=value(element, "lvlText") or "",
        style=value(element, "pStyle") or "",
        restart=None if restart is None else number(restart),
        is_legal=flag(element, "isLgl") or False,
    )


def _start_overrides(num: Element) -> list[tuple[int, int]]:
    overrides = num.findall(f"{W}lvlOverride")
    starts = [(number(it.get(f"{W}ilvl")), value(it, "startOverride")) for it in overrides]
    return [(level, number(start)) for level, start in starts if start is not None]


def _numbered(here: _Level, levels: dict[int, _Level], counts: list[int | None]) -> str:
    def shown(match: re.Match[str]) -> str:
        level = int(match[1]) - 1
        its = levels.get(level, _Level())
        count = counts[level]
        return formatted(its.start if count is None else count, "" if here.is_legal else its.format)

    return _PLACE.sub(shown, here.text).strip()


def formatted(count: int, number_format: str) -> str:
    """A count in one of Word's number formats; decimal in those not known."""
    match number_format:
        case "lowerLetter" | "upperLetter" if 0 < count <= 26 * 30:
            letters = chr(ord("a") + (count - 1) % 26) * ((count - 1) // 26 + 1)
            return letters if number_format == "lowerLetter" else letters.upper()
        case "lowerRoman" | "upperRoman" if 0 < count < 4000:
            return _roman(count) if number_format == "lowerRoman" else _roman(count).upper()
        case "decimalZero":
            return f"{count:02}"
        case "none" | "bullet":
            return ""
        case _:
            return str(count)


def _roman(count: int) -> str:
    text = ""
    for size, letters in _ROMAN:
        times, count = divmod(count, size)
        text += letters * times
    return text
