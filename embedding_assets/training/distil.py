"""A model of one vector per token, distilled from a transformer: far quicker, and less good."""

import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from embedding_assets.embedding.bert import Bert, supports
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.embedding.folder import Layout
from embedding_assets.embedding.sentence import SentenceNetwork, load_sentence_transformer
from embedding_assets.embedding.transformer import Network
from embedding_assets.embedding.windows import Ids, TextReader, read_tokenizer

DISTIL_CODE = "1"
"""Changes whenever the same model would give another one."""
DIMENSION = 256
_SIF = 1e-4
_TOKENS_AT_ONCE = 512
_MODULES = ("StaticEmbedding", "Normalize")


def distil(layout: Layout, folder: Path, dimension: int = DIMENSION) -> None:
    """Write a Sentence Transformers folder with a vector for each token of the model of `layout`.

    Each is what the model makes of the token alone, in the `dimension` principal components of all
    of them, less for tokens that are frequent (Model2Vec, van Dongen and Tulkens 2024; the weights
    are those of Arora et al. 2017, SIF, by Zipf's law over the vocabulary, which is sorted by
    frequency). No text is needed for it.
    """
    tokenizer = read_tokenizer(layout.transformer)
    reader = TextReader.of(tokenizer, layout.window, "")
    ids = np.arange(tokenizer.get_vocab_size(), dtype=np.int32)
    network: Network = (
        Bert(layout, "float32")
        if supports(layout)
        else SentenceNetwork(load_sentence_transformer(layout.folder, "cpu"))
    )
    vectors = principal(_vectors_alone(network, reader, ids), dimension)
    save_static(folder, vectors * sif_weights(len(ids))[:, None], layout)


def principal(vectors: Vectors, dimension: int) -> Vectors:
    """float32 [n, dimension]: the centred vectors in the directions that they vary most in."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    kept = directions[:, ::-1][:, :dimension]
    # A direction has two signs, and which one comes out is chance.
    kept = kept * np.sign(kept[np.abs(kept).argmax(axis=0), np.arange(kept.shape[1])])
    projected: Vectors = centred @ kept.astype(np.float32)
    return projected


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


def _vectors_alone(network: Network, reader: TextReader, ids: Ids) -> Vectors:
    """float32 [n, d]: what the network makes of each token between its special ones."""
    windows = [np.concatenate((reader.opening, [each], reader.closing)) for each in ids]
    starts = range(0, len(windows), _TOKENS_AT_ONCE)
    parts = [network(windows[start : start + _TOKENS_AT_ONCE]) for start in starts]
    return np.concatenate(parts)
