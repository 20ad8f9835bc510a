"""Names that recur in a document: each has one label there."""

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from statistics import fmean

from embedding_assets.documents.entities.labelled import Span


def agreed(
    sentences: Sequence[Sequence[str]],
    found: Sequence[Sequence[tuple[Span, float]]],
    documents: Sequence[Hashable],
) -> Iterator[list[tuple[Span, float]]]:
    """The entities of each sentence, the same words with the same label all over a document: that
    whose scores sum up to most. How sure a changed one is, is the mean of these.

    Words without a capital letter keep theirs: a number may be an hour here, and guests there.
    found: for each sentence, given as words, its spans, and how sure each is.
    documents: for each sentence which one it is of.
    """
    together = list(zip(documents, sentences, found, strict=True))
    scores: dict[Hashable, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for document, words, spans in together:
        for span, score in spans:
            scores[document, _name(words, span)][span.label].append(score)
    best = {
        name: max((sum(some), label) for label, some in labels.items())[1]
        for name, labels in scores.items()
    }
    for document, words, spans in together:
        told = []
        for span, score in spans:
            name = document, _name(words, span)
            label = best[name]
            if label == span.label or not any(map(str.isupper, "".join(name[1]))):
                told.append((span, score))
            else:
                told.append((Span(span.start, span.end, label), fmean(scores[name][label])))
        yield told


def _name(words: Sequence[str], span: Span) -> tuple[str, ...]:
    return tuple(words[span.start : span.end])
