"""Encoders around a network: windows in batches of like length, on all cores, in bounded memory."""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from embedding_assets.embedding.encoder import Counts, Encoding, Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.packed import PackedBert
from embedding_assets.embedding.windows import (
    Ids,
    TextReader,
    pool_windows,
    portions,
    read_tokenizer,
)
from embedding_assets.errors import ModelLoadError, ModelPrecisionError, NotEnoughMemoryError

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

_TOKENS_AT_ONCE = {"cpu": 2_048, "mps": 16_384, "cuda": 65_536}
"""On a CPU what its second-level cache holds; more is slower. Elsewhere what keeps it busy."""
PACKED = "packed"
SENTENCE_TRANSFORMERS = "sentence-transformers"
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
        parts = [self._encode(some) for some in portions(texts, _TEXTS_AT_ONCE, _CHARACTERS_AT_ONCE)]
        vectors = [part.vectors for part in parts]
        return Encoding(
            np.concatenate([np.empty((0, self.dimension), np.float32), *vectors]),
            np.concatenate([np.empty(0, np.int32), *(part.tokens for part in parts)]),
            np.concatenate([np.empty(0, np.int32), *(part.windows for part in parts)]),
        )

    def count_tokens(self, texts: Sequence[str]) -> Counts:
        """int32 [n]: the tokens of each text, special tokens not counted."""
        return np.array([len(ids) for ids in self._reader.read(texts)], dtype=np.int32)

    def _encode(self, texts: Sequence[str]) -> Encoding:
        ids = self._reader.read(texts)
        split = [self._reader.windows(some) for some in ids]
        windows = [window for some in split for window in some]
        special = len(self._reader.opening) + len(self._reader.closing)
        weights = np.array([max(1, len(window) - special) for window in windows], dtype=np.int32)
        counts = np.array([len(some) for some in split], dtype=np.int32)
        vectors = pool_windows(self._vectors(windows), weights, counts)
        return Encoding(vectors, np.array([len(some) for some in ids], dtype=np.int32), counts)

    def _vectors(self, windows: list[Ids]) -> Vectors:
        vectors = np.empty((len(windows), self.dimension), dtype=np.float32)

        def fill(batch: list[int]) -> None:
            vectors[batch] = run_network(self._network, [windows[index] for index in batch])

        lengths = [len(window) for window in windows]
        for _ in self._workers.map(fill, batches(lengths, self._network.step, self._tokens_at_once)):
            pass
        return vectors


def batches(lengths: Sequence[int], step: int, tokens: int) -> list[list[int]]:
    """Positions of windows, grouped by length rounded up to `step`, longest first.

    A batch holds about `tokens` tokens. As all its windows are padded to the same length, a
    window's vector does not depend on what it was computed with.
    """
    by_length: dict[int, list[int]] = {}
    for position, length in enumerate(lengths):
        by_length.setdefault(-(-length // step), []).append(position)
    result = []
    for steps, positions in sorted(by_length.items(), reverse=True):
        size = max(1, tokens // (steps * step))
        result += [positions[i : i + size] for i in range(0, len(positions), size)]
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
    signs = ("can't allocate memory", "out of memory", "bad_alloc", "DefaultCPUAllocator")
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in signs)


class SentenceNetwork:
    """Any model of Sentence Transformers as a network, in float32."""

    step = 16

    def __init__(self, model: "SentenceTransformer") -> None:
        self._model = model
        self._pad = int(model.tokenizer.pad_token_id or 0)

    def __call__(self, windows: Sequence[Ids]) -> Vectors:
        """float32 [n, d], unit length."""
        import torch

        lengths = np.array([len(ids) for ids in windows])
        inside = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(inside.shape, self._pad, dtype=np.int64)
        ids[inside] = np.concatenate(windows)
        device = self._model.device
        features: dict[str, Any] = {
            "input_ids": torch.from_numpy(ids).to(device),
            "attention_mask": torch.from_numpy(inside.astype(np.int64)).to(device),
        }
        with torch.inference_mode():
            pooled = self._model(features)["sentence_embedding"].float()
            unit: Vectors = torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return unit


def build_encoder(
    layout: Layout,
    precision: str,
    backend: str,
    fingerprint: str,
    *,
    device: str = "auto",
    threads: int | None = None,
) -> TransformerEncoder:
    """The encoder of the model with that layout; `backend` is PACKED or SENTENCE_TRANSFORMERS.

    Raises ModelPrecisionError when the back end does not run on `device`, ModelLoadError.
    """
    if backend == PACKED:
        if device not in ("auto", "cpu"):
            raise ModelPrecisionError(
                f"The vectors of this model are pinned to the CPU, not to the device {device!r}.",
                "Set model.device to auto, or pin the model anew in a data folder of its own.",
            )
        device, tokenizer = "cpu", read_tokenizer(layout.transformer)
        workers = single_thread_workers(threads)
        network = in_worker(workers, lambda: PackedBert(layout, precision))
    else:
        device = best_device() if device == "auto" else device
        model = load_sentence_transformer(layout.folder, device)
        tokenizer = model.tokenizer.backend_tokenizer
        workers = single_thread_workers(threads if device == "cpu" else 1)
        network = SentenceNetwork(model)
    reader = TextReader.of(tokenizer, layout.window, layout.prompt)
    budget = _TOKENS_AT_ONCE.get(device.split(":")[0], _TOKENS_AT_ONCE["cpu"])
    return TransformerEncoder(network, reader, layout.dimension, fingerprint, workers, budget)


def best_device() -> str:
    """`cuda` or `mps` where torch finds one, else `cpu`."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_sentence_transformer(folder: Path, device: str) -> "SentenceTransformer":
    """The model of Sentence Transformers in `folder`, in float32, without a progress bar.

    Raises ModelLoadError.
    """
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model = SentenceTransformer(str(folder), device=device, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise ModelLoadError(
            f"Sentence Transformers cannot load {folder}: {error}.",
            "Copy the model again, or choose another one.",
        ) from error
    finally:
        if shown:
            logging.enable_progress_bar()
    return model.float().eval()


def single_thread_workers(threads: int | None) -> ThreadPoolExecutor:
    """Workers that run torch on one thread each; as many as usable cores by default.

    Threads of OpenMP spin while they wait for one another: on busy cores a short text then takes
    30 times longer. Workers never wait for one another. (torch also applies their setting to
    threads which are started later by others.)
    """
    return ThreadPoolExecutor(threads or usable_cores(), "encoder", initializer=_use_one_thread)


def _use_one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def usable_cores() -> int:
    """The cores this process may use: affinity and, in a container, the CPU quota rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        cores = os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    allowed, period = quota.read_text().split() if quota.exists() else ("max", "1")
    return cores if allowed == "max" else min(cores, math.ceil(int(allowed) / int(period)))


def in_worker(workers: ThreadPoolExecutor, build: Callable[[], Network]) -> Network:
    """What `build` makes, made on a worker, so that loading starts no OpenMP threads either."""
    return workers.submit(build).result()
