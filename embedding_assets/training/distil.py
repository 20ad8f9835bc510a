"""A model of one vector per token, distilled from a transformer: far quicker, and less good."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.bert import supports
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.transformer import BERT, SENTENCE_TRANSFORMERS, build_encoder
from embedding_assets.embedding.windows import Ids, TextReader, read_tokenizer

DISTIL_CODE = "2"
"""Changes whenever the same model and texts would give another one."""
MOST_TEXTS = 4_000
"""Texts that are learnt from at most: what is solved grows with the cube of their number."""
_SIF = 1e-5
_RIDGE = 0.1
_TOKENS_AT_ONCE = 512
_MODULES = ("StaticEmbedding", "Normalize")


def distil(layout: Layout, texts: Sequence[str], folder: Path, threads: int | None = None) -> None:
    """Write a Sentence Transformers folder with a vector for each token of the model of `layout`.

    First what the model makes of each token alone, less for frequent ones (Model2Vec, Tulkens and
    van Dongen 2024; weights as in SIF, Arora et al. 2017, by Zipf's law over the vocabulary, which
    is sorted by frequency). Then the least change of these by which the means of the tokens of
    `texts` come near the vectors that the model gives the texts (ridge regression).
    texts: of the domain, MOST_TEXTS of them are read; without any, the first step is all.
    """
    tokenizer = read_tokenizer(layout.transformer)
    reader = TextReader.of(tokenizer, layout.window, "")
    ids = np.arange(tokenizer.get_vocab_size(), dtype=np.int32)
    backend = BERT if supports(layout) else SENTENCE_TRANSFORMERS
    encoder = build_encoder(layout, "float32", backend, "", device="cpu", threads=threads)
    alone = [np.concatenate((reader.opening, [each], reader.closing)) for each in ids]
    rows = encoder.encode_windows(alone) * sif_weights(len(ids))[:, None]
    some = sorted(set(texts), key=_hash)[:MOST_TEXTS]
    read = [(text, ids) for text, ids in zip(some, reader.read(some), strict=True) if len(ids)]
    if read:
        target = encoder.encode([text for text, _ in read]).vectors
        rows = corrected(rows, [ids for _, ids in read], target)
    save_static(folder, rows, layout)


def corrected(rows: Vectors, texts: Sequence[Ids], target: Vectors) -> Vectors:
    """float32 [tokens, d]: `rows`, changed as little as brings each text near its target.

    texts: the tokens of n texts, at least one each. target: float32 [n, d], unit length. A token
    that no text has stays as it is. Solved for the texts, not the tokens, since they are fewer.
    """
    from scipy.sparse import csr_matrix, diags_array

    lengths = np.array([len(ids) for ids in texts])
    place = np.repeat(np.arange(len(texts)), lengths)
    share = np.repeat(1.0 / lengths, lengths)
    bags = csr_matrix((share, (place, np.concatenate(texts))), shape=(len(texts), len(rows)))
    means = bags @ rows.astype(np.float64)
    bags = diags_array(1.0 / np.linalg.norm(means, axis=1)) @ bags
    alike = (bags @ bags.T).toarray()
    alike[np.diag_indices_from(alike)] += _RIDGE * alike.diagonal().mean()
    missing = target - bags @ rows.astype(np.float64)
    changed: Vectors = (rows + bags.T @ np.linalg.solve(alike, missing)).astype(np.float32)
    return changed


def sif_weights(count: int) -> npt.NDArray[np.float32]:
    """float32 [count]: the weight of each token, by its rank among the frequent ones."""
    share = 1 / np.arange(2, count + 2)
    share /= share.sum()
    weights: npt.NDArray[np.float32] = (_SIF / (_SIF + share)).astype(np.float32)
    return weights


def save_static(folder: Path, rows: Vectors, teacher: Layout) -> None:
    """Write the model with these vectors of the teacher's tokens, as Sentence Transformers does."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file({"embedding.weight": np.ascontiguousarray(rows)}, folder / "model.safetensors")
    tokenizer = read_tokenizer(teacher.transformer)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    tokenizer.save(str(folder / "tokenizer.json"))
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": f"{number}_{kind}" if number else "",
            "type": f"sentence_transformers.models.{kind}",
        }
        for number, kind in enumerate(_MODULES)
    ]
    (folder / "modules.json").write_text(json.dumps(modules, indent=2))
    (folder / f"1_{_MODULES[1]}").mkdir(exist_ok=True)
    window = {"max_seq_length": teacher.window}
    (folder / "sentence_bert_config.json").write_text(json.dumps(window))


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
