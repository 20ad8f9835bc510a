"""Identifiers that prove themselves by check digits."""

_ISIN_LETTERS = 12


def is_isin(text: str) -> bool:
    """Whether it is an ISIN with the right check digit (ISO 6166: Luhn over letters as numbers)."""
    if len(text) != _ISIN_LETTERS or not (text[:2].isalpha() and text[-1].isdigit()):
        return False
    digits = "".join(str(int(letter, 36)) for letter in text)
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value // 10 + value % 10
    return total % 10 == 0


def is_iban(text: str) -> bool:
    """Whether it is an IBAN with the right check digits (ISO 13616: 1 modulo 97)."""
    plain = text.replace(" ", "")
    if not 15 <= len(plain) <= 34:
        return False
    moved = plain[4:] + plain[:4]
    return int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
