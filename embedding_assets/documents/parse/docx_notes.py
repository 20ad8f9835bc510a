"""The footnotes and endnotes of a DOCX, numbered in the order of their references."""

from embedding_assets.documents.parse.docx_numbering import formatted
from embedding_assets.documents.parse.docx_package import Element, W
from embedding_assets.documents.parse.docx_text import NoteReference

_NO_NOTES = frozenset(("separator", "continuationSeparator", "continuationNotice"))


class Notes:
    """The notes of one document by their references; each is handed out once."""

    def __init__(self, footnotes: Element | None, endnotes: Element | None) -> None:
        self._notes = {
            NoteReference(is_endnote, note.get(f"{W}id", "")): note
            for is_endnote, root in ((False, footnotes), (True, endnotes))
            for note in (root.iter(f"{W}footnote", f"{W}endnote") if root is not None else ())
            if note.get(f"{W}type") not in _NO_NOTES
        }
        self._numbers: dict[NoteReference, str] = {}
        self._counts = {False: 0, True: 0}
        self._waiting: list[NoteReference] = []

    def mark(self, reference: NoteReference) -> str:
        """What stands in the text for a note: `[^1]`, for an endnote `[^i]`; "" for a note that
        is not there."""
        if reference not in self._notes:
            return ""
        if reference not in self._numbers:
            self._counts[reference.is_endnote] += 1
            count = self._counts[reference.is_endnote]
            number_format = "lowerRoman" if reference.is_endnote else "decimal"
            self._numbers[reference] = formatted(count, number_format)
            self._waiting.append(reference)
        return f"[^{self._numbers[reference]}]"

    def take(self, *, endnotes: bool) -> list[tuple[str, Element]]:
        """The mark and content of the notes that were referred to since the last time.

        endnotes: False for the footnotes, True for the endnotes.
        """
        taken = [it for it in self._waiting if it.is_endnote is endnotes]
        self._waiting = [it for it in self._waiting if it.is_endnote is not endnotes]
        return [(self.mark(it), self._notes[it]) for it in taken]
