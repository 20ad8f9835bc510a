"""Texts as windows of token ids, and the vectors of windows as vectors of texts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.encoder import Counts, Vectors
from embedding_assets.errors import ModelLoadError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

POOLING_VERSION = "balanced windows, mean of unit vectors by tokens, 1"
"""Part of every fingerprint: change it with anything that changes a vector in this package."""

Ids: TypeAlias = npt.NDArray[np.int32]
_TEXTS_AT_ONCE = 256
_CHARACTERS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class TextReader:
    """Turns texts into token ids, and ids into windows with the model's special tokens.

    window: how many ids of text fit the model at once.
    opening, closing: the special tokens around the text of each window.
    prompt: put before every text.
    """

    tokenizer: "Tokenizer"
    window: int
    opening: Ids
    closing: Ids
    prompt: str = ""

    @classmethod
    def of(cls, tokenizer: "Tokenizer", window: int, prompt: str = "") -> "TextReader":
        """A reader around a tokenizer, whose own truncation and padding are switched off.

        Raises ModelLoadError when the tokenizer does not put its special tokens around the text.
        """
        tokenizer.no_truncation()
        tokenizer.no_padding()
        special = tokenizer.encode("a").special_tokens_mask
        ids = np.array(tokenizer.encode("a").ids, dtype=np.int32)
        if 0 not in special:
            raise ModelLoadError(
                "The tokenizer of the model reads no token in 'a'.",
                "Choose a text model with a complete tokenizer.json.",
            )
        first, last = special.index(0), len(special) - special[::-1].index(0)
        return cls(tokenizer, window, ids[:first], ids[last:], prompt)

    def read(self, texts: Sequence[str]) -> list[Ids]:
        """The token ids of each text, without special tokens and uncut.

        Lone surrogates, which no tokenizer reads, become question marks.
        """
        ids: list[Ids] = []
        for some in _portions(texts):
            readable = [(self.prompt + text).encode("utf-8", "replace").decode() for text in some]
            encodings = self.tokenizer.encode_batch_fast(readable, add_special_tokens=False)
            ids += [np.array(encoding.ids, dtype=np.int32) for encoding in encodings]
        return ids

    def windows(self, ids: Ids) -> list[Ids]:
        """`ids` in the fewest windows, their sizes equal or one apart, special tokens around each.

        A text without tokens has one window of special tokens.
        """
        count = max(1, -(-len(ids) // self.window))
        parts = np.array_split(ids, count)
        return [np.concatenate((self.opening, part, self.closing)) for part in parts]


def read_tokenizer(folder: Path) -> "Tokenizer":
    """The tokenizer of the Transformer module in `folder`; from transformers if it must be built.

    Raises ModelLoadError when its file is damaged.
    """
    from tokenizers import Tokenizer

    from embedding_assets.embedding.folder import read_json

    path = folder / "tokenizer.json"
    if path.exists():
        read_json(path)
        return Tokenizer.from_file(str(path))
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise ModelLoadError(
            f"{folder} holds no usable tokenizer: {error}.",
            "Set model.name to a complete Sentence Transformers folder.",
        ) from error
    return tokenizer.backend_tokenizer


def pool_windows(vectors: Vectors, weights: Counts, windows: Counts) -> Vectors:
    """One unit vector per text: the mean of its windows' vectors, weighted by their tokens.

    vectors: float32 [w, d], unit length, the windows of one text side by side.
    weights: int32 [w], at least 1. windows: int32 [n], how many of the w belong to each text.
    """
    starts = np.cumsum(windows) - windows
    sums = np.add.reduceat(vectors * weights[:, None].astype(np.float32), starts, axis=0)
    unit: Vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """`texts` in runs that bound what the tokenizer holds, about 100 bytes for each token."""
    return portions(texts, _TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE)


def portions(texts: Sequence[str], count: int, characters: int) -> Iterator[Sequence[str]]:
    """`texts` in runs of at most `count` texts and, single texts apart, `characters` in all."""
    start = size = 0
    for position, text in enumerate(texts):
        if position > start and (position - start == count or size + len(text) > characters):
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    if start < len(texts):
        yield texts[start:]
