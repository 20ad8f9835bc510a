"""Characters of symbol fonts as Unicode."""

import re

_SYMBOL = dict(
    enumerate(
        " !∀#∃%&∍()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾"
        "αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼",
        start=0x20,
    )
) | dict(
    enumerate(
        "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪"
        "\uf8ff〉∫⌠⎮⌡⎞⎟⎠⎤⎥⎦⎫⎬⎭",
        start=0xA0,
    )
)
"""Adobe's Symbol encoding."""

_WINGDINGS = {
    0x22: "✂", 0x28: "☎", 0x2A: "✉", 0x36: "⌛", 0x3A: "💻", 0x4A: "☺", 0x4C: "☹", 0x6C: "●",
    0x6E: "■", 0x6F: "□", 0x71: "❑", 0x72: "❒", 0x75: "◆", 0x76: "❖", 0x77: "◆", 0x78: "☒",
    0x9F: "•", 0xA7: "▪", 0xA8: "☐", 0xAB: "★", 0xD8: "➢", 0xDF: "←", 0xE0: "→", 0xE1: "↑",
    0xE2: "↓", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip
"""The characters of Wingdings that texts use."""

_FONTS = {"symbol": _SYMBOL, "wingdings": _WINGDINGS}
_PRIVATE = re.compile("[\uf020-\uf0ff]")


def from_symbol_font(code: int, font: str) -> str:
    """The Unicode character that a symbol font shows for `code`; the code's own if unknown.

    code: with or without the offset F000 that Word adds.
    """
    known = _FONTS.get(font.lower(), {})
    low = code - 0xF000 if 0xF000 <= code <= 0xF0FF else code
    is_character = 0 < code < 0xD800 or 0xDFFF < code <= 0x10FFFF
    return known.get(low) or (chr(code) if is_character else "")


def without_private_characters(text: str, font: str) -> str:
    """`text` with the private characters that Word keeps for symbol fonts as Unicode."""
    if not _PRIVATE.search(text):
        return text
    return _PRIVATE.sub(lambda match: from_symbol_font(ord(match[0]), font), text)


def bullet(text: str) -> str:
    """The bullet as Unicode: private characters of symbol fonts become a plain one."""
    return _PRIVATE.sub("•", text).strip()
