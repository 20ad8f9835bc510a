"""Texts on which the precisions of a model are compared: what real input holds, and its traps."""

_WORDS = (
    "margherita pizza chicken tikka masala invoice delivery quarterly report loan agreement "
    "naïve façade straße señor Ελληνικά Москва 東京 ラーメン 서울 김치 مطعم مرحبا ไทย हिन्दी "
    "🍕 🍜 12.50 2026-11-20 APP_29786 №7 50% x² http://example.org/a?b=c user@example.org "
    "the of and in a to was not without between"
).split()
_WHOLE = (
    "",
    " ",
    "a",
    "?",
    "🍕🍜🍣",
    "👩‍👩‍👧‍👦 🇮🇹",
    "\x00\x01\x02",
    "line one\r\nline two\ttabbed\u200bzero width\ufeff",
    "0123456789 3.14159 -1e-7 1,000,000 €99.95",
    "Donaudampfschifffahrtsgesellschaftskapitän",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaa",
    "e\u0301 and é, ﬁ and fi, Å and Å, İstanbul",
    "ضمن حدود المدينة، أفضل المطاعم في روما.",
    "最好吃的面条在哪里？我想点一份外卖。",
    "Самая вкусная пицца в городе",
    "The quick brown fox jumps over the lazy dog.",
    "Items: Margherita Pizza, Tiramisu. Vendors: Trattoria da Luigi. Cuisines: Italian.",
    "| dish | price |\n|---|---|\n| Pad Thai | 11.90 |",
    '{"id": 7, "tags": ["a", "b"]}',
    "SELECT name FROM vendors WHERE cuisine = 'Thai';",
)
_LENGTHS = (*range(1, 80), 90, 100, 120, 140, 160, 180, 200, 250, 300, 400, 600, 900)


def _walk(length: int) -> str:
    """`length` words, a different and always the same choice for each length."""
    step = 7 + 2 * (length % 5)
    return " ".join(_WORDS[(length * 13 + step * i) % len(_WORDS)] for i in range(length))


PROBES: tuple[str, ...] = (*_WHOLE, *(_walk(length) for length in _LENGTHS))
"""More than 100 texts, from no token to several windows."""
