"""What every part of the graph asks of a model: texts in, unit vectors and token counts out."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = npt.NDArray[np.float32]
Counts: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Encoding:
    """The vectors of n texts with what was read to make them.

    vectors: float32 [n, d], unit length.
    tokens: int32 [n], tokens of the text itself (the model's special tokens are not counted).
    windows: int32 [n], how many windows of the model the text was read in (1 when it fits).
    """

    vectors: Vectors
    tokens: Counts
    windows: Counts

    def __post_init__(self) -> None:
        n = len(self.vectors)
        if not len(self.tokens) == len(self.windows) == n:
            raise ValueError(
                f"{n} vectors but {len(self.tokens)} token counts "
                f"and {len(self.windows)} window counts"
            )


class Encoder(Protocol):
    """What turns texts into unit vectors; equal fingerprint and text give equal vectors,
    up to the rounding of the precision: what else is in a batch may change the last bits."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all that decides a vector: weights, tokenizer, pooling, precision."""
        ...

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        ...

    @property
    def window(self) -> int:
        """How many tokens of a text the model reads at once."""
        ...

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The vectors of `texts`, in their order; no token is cut."""
        ...

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the tokens of each text, special tokens not counted."""
        ...


class HashingEncoder:
    """A deterministic encoder without a model, for tests and dry runs.

    Each lower-cased word adds a signed unit to one of `dimension` buckets (Weinberger et al.
    2009, feature hashing), so texts that share words are close.
    """

    def __init__(self, dimension: int = 64, window: int = 254) -> None:
        self.dimension = dimension
        self.window = window
        self.fingerprint = hashlib.sha256(f"hashing:{dimension}:{window}".encode()).hexdigest()

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The hashed words of each text; a text without words has a vector too."""
        tokens = self.count_tokens(texts)
        vectors = np.stack([self._vector(text) for text in texts]) if texts else self._empty()
        return Encoding(vectors, tokens, np.maximum(1, -(-tokens // self.window)))

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the words of each text."""
        return np.array([len(_words(text)) for text in texts], dtype=np.int32)

    def _empty(self) -> Vectors:
        return np.empty((0, self.dimension), dtype=np.float32)

    def _vector(self, text: str) -> Vectors:
        vector = np.zeros(self.dimension, dtype=np.float32)
        for word in _words(text) or [""]:
            code = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            vector[code % self.dimension] += 1.0 if code >> 63 else -1.0
        length = float(np.linalg.norm(vector))
        if length == 0.0:
            vector[0] = length = 1.0
        return vector / np.float32(length)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
