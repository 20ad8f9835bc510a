"""What a command is given to read: a text itself, the name of a file, or standard input."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from embedding_assets.documents.document import Block, Kind
from embedding_assets.errors import UnreadableInputError
from embedding_assets.library import parse_file
from embedding_assets.settings import Settings

_PLAIN = (".txt", ".md")


def given_blocks(argument: str, settings: Settings) -> Sequence[Block]:
    """The blocks of the file that `argument` names, or of standard input for `-`; any other
    argument is the text itself.

    Raises InputError for a file that cannot be read.
    """
    if argument == "-":
        return [Block(Kind.PARAGRAPH, _standard_input())]
    # Unlike Path.is_file it takes a name that is too long for one that no file has.
    if not os.path.isfile(argument):
        return [Block(Kind.PARAGRAPH, argument)]
    path = Path(argument)
    if path.suffix.lower() not in _PLAIN:
        return parse_file(path, settings).blocks
    try:
        return [Block(Kind.PARAGRAPH, path.read_text(encoding="utf-8", errors="replace"))]
    except OSError as error:
        raise UnreadableInputError(f"{path} cannot be read: {error}.", "Give its text.") from error


def _standard_input() -> str:
    """As of a file, whatever it holds: in some locales Python itself takes no other bytes."""
    try:
        content = sys.stdin.buffer.read()
    except OSError as error:
        raise UnreadableInputError(
            f"Standard input cannot be read: {error.strerror}.", "Give a text or a file."
        ) from error
    return content.decode("utf-8", "replace").replace("\r\n", "\n")
