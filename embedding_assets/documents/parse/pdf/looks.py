"""How text is set: the way it runs, its size, bold, monospaced."""

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import repeat

import numpy as np

from embedding_assets.documents.parse.pdf.library import (
    Flags,
    Floats,
    Handle,
    Integers,
    functions,
    matrices,
)

SKEWED = 4
"""The quarter of text that runs along neither axis."""

_MONOSPACED = re.compile(r"mono|courier|consol|typewriter|lettergothic|code|cmtt|fixed|menlo", re.I)
_BOLD = re.compile(r"bold|black|heavy|demi|medi$|cmbx|sfbx|[a-z]TB\b|(^|[-,])BD?$|Bd\b", re.I)
_FIXED_PITCH, _FORCE_BOLD = 1, 1 << 18
_STROKED = 2


@dataclass(frozen=True)
class Looks:
    """Of n runs of text: quarters, int64 [n], quarter turns counter-clockwise from the reading
    direction or SKEWED; sizes, float32 [n], points; bold, mono: bool [n]."""

    quarters: Integers
    sizes: Floats
    bold: Flags
    mono: Flags


def read_looks(handle: Handle, first: list[int], last: list[int], turns: int) -> Looks:
    """The looks of runs by their first and last characters: bold and monospaced if both are; as
    large as the larger, since a run may begin or end with a raised figure or small capitals.

    turns: quarter turns clockwise with which the page is shown.
    """
    call = functions()
    drawn = list(map(call.text_object, repeat(handle), first + last))
    # One character stands for all that are drawn at once.
    sample = dict(zip(drawn, first + last, strict=True))
    numbers = {one: number for number, one in enumerate(sample)}
    which = np.array([numbers[one] for one in drawn]).reshape(2, -1)
    quarters, sizes = _postures(handle, list(sample.values()), turns)
    bold, mono = _styles(list(sample))
    return Looks(
        quarters[which[0]],
        sizes[which].max(axis=0),
        np.asarray(bold[which].all(axis=0)),
        np.asarray(mono[which].all(axis=0)),
    )


def _postures(handle: Handle, places: list[int], turns: int) -> tuple[Integers, Floats]:
    """For each character, the quarter in which its text runs and its size as shown."""
    sizes = np.fromiter(map(functions().font_size, repeat(handle), places), np.float32, len(places))
    a, b, c, d = matrices(handle, places).T[:4]
    scale = np.hypot(c, d)
    angles = np.arctan2(b, a) / (np.pi / 2) - turns
    quarters = np.rint(angles)
    skewed = np.abs(angles - quarters) > 0.1
    quarters = np.where(skewed, SKEWED, quarters.astype(np.int64) % 4)
    return quarters, np.abs(sizes) * np.where(scale > 0, scale, np.float32(1))


def _styles(drawn: list[Handle | None]) -> tuple[Flags, Flags]:
    """For each text object, whether it is bold and whether monospaced."""
    call = functions()
    used = list(map(call.font, drawn))
    fonts = {font: _font_style(font) for font in set(used)}
    styles = np.array([fonts[font] for font in used], np.bool_).reshape(-1, 2)
    stroked = np.fromiter(map(call.render_mode, drawn), np.int32, len(drawn)) == _STROKED
    return styles[:, 0] | stroked, styles[:, 1]


def _font_style(font: Handle | None) -> tuple[bool, bool]:
    """Whether a font is bold, and whether monospaced, by its name and flags."""
    if not font:
        return False, False
    call = functions()
    buffer = np.zeros(256, np.uint8)
    call.font_name(font, buffer.ctypes.data, len(buffer) - 1)
    name = buffer.tobytes().rstrip(b"\0").decode("utf-8", "replace").partition("+")
    face = name[2] or name[0]
    return _face_style(face, max(0, call.font_flags(font)))


@lru_cache(1024)
def _face_style(face: str, flags: int) -> tuple[bool, bool]:
    return (
        bool(_BOLD.search(face) or flags & _FORCE_BOLD),
        bool(_MONOSPACED.search(face) or flags & _FIXED_PITCH),
    )
