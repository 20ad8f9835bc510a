"""Lines as drafts of blocks: where a paragraph begins, and how its lines become one text."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from embedding_assets.documents.parse.pdf.lines import Item, Line
from embedding_assets.documents.parse.pdf.tables import Table
from embedding_assets.documents.parse.pdf.words import LINE_HYPHEN

BULLETS = "•‣◦▪▫●○■□►▸▶➢➤✓✔❖⁃∙·–—*\uf0b7\uf0a7\u25e6\uf0d8\uf0fc-"
MARKER = re.compile(
    rf"(?:[{re.escape(BULLETS)}]|\(?(?:\d{{1,3}}|[a-zA-Z]|[ivx]{{2,5}})[.)]|\(?(?:\d{{1,2}}\.)+\d{{1,2}}[.)]?)\s+(?=\S)"
)
_BULLET = re.compile(rf"[{re.escape(BULLETS)}]\s+(?=\S)")
TERMINAL = re.compile(r"[.!?:;。！？：؟۔।…][\"'”’»)\]]*\d{0,3}\s*$")
_UNSPACED = re.compile(
    "[\u2e80-\u9fff\uf900-\ufaff\uff00-\uff60\u3040-\u30ff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]"
)
_HANGUL = re.compile("[\uac00-\ud7a3]")
_WORD_END, _WORD_START = re.compile(r"\w+$"), re.compile(r"\w+")


@dataclass(slots=True)
class Draft:
    """Lines that belong together, or a table."""

    lines: list[Line] = field(default_factory=list)
    table: Table | None = None

    @property
    def size(self) -> float:
        """Of the letters, in points."""
        return sorted([line.size for line in self.lines])[len(self.lines) // 2]

    @property
    def bold(self) -> bool:
        """Whether all lines are."""
        return all(line.bold for line in self.lines)

    @property
    def mono(self) -> bool:
        """Whether all lines are."""
        return all(line.mono for line in self.lines)


def drafts(items: Sequence[Item]) -> list[Draft]:
    """The items of one page as drafts, in the same order."""
    pitch = _pitch(items)
    result: list[Draft] = []
    before: Line | None = None
    for item in items:
        if isinstance(item, Table):
            result.append(Draft(table=item))
            before = None
            continue
        if before is None or _begins(before, item, result[-1], pitch):
            result.append(Draft([item]))
        else:
            result[-1].lines.append(item)
        before = item
    return result


def _pitch(items: Sequence[Item]) -> float:
    """The usual distance from line to line on a page, in heights of the lines."""
    lines = [item for item in items if isinstance(item, Line)]
    steps = sorted(
        (below.middle - above.middle) / max(0.1, below.bottom - below.top)
        for above, below in zip(lines, lines[1:], strict=False)
        if below.top > above.middle
        and below.left < above.right
        and abs(below.size - above.size) < 0.5
    )
    return min(2.2, max(0.8, steps[len(steps) // 3])) if steps else 1.1


def _begins(before: Line, line: Line, draft: Draft, pitch: float) -> bool:
    """Whether `line` begins a new draft after `before`, the last line of `draft`."""
    if line.quarter != before.quarter or line.middle < before.middle + 0.3 * before.size:
        return True
    if line.left > before.right or line.right < before.left:
        return True
    height = max(0.1, min(line.bottom - line.top, before.bottom - before.top))
    step = (line.middle - before.middle) / height
    if step > 1.22 * pitch + 0.05 or not 0.9 < line.size / max(0.1, before.size) < 1.11:
        return True
    if line.mono != before.mono and (line.mono or draft.mono):
        return not _runs_on(before, line)
    if line.bold != before.bold and (draft.bold or line.bold) and not _runs_on(before, line):
        return True
    if line.bold and before.bold and draft.bold:
        return bool(MARKER.match(line.text))
    if _BULLET.match(line.text) and line.text[0] not in "-–—*·":
        return True
    if line.mono:
        return False
    return _begins_by_shape(before, line, draft)


def _begins_by_shape(before: Line, line: Line, draft: Draft) -> bool:
    """Whether marker, indent or the room left on the line before tell of a new paragraph."""
    em = line.size
    ended = bool(TERMINAL.search(before.text))
    first = draft.lines[0]
    marked = MARKER.match(first.text)
    if MARKER.match(line.text) and (ended or marked or _short(before, line)):
        return True
    centred = abs((line.left + line.right) - (before.left + before.right)) < em
    if centred and line.left > line.edges[0] + 2 * em:
        return False
    if not marked and line.left > before.left + 0.7 * em and len(draft.lines) > 1:
        return True
    if not marked and line.left > before.left + 0.7 * em and ended:
        return True
    if marked and line.left > line.edges[0] and line.left < first.left - 0.5 * em and ended:
        return True
    if ended:
        return _short(before, line)
    return _short(before, line) and not _continues(line)


def _short(before: Line, line: Line) -> bool:
    """Whether the next line's first word would have stood on the line before."""
    if _from_right(line.text):
        room = before.left - before.edges[0]
    else:
        room = before.edges[1] - before.right
    word = line.text.split(maxsplit=1)[0] if line.text.strip() else ""
    letter = (line.right - line.left) / max(1, len(line.text))
    return room > (len(word) + 1.5) * letter + 0.5 * line.size


