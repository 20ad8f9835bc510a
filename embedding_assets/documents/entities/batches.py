"""Sentences as tensors: pieces of words for the encoder, shapes and letters beside them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from embedding_assets.documents.entities.words import LONGEST, letter_ids, shape

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor

_WORDS_AT_ONCE = 4_096


@dataclass(frozen=True)
class Sentence:
    """A sentence, or a part of a long one, ready for a batch.

    pieces: of all words in a row, special ones around them. first: where each word begins in them.
    letters: [words, LONGEST], 0 behind a word's end.
    """

    pieces: npt.NDArray[np.int64]
    piece_shapes: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    word_shapes: npt.NDArray[np.int64]
    letters: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Batch:
    """Sentences side by side, padded.

    pieces, piece_shapes: int64 [n, l]. inside: bool [n, l]. first, word_shapes: int64 [n, w].
    letters: int64 [n, w, LONGEST]. words: bool [n, w], which are no padding.
    """

    pieces: "Tensor"
    piece_shapes: "Tensor"
    inside: "Tensor"
    first: "Tensor"
    word_shapes: "Tensor"
    letters: "Tensor"
    words: "Tensor"


def blanked(sentence: Sentence, words: npt.NDArray[np.bool_], piece: int) -> Sentence:
    """The sentence with those words made unreadable: `piece` stands for theirs, their letters are
    gone, and how they are written stays."""
    ends = np.append(sentence.first[1:], len(sentence.pieces) - 1)
    inside = np.repeat(words, ends - sentence.first)
    pieces = sentence.pieces.copy()
    pieces[1:-1][inside] = piece
    letters = np.where(words[:, None], 0, sentence.letters)
    return replace(sentence, pieces=pieces, letters=letters)


class SentenceReader:
    """Turns words into sentences that fit the encoder.

    most: pieces of a sentence, special ones included; longer ones are cut between words.
    blank: the piece that stands for one that is not to be read.
    """

    def __init__(self, tokenizer: "Tokenizer", most: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._most = most - 2
        opening, closing = tokenizer.encode("").ids
        self._opening, self._closing = opening, closing
        unknown = tokenizer.token_to_id("[UNK]")
        self._unknown = closing if unknown is None else unknown
        blank = tokenizer.token_to_id("[MASK]")
        self.blank = self._unknown if blank is None else blank

    def read(self, sentences: Sequence[Sequence[str]]) -> list[list[Sentence]]:
        """Each sentence in parts, mostly one; none of a sentence without words."""
        pieces = self._pieces([word for words in sentences for word in words])
        return [self._parts(words, pieces) for words in sentences]

    def _pieces(self, words: Sequence[str]) -> Iterator[list[int]]:
        for start in range(0, len(words), _WORDS_AT_ONCE):
            some = [
                word.encode("utf-8", "replace").decode()
                for word in words[start : start + _WORDS_AT_ONCE]
            ]
            for found in self._tokenizer.encode_batch_fast(some, add_special_tokens=False):
                yield found.ids[: self._most] or [self._unknown]

    def _parts(self, words: Sequence[str], pieces: Iterator[list[int]]) -> list[Sentence]:
        parts: list[Sentence] = []
        held: list[tuple[str, list[int]]] = []
        size = 0
        for word in words:
            ids = next(pieces)
            if size + len(ids) > self._most:
                parts.append(self._sentence(held))
                held, size = [], 0
            held.append((word, ids))
            size += len(ids)
        return [*parts, self._sentence(held)] if held else parts

    def _sentence(self, words: list[tuple[str, list[int]]]) -> Sentence:
        counts = np.array([len(ids) for _, ids in words])
        shapes = np.array([shape(word) for word, _ in words], dtype=np.int64)
        letters = np.zeros((len(words), LONGEST), dtype=np.uint8)
        for row, (word, _) in zip(letters, words, strict=True):
            spelled = letter_ids(word)
            row[: len(spelled)] = spelled
        return Sentence(
            pieces=np.array(
                [self._opening, *(each for _, ids in words for each in ids), self._closing]
            ),
            piece_shapes=np.concatenate(([0], np.repeat(shapes, counts), [0])),
            first=1 + np.cumsum(counts) - counts,
            word_shapes=shapes,
            letters=letters,
        )


def batch_of(sentences: Sequence[Sentence]) -> Batch:
    """The sentences side by side."""
    import torch

    lengths = np.array([len(each.pieces) for each in sentences])
    counts = np.array([len(each) for each in sentences])
    inside = np.arange(lengths.max()) < lengths[:, None]
    words = np.arange(counts.max()) < counts[:, None]

    def padded(parts: list[npt.NDArray[np.int64]], mask: npt.NDArray[np.bool_]) -> "Tensor":
        filled = np.zeros((*mask.shape, *parts[0].shape[1:]), dtype=np.int64)
        filled[mask] = np.concatenate(parts)
        return torch.from_numpy(filled)

    return Batch(
        pieces=padded([each.pieces for each in sentences], inside),
        piece_shapes=padded([each.piece_shapes for each in sentences], inside),
        inside=torch.from_numpy(inside),
        first=padded([each.first for each in sentences], words),
        word_shapes=padded([each.word_shapes for each in sentences], words),
        letters=padded([each.letters.astype(np.int64) for each in sentences], words),
        words=torch.from_numpy(words),
    )


def by_length(sentences: Sequence[Sentence], pieces: int) -> list[list[int]]:
    """Positions of sentences in batches of about `pieces` pieces, of like length, longest first."""
    order = sorted(range(len(sentences)), key=lambda place: -len(sentences[place].pieces))
    batches: list[list[int]] = []
    for place in order:
        longest = len(sentences[batches[-1][0]].pieces) if batches else 0
        if batches and (len(batches[-1]) + 1) * longest <= pieces:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
