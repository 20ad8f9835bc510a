"""A few sentences that a tiny network can learn by heart."""

from embedding_assets.documents.entities.labelled import Example, Span

LABELS = ("PERSON", "PLACE")


def _text(text: str, *spans: tuple[int, int, str]) -> Example:
    return Example(tuple(text.split()), tuple(Span(*span) for span in spans))


TEXTS = [
    _text("Anna lives in Oslo .", (0, 1, "PERSON"), (3, 4, "PLACE")),
    _text("Bergen is far away", (0, 1, "PLACE")),
    _text("we saw Anna Berg there", (2, 4, "PERSON")),
    _text("it rains in the north"),
    _text("they left Oslo for Bergen", (2, 3, "PLACE"), (4, 5, "PLACE")),
    _text("Carl and Anna walk", (0, 1, "PERSON"), (2, 3, "PERSON")),
    _text("no one knows"),
    _text("Carl went to Bergen", (0, 1, "PERSON"), (3, 4, "PLACE")),
]