def _from_right(text: str) -> bool:
    return any("\u0590" <= letter <= "\u08ff" for letter in text[:8])


def _runs_on(before: Line, line: Line) -> bool:
    return not _short(before, line) and not TERMINAL.search(before.text) and _continues(line)


def _continues(line: Line) -> bool:
    """Whether the text could not begin a sentence, as far as letters tell."""
    start = line.text.lstrip()[:1]
    return start.islower() or start in ",;)]”»"


def run_on(earlier: Draft, later: Draft) -> bool:
    """Whether `later`, in another column or on another page, ends a sentence of `earlier`."""
    if earlier.table or later.table or later.mono or earlier.mono:
        return False
    last, first = earlier.lines[-1], later.lines[0]
    if abs(earlier.size - later.size) > 0.06 * earlier.size or last.quarter != first.quarter:
        return False
    if last.bold or first.bold or TERMINAL.search(last.text) or MARKER.match(first.text):
        return False
    if last.text.rstrip().endswith(LINE_HYPHEN):
        return True
    narrow = last.edges[1] - last.edges[0] < 8 * last.size
    if narrow or last.right < last.edges[1] - 0.25 * (last.edges[1] - last.edges[0]):
        return False
    return _continues(first) or bool(_UNSPACED.match(first.text) or _HANGUL.match(first.text))


def text_of(lines: Sequence[Line], *, spaced_hangul: bool) -> str:
    """The lines as one text: words cut at a line's end whole, one space or none between lines.

    spaced_hangul: the document writes its spaces at the ends of lines, so that a Korean line
    without one was cut within a word.
    """
    text = lines[0].text
    for line in lines[1:]:
        text = _joined(text, line.text.lstrip(), spaced_hangul)
    return _tidy(text)


def code_of(lines: Sequence[Line]) -> str:
    """The lines one below the other, indented as on the page."""
    widths = [(line.right - line.left) / len(line.text) for line in lines if line.text.strip()]
    letter = median(widths) if widths else 1.0
    left = min(line.left for line in lines)
    shown = [
        " " * round((line.left - left) / max(letter, 0.1)) + line.text.rstrip() for line in lines
    ]
    return "\n".join(shown).replace(LINE_HYPHEN, "-")


def _joined(text: str, more: str, spaced_hangul: bool) -> str:
    bare = text.rstrip()
    if bare.endswith((LINE_HYPHEN, "\u00ad")):
        return bare[:-1] + _hyphen(bare[:-1], more) + more
    if bare.endswith(("-", "–", "—")) and bare[-2:-1].isalnum():
        return bare + more
    if bare.endswith("/") and "://" in bare.rsplit(maxsplit=1)[-1]:
        return bare + more
    if bare and more and _UNSPACED.match(bare[-1]) and _UNSPACED.match(more):
        return bare + more
    cut = spaced_hangul and _HANGUL.search(bare[-1:]) and _HANGUL.match(more)
    return bare + more if cut and text == bare else f"{bare} {more}"


def _hyphen(text: str, more: str) -> str:
    """The hyphen where it belongs to the word: before a capital or a figure, or where the word has
    another one."""
    before, after = _WORD_END.search(text), _WORD_START.match(more)
    if not before or not after:
        return "-"
    start = before[0][-1]
    kept = (
        after[0][0].isdigit() or start.isdigit() or (after[0][0].isupper() and not start.isupper())
    )
    return "-" if kept else ""


def _tidy(text: str) -> str:
    return " ".join(text.replace(LINE_HYPHEN, "-").replace("\u00ad", "").split())


def spaces_end_lines(lines: Iterator[Line]) -> bool:
    """Whether Korean lines of a document have spaces at their ends where words end there."""
    korean = [line.text for line in lines if _HANGUL.search(line.text[-2:])]
    return sum(text.endswith(" ") for text in korean) > 0.05 * len(korean)
