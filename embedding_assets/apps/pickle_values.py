"""The instructions of pickles that hold a value themselves: constants, numbers, texts, bytes."""

import re
import struct
from collections.abc import Callable
from typing import Any

from embedding_assets.apps.pickle_ledger import Ledger, UnfitError

_LARGEST_INT = 1024
"""Bytes; Python prints no integer of more than 4300 digits, which 1785 bytes may have."""
_DECIMAL = re.compile(rb"[+-]?[0-9]{1,2400}")
_INDEX = re.compile(rb"[0-9]{1,12}")
_BOOLS = {b"00": False, b"01": True}
_QUOTED = re.compile(rb"""(?s)(['"])(.*)\1""")
_ESCAPE = re.compile(rb"""(?s)\\(x[0-9a-fA-F]{2}|.?)""")
_ESCAPED = {b"\\": b"\\", b"'": b"'", b'"': b'"', b"n": b"\n", b"r": b"\r", b"t": b"\t"}


class Tape:
    """A pickle's bytes as they are read, and the stack. at: the next byte."""

    def __init__(self, content: bytes, ledger: Ledger) -> None:
        self.content = content
        self.ledger = ledger
        self.at = 0
        self.stack: list[Any] = []

    def take(self, size: int) -> bytes:
        """The next `size` bytes, after it is certain that they are there."""
        end = self.at + size
        if size < 0:
            raise UnfitError(f"a value has {size:,} bytes")
        if end > len(self.content):
            raise UnfitError(
                f"it is cut off: a value has {size:,} bytes, {len(self.content) - self.at:,} follow"
            )
        taken = self.content[self.at : end]
        self.at = end
        return taken

    def size(self, layout: str) -> int:
        """The next number, stored in the `struct` layout."""
        (number,) = struct.unpack_from(layout, self.content, self.at)
        self.at += struct.calcsize(layout)
        return int(number)

    def line(self) -> bytes:
        """All up to the next line feed."""
        end = self.content.find(b"\n", self.at)
        if end < 0:
            raise UnfitError("it is cut off in a line")
        line = self.content[self.at : end]
        self.at = end + 1
        return line

    def decimal(self) -> int:
        """The place in the memo that a line gives."""
        line = self.line()
        if not _INDEX.fullmatch(line):
            raise UnfitError("a place in the memo is no number")
        return int(line)


def _constant(value: Any) -> Callable[[Tape], None]:
    return lambda tape: tape.stack.append(value)


def _empty(kind: type) -> Callable[[Tape], None]:
    return lambda tape: tape.stack.append(kind())


def _number(layout: str) -> Callable[[Tape], None]:
    unpack, size = struct.Struct(layout).unpack_from, struct.calcsize(layout)

    def read(tape: Tape) -> None:
        tape.stack.append(unpack(tape.content, tape.at)[0])
        tape.at += size

    return read


def _int(tape: Tape) -> None:
    line = tape.line()
    tape.stack.append(_BOOLS[line] if line in _BOOLS else _whole(tape, line))


def _long(tape: Tape) -> None:
    tape.stack.append(_whole(tape, tape.line().removesuffix(b"L")))


def _whole(tape: Tape, line: bytes) -> int:
    if not _DECIMAL.fullmatch(line):
        raise UnfitError("a whole number is no number, or too long")
    tape.ledger.charge(len(line))
    return int(line)


def _binary_long(layout: str) -> Callable[[Tape], None]:
    def read(tape: Tape) -> None:
        size = tape.size(layout)
        if size > _LARGEST_INT:
            raise UnfitError(f"a whole number has {size:,} bytes")
        tape.ledger.charge(max(0, size))
        tape.stack.append(int.from_bytes(tape.take(size), "little", signed=True))

    return read


def _float(tape: Tape) -> None:
    tape.stack.append(float(tape.line()))


def _text(layout: str) -> Callable[[Tape], None]:
    def read(tape: Tape) -> None:
        size = tape.size(layout)
        content = tape.take(size)
        tape.ledger.charge(4 * size)
        tape.stack.append(content.decode("utf-8", "surrogatepass"))

    return read


def _text_line(tape: Tape) -> None:
    line = tape.line()
    tape.ledger.charge(4 * len(line))
    tape.stack.append(line.decode("raw-unicode-escape"))


def _bytes(layout: str) -> Callable[[Tape], None]:
    def read(tape: Tape) -> None:
        content = tape.take(tape.size(layout))
        tape.ledger.charge(len(content))
        tape.stack.append(content)

    return read


def _bytearray(tape: Tape) -> None:
    content = tape.take(tape.size("<Q"))
    tape.ledger.charge(len(content))
    tape.stack.append(bytearray(content))


def _old_text(layout: str) -> Callable[[Tape], None]:
    def read(tape: Tape) -> None:
        _push_old(tape, tape.take(tape.size(layout)))

    return read


def _old_line(tape: Tape) -> None:
    quoted = _QUOTED.fullmatch(tape.line())
    if not quoted:
        raise UnfitError("a text has no quotation marks")
    _push_old(tape, _ESCAPE.sub(_unescaped, quoted[2]))


def _push_old(tape: Tape, content: bytes) -> None:
    """Python 2's str: a text where it can be one, else bytes."""
    tape.ledger.charge(len(content))
    tape.stack.append(content.decode() if content.isascii() else content)


def _unescaped(escape: re.Match[bytes]) -> bytes:
    code = escape[1]
    if len(code) == 3:
        return bytes.fromhex(code[1:].decode())
    if code not in _ESCAPED:
        raise UnfitError("a text has an escape that no writer of pickles uses")
    return _ESCAPED[code]


SLOT = 24
"""Bytes: a place on the stack, and later one in a container, each with room to grow."""
CONTAINER = SLOT + 200
"""Bytes: a place, and what is noted of each container when the whole is checked at the end."""
_NUMBER, _TEXT, _BYTES = SLOT + 36, SLOT + 80, SLOT + 57

VALUES: dict[str, tuple[Callable[[Tape], None], int]] = {
    "N": (_constant(None), SLOT),
    "\x88": (_constant(True), SLOT),
    "\x89": (_constant(False), SLOT),
    "]": (_empty(list), CONTAINER + 88),
    "}": (_empty(dict), CONTAINER + 280),
    ")": (_empty(tuple), SLOT),
    "\x8f": (_empty(set), CONTAINER + 216),
    "I": (_int, _NUMBER),
    "J": (_number("<i"), _NUMBER),
    "K": (_number("<B"), _NUMBER),
    "M": (_number("<H"), _NUMBER),
    "L": (_long, _NUMBER),
    "\x8a": (_binary_long("<B"), _NUMBER),
    "\x8b": (_binary_long("<i"), _NUMBER),
    "F": (_float, _NUMBER),
    "G": (_number(">d"), _NUMBER),
    "V": (_text_line, _TEXT),
    "X": (_text("<I"), _TEXT),
    "\x8c": (_text("<B"), _TEXT),
    "\x8d": (_text("<Q"), _TEXT),
    "C": (_bytes("<B"), _BYTES),
    "B": (_bytes("<I"), _BYTES),
    "\x8e": (_bytes("<Q"), _BYTES),
    "\x96": (_bytearray, _BYTES),
    "S": (_old_line, _BYTES),
    "T": (_old_text("<i"), _BYTES),
    "U": (_old_text("<B"), _BYTES),
}
"""By instruction: what carries it out, and the most bytes it allocates beside its content."""
