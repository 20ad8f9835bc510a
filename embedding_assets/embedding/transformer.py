"""Encoders around a network: windows in batches of like length, on all cores, in bounded memory."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import numpy as np

from embedding_assets.embedding.bert import Bert
from embedding_assets.embedding.encoder import Counts, Encoding, Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.sentence import (
    SentenceNetwork,
    best_device,
    load_sentence_transformer,
)
from embedding_assets.embedding.static import StaticNetwork
from embedding_assets.embedding.windows import (
    Ids,
    TextReader,
    pool_windows,
    portions,
    read_tokenizer,
)
from embedding_assets.embedding.workers import single_thread_workers
from embedding_assets.errors import ModelPrecisionError, NotEnoughMemoryError

_TOKENS_AT_ONCE = {"cpu": 2_048, "mps": 16_384, "cuda": 65_536}
"""Tokens of a batch: on a CPU more is not faster, only larger; a GPU wants to be kept busy."""
BERT = "bert"
SENTENCE_TRANSFORMERS = "sentence-transformers"
STATIC = "static"
_STATIC_TOKENS_AT_ONCE = 65_536
_TEXTS_AT_ONCE = 16_384
_CHARACTERS_AT_ONCE = 8_000_000


class Network(Protocol):
    """Unit vectors of windows of token ids; `step` is what it rounds their lengths up to."""

    step: int

    def __call__(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [n, d], unit length."""
        ...


class TransformerEncoder:
    """An `Encoder` that reads texts of any length through a network with a limited window.

    Safe to call from several threads at once.
    """

    def __init__(
        self,
        network: Network,
        reader: TextReader,
        dimension: int,
        fingerprint: str,
        workers: ThreadPoolExecutor,
        tokens_at_once: int = 2_048,
    ) -> None:
        self.dimension = dimension
        self.window = reader.window
        self.fingerprint = fingerprint
        self._network = network
        self._reader = reader
        self._workers = workers
        self._tokens_at_once = tokens_at_once

    def encode(self, texts: Sequence[str]) -> Encoding:
        """The vectors of `texts`, in their order; no token is cut.

        Raises NotEnoughMemoryError when not even one window can be computed.
        """
        none = np.empty(0, dtype=np.int32)
        parts = [Encoding(np.empty((0, self.dimension), dtype=np.float32), none, none)]
        parts += map(self._encode, portions(texts, _TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE))
        return Encoding(
            np.concatenate([part.vectors for part in parts]),
            np.concatenate([part.tokens for part in parts]),
            np.concatenate([part.windows for part in parts]),
        )

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the tokens of each text, special tokens not counted."""
        return np.array([len(ids) for ids in self._reader.read(texts)], dtype=np.int32)

    def encode_windows(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [w, d], unit length: the vectors of windows, the model's special tokens in them.

        Raises NotEnoughMemoryError when not even one can be computed.
        """
        vectors = np.empty((len(windows), self.dimension), dtype=np.float32)

        def fill(batch: list[int]) -> None:
            vectors[batch] = run_network(self._network, [windows[index] for index in batch])

        lengths = [len(window) for window in windows]
        work = batches(lengths, self._network.step, self._tokens_at_once)
        deque(self._workers.map(fill, work), maxlen=0)  # waits, and raises what a worker raised
        return vectors

    def _encode(self, texts: Sequence[str]) -> Encoding:
        ids = self._reader.read(texts)
        split = [self._reader.windows(some) for some in ids]
        windows = [window for some in split for window in some]
        special = len(self._reader.opening) + len(self._reader.closing)
        weights = np.array([max(1, len(window) - special) for window in windows], dtype=np.int32)
        counts = np.array([len(some) for some in split], dtype=np.int32)
        vectors = pool_windows(self.encode_windows(windows), weights, counts)
        return Encoding(vectors, np.array([len(some) for some in ids], dtype=np.int32), counts)


def batches(lengths: Sequence[int], step: int, tokens: int) -> list[list[int]]:
    """Positions of windows in batches of about `tokens` tokens, the longest windows first.

    Only windows whose lengths round up to the same multiple of `step` share a batch, so that
    padding is short and is the same whatever else is encoded.
    """
    by_length: dict[int, list[int]] = {}
    for position, length in enumerate(lengths):
        by_length.setdefault(-(-length // step) * step, []).append(position)
    result = []
    for length, positions in sorted(by_length.items(), reverse=True):
        size = max(1, tokens // max(1, length))
        result += [positions[start : start + size] for start in range(0, len(positions), size)]
    return result


def run_network(network: Network, windows: Sequence[Ids]) -> Vectors:
    """The network's vectors, computed in halves as long as memory does not suffice.

    Raises NotEnoughMemoryError when it does not suffice for a single window.
    """
    try:
        return network(windows)
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        if len(windows) == 1:
            raise NotEnoughMemoryError(
                f"Memory does not suffice to embed one window of {len(windows[0])} tokens.",
                "Give the process more memory, or close what else runs in it.",
            ) from error
    half = len(windows) // 2
    parts = run_network(network, windows[:half]), run_network(network, windows[half:])
    return np.concatenate(parts)


def _is_out_of_memory(error: Exception) -> bool:
    signs = ("can't allocate memory", "out of memory", "bad_alloc", "could not create a primitive")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


def build_encoder(
    layout: Layout,
    precision: str,
    backend: str,
    fingerprint: str,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> TransformerEncoder:
    """The encoder of the model with that layout.

    backend: BERT, STATIC or SENTENCE_TRANSFORMERS.
    Raises ModelPrecisionError when the back end does not run on `device`, ModelLoadError.
    """
    if backend == STATIC:
        # Looking vectors up costs less than taking them to a device, whatever that is.
        tokenizer, none = read_tokenizer(layout.transformer), np.empty(0, dtype=np.int32)
        reader = TextReader.of(tokenizer, layout.window, layout.prompt)
        reader = replace(reader, opening=none, closing=none)
        return TransformerEncoder(
            StaticNetwork(layout), reader, layout.dimension, fingerprint,
            single_thread_workers(threads), _STATIC_TOKENS_AT_ONCE,
        )  # fmt: skip
    if backend == BERT:
        if device not in ("auto", "cpu"):
            raise ModelPrecisionError(
                f"The vectors of this model are pinned to the CPU, not to the device {device!r}.",
                "Set model.device to auto, or pin the model anew in a data folder of its own.",
            )
        device, tokenizer = "cpu", read_tokenizer(layout.transformer)
        workers = single_thread_workers(threads)
        network: Network = workers.submit(Bert, layout, precision).result()
    else:
        device = best_device() if device == "auto" else device
        model = load_sentence_transformer(layout.folder, device)
        tokenizer = model.tokenizer.backend_tokenizer
        workers = single_thread_workers(threads if device == "cpu" else 1)
        network = SentenceNetwork(model)
    reader = TextReader.of(tokenizer, layout.window, layout.prompt)
    budget = _TOKENS_AT_ONCE.get(device.split(":")[0], _TOKENS_AT_ONCE["cpu"])
    return TransformerEncoder(network, reader, layout.dimension, fingerprint, workers, budget)
