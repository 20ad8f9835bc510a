import itertools

import numpy as np

from embedding_assets.documents.entities.decode import (
    best_paths,
    followed,
    probabilities,
    scored_spans,
    transitions,
)
from embedding_assets.documents.entities.labelled import Span

LABELS = ["O", "B-A", "I-A", "B-B", "I-B"]


def test_an_inside_follows_only_its_own_kind():
    moves = transitions(LABELS)
    allowed = {(was, now) for was in range(6) for now in range(5) if moves[was, now] == 0}
    assert (1, 2) in allowed and (2, 2) in allowed and (0, 1) in allowed
    assert not {(0, 2), (3, 2), (4, 2), (5, 2), (5, 4), (1, 4)} & allowed


def test_the_best_path_is_that_of_trying_all():
    scores = np.random.default_rng(3).normal(size=(4, 5, 5)).astype(np.float32) * 2
    lengths = [5, 3, 1, 4]
    words = np.arange(5) < np.array(lengths)[:, None]
    moves = transitions(LABELS)
    found = best_paths(scores, words, moves)
    for row, length in enumerate(lengths):

        def total(path, row=row):
            steps = zip((5, *path), path, strict=False)
            return sum(moves[step] for step in steps) + sum(
                scores[row, place, label] for place, label in enumerate(path)
            )

        best = max(itertools.product(range(5), repeat=length), key=total)
        assert tuple(found[row, :length]) == best


def test_what_follows_what_is_counted():
    # O O B-A I-A, and B-A O: after B-A stands I-A in one of two, of all words one in eleven is I-A
    # (each label is counted once more than it stands there).
    moves = followed([[0, 0, 1, 2], [1, 0]], 5)
    usual = np.array([4, 3, 2, 1, 1]) / 11
    assert np.allclose(np.exp(moves[1]) * usual, (np.array([1, 0, 1, 0, 0]) + 5 * usual) / 7)
    assert np.allclose(moves[3:], 0)
    assert moves[1, 2] > 0 > moves[1, 1]


def test_a_name_whose_words_were_always_together_is_not_torn():
    learned = followed([[0, 1, 2, 0]] * 30 + [[0, 3, 4, 0]] * 30, 5)
    scores = np.array([[[0, 5, 0, 0, 0], [0, 0, 4, 5, 0], [5, 0, 0, 0, 0]]], dtype=np.float32)
    words = np.ones((1, 3), dtype=bool)
    assert best_paths(scores, words, transitions(LABELS)).tolist() == [[1, 3, 0]]
    assert best_paths(scores, words, transitions(LABELS, learned)).tolist() == [[1, 2, 0]]
    sure = scores + np.array([0, 0, 0, 9, 0], dtype=np.float32) * (np.arange(3) == 1)[:, None]
    assert best_paths(sure, words, transitions(LABELS, learned)).tolist() == [[1, 3, 0]]


def test_a_span_is_as_sure_as_its_least_certain_word():
    likely = probabilities(np.log(np.array([[0.2, 0.8, 0, 0, 0], [0.4, 0, 0.6, 0, 0]]) + 1e-9))
    [(span, score)] = scored_spans(np.array([1, 2]), likely, LABELS)
    assert span == Span(0, 2, "A")
    assert abs(score - 0.6) < 1e-6
