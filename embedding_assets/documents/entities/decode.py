"""The likeliest labels of words that may follow one another."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.entities.labelled import Span, spans_of_tags

Scores = npt.NDArray[np.float32]
_NEVER = -1e4
_TRUSTED = 0.4
"""The part of what labels say about the next one that counts: a word's scores know some of it."""


def transitions(labels: Sequence[str], learned: Scores | None = None) -> Scores:
    """float32 [labels + 1, labels]: 0 where a label may follow another, or, in the last row, begin
    a sentence; else far below. An `I` follows only its own `B` or `I`.

    learned: what `followed` gives; a part of it is added.
    """
    before = [*labels, "O"]
    broken = [
        [after.startswith("I-") and was[2:] != after[2:] for after in labels] for was in before
    ]
    moves = np.where(np.array(broken), _NEVER, 0.0).astype(np.float32)
    if learned is not None:
        moves[:-1] += np.float32(_TRUSTED) * learned
    return moves


def followed(paths: Iterable[Sequence[int]], labels: int) -> Scores:
    """float32 [labels, labels]: the logarithm of how much likelier than elsewhere each label is
    right after each, as the sentences `paths` have them; near 0 after what they seldom have."""
    counts, pairs = np.ones(labels), np.zeros((labels, labels))
    for path in paths:
        np.add.at(counts, path, 1)
        np.add.at(pairs, (path[:-1], path[1:]), 1)
    usual = counts / counts.sum()
    after = (pairs + labels * usual) / (pairs.sum(axis=1, keepdims=True) + labels)
    found: Scores = np.log(after / usual).astype(np.float32)
    return found


def best_paths(
    scores: Scores, words: npt.NDArray[np.bool_], moves: Scores
) -> npt.NDArray[np.int64]:
    """int64 [n, w]: the labels of each sentence whose scores sum up to most (Viterbi 1967).

    scores: float32 [n, w, labels]. words: bool [n, w], false behind a sentence's end, where the
    result means nothing. moves: what `transitions` gives.
    """
    n, width, labels = scores.shape
    total = scores[:, 0] + moves[labels]
    came_from = np.zeros((n, width, labels), dtype=np.int64)
    stay = np.arange(labels)
    for place in range(1, width):
        paths = total[:, :, None] + moves[:labels]
        inside = words[:, place, None]
        came_from[:, place] = np.where(inside, paths.argmax(axis=1), stay)
        total = np.where(inside, paths.max(axis=1) + scores[:, place], total)
    found = np.zeros((n, width), dtype=np.int64)
    found[:, -1] = total.argmax(axis=1)
    rows = np.arange(n)
    for place in range(width - 1, 0, -1):
        found[:, place - 1] = came_from[rows, place, found[:, place]]
    return found


def probabilities(scores: Scores) -> Scores:
    """float32, as `scores`: how likely each label is for each word by itself."""
    shifted = np.exp(scores - scores.max(axis=-1, keepdims=True))
    likely: Scores = shifted / shifted.sum(axis=-1, keepdims=True)
    return likely


def scored_spans(
    path: npt.NDArray[np.int64], likely: Scores, labels: Sequence[str]
) -> list[tuple[Span, float]]:
    """The entities of one sentence, each with the probability of its least certain word.

    path: int64 [w]. likely: float32 [w, labels].
    """
    sure = likely[np.arange(len(path)), path]
    spans = spans_of_tags([labels[each] for each in path])
    return [(span, float(sure[span.start : span.end].min())) for span in spans]
