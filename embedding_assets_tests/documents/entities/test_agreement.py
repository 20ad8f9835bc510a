import pytest

from embedding_assets.documents.entities.agreement import agreed
from embedding_assets.documents.entities.labelled import Span

SENTENCES = [["in", "Caloi"], ["Caloi", "sells"], ["Caloi"], ["caloi"], ["Caloi", "Berg"]]
FOUND = [
    [(Span(1, 2, "PLACE"), 0.6)],
    [(Span(0, 1, "ORG"), 0.9)],
    [(Span(0, 1, "ORG"), 0.7)],
    [(Span(0, 1, "PLACE"), 0.5)],
    [(Span(0, 2, "PERSON"), 0.9)],
]


def test_a_name_has_the_label_that_most_tells_for():
    first, *rest = agreed(SENTENCES, FOUND, ["a"] * 5)
    assert first == [(Span(1, 2, "ORG"), pytest.approx(0.8))]
    assert rest == FOUND[1:]  # another case and a longer name are other names


def test_documents_do_not_speak_for_one_another():
    assert list(agreed(SENTENCES, FOUND, ["a", "b", "b", "a", "a"])) == FOUND


def test_numbers_and_small_words_keep_their_label():
    sentences = [["at", "6"], ["for", "6"], ["no", "vegan"], ["vegan"]]
    found = [
        [(Span(1, 2, "TIME"), 0.9)],
        [(Span(1, 2, "GUESTS"), 0.8)],
        [(Span(1, 2, "DIET"), 0.9)],
        [(Span(0, 1, "DISH"), 0.5)],
    ]
    assert list(agreed(sentences, found, [0] * 4)) == found


def test_two_labels_as_likely_are_told_apart_by_name_alone():
    found = [[(Span(0, 1, label), 0.5)] for label in ("B", "A")]
    for order in (found, found[::-1]):
        told = list(agreed([["Oslo"], ["Oslo"]], order, [0, 0]))
        assert {span.label for [(span, _)] in told} == {"B"}
