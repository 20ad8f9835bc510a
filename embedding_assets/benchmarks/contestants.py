"""Every way to embed texts on a CPU that can be compared offline, each behind one function.

A contestant takes a model folder and gives a function from texts to vectors, used as its own
documentation says; `_exported` and `_pooled` add what a bare runtime lacks.
"""

import importlib.util
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from embedding_assets.embedding.encoder import Vectors

OURS = "embedding_assets"
PLAIN = "sentence-transformers"
Embed = Callable[[list[str]], Vectors]


def ours(folder: Path, scratch: Path) -> Embed:
    """This package in the precision it pins by itself."""
    return _ours(folder, scratch, "auto")


def ours_float32(folder: Path, scratch: Path) -> Embed:
    """This package as on a processor without bfloat16."""
    return _ours(folder, scratch, "float32")


def plain(folder: Path, scratch: Path) -> Embed:
    """`SentenceTransformer.encode` with its defaults."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    return lambda texts: np.asarray(model.encode(texts, normalize_embeddings=True))


def txtai(folder: Path, scratch: Path) -> Embed:
    """txtai's Embeddings over the same folder."""
    model = import_module("txtai").Embeddings(
        path=str(folder), method="sentence-transformers", gpu=False
    )
    return lambda texts: np.asarray(model.batchtransform(texts), dtype=np.float32)


def openvino(folder: Path, scratch: Path) -> Embed:
    """OpenVINO without a wrapper: throughput hint, its own choice of precision, sorted batches."""
    import torch

    ov = import_module("openvino")

    network, reader = _exported(folder)
    example = {"input_ids": torch.ones(2, 8, dtype=torch.int64)}
    example["attention_mask"] = torch.ones_like(example["input_ids"])
    compiled = ov.compile_model(
        ov.convert_model(network, example_input=example), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"}
    )

    def embed(texts: list[str]) -> Vectors:
        results: dict[int, Vectors] = {}
        queue = ov.AsyncInferQueue(compiled)
        queue.set_callback(
            lambda request, key: results.update({key: request.get_output_tensor(0).data.copy()})
        )
        order, batches = _batches(reader, texts)
        for key, (ids, mask) in enumerate(batches):
            queue.start_async({"input_ids": ids, "attention_mask": mask}, key)
        queue.wait_all()
        pooled = [_pooled(results[key], mask) for key, (_, mask) in enumerate(batches)]
        return np.concatenate(pooled)[np.argsort(order)]

    return embed


def onnxruntime(folder: Path, scratch: Path) -> Embed:
    """ONNX Runtime without a wrapper, float32, sorted batches."""
    import torch

    ort = import_module("onnxruntime")

    network, reader = _exported(folder)
    example = torch.ones(2, 8, dtype=torch.int64)
    path, axes = scratch / "model.onnx", {0: "texts", 1: "tokens"}
    torch.onnx.export(
        network,
        (example, example),
        str(path),
        input_names=["input_ids", "attention_mask"],
        output_names=["tokens"],
        dynamic_axes={"input_ids": axes, "attention_mask": axes, "tokens": axes},
        dynamo=False,
    )
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])

    def embed(texts: list[str]) -> Vectors:
        order, batches = _batches(reader, texts)
        vectors = [
            _pooled(session.run(None, {"input_ids": ids, "attention_mask": mask})[0], mask)
            for ids, mask in batches
        ]
        return np.concatenate(vectors)[np.argsort(order)]

    return embed


CONTESTANTS: dict[str, tuple[str, Callable[[Path, Path], Embed]]] = {
    PLAIN: ("sentence_transformers", plain),
    OURS: ("torch", ours),
    f"{OURS} (float32)": ("torch", ours_float32),
    "openvino": ("openvino", openvino),
    "onnxruntime": ("onnxruntime", onnxruntime),
    "txtai": ("txtai", txtai),
}
"""By name: the package it needs, and how it is loaded from a model folder."""

LEFT_OUT = {
    "fastembed": "takes its own ONNX files from a hub; the folder alone does not load",
    "infinity_emb": "a server around Sentence Transformers or an ONNX file from a hub",
    "ctranslate2": "needs its own conversion, and returns tokens, not sentence vectors",
    "sentence-transformers (ONNX, OpenVINO)": "optimum holds transformers below 5",
}
"""Peers that cannot run offline from a model folder, and why."""


def left_out() -> dict[str, str]:
    """Each peer that will not run, with the reason."""
    missing = {
        name: f"not installed ({package})"
        for name, (package, _) in CONTESTANTS.items()
        if importlib.util.find_spec(package) is None
    }
    return missing | LEFT_OUT


def _ours(folder: Path, scratch: Path, precision: str) -> Embed:
    from embedding_assets.embedding.model import open_encoder

    encoder = open_encoder(str(folder), scratch.parent, precision=precision)  # pinned before
    return lambda texts: encoder.encode(texts).vectors


def _exported(folder: Path) -> tuple[Any, Any]:
    """The network of a mean-pooled model with its tokenizer, which cuts as plain `encode` does."""
    import torch
    from transformers import AutoModel

    from embedding_assets.embedding.folder import read_layout
    from embedding_assets.embedding.windows import read_tokenizer

    layout = read_layout(folder)
    tokenizer = read_tokenizer(layout.transformer)
    tokenizer.enable_truncation(layout.window + tokenizer.num_special_tokens_to_add(False))
    tokenizer.enable_padding()
    bert = AutoModel.from_pretrained(str(layout.transformer), attn_implementation="eager").eval()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bert = bert

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask)
            tokens: torch.Tensor = hidden.last_hidden_state
            return tokens

    return Network().eval(), tokenizer


def _batches(
    tokenizer: Any,
    texts: Sequence[str],
) -> tuple[list[int], list[tuple[Any, Any]]]:
    """The order of texts by length, and batches of 32 in that order as ids and masks."""
    order = sorted(range(len(texts)), key=lambda index: -len(texts[index]))
    batches = []
    for start in range(0, len(order), 32):
        encoded = tokenizer.encode_batch([texts[index] for index in order[start : start + 32]])
        ids = np.array([one.ids for one in encoded], dtype=np.int64)
        batches.append((ids, np.array([one.attention_mask for one in encoded], dtype=np.int64)))
    return order, batches


def _pooled(tokens: Vectors, mask: Any) -> Vectors:
    sums = (tokens * mask[:, :, None]).sum(axis=1)
    unit: Vectors = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return unit.astype(np.float32)
