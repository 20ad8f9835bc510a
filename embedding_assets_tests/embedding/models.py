"""Models for the tests: the packaged one, copies with other settings, and tiny random ones."""

import json
import shutil
from pathlib import Path

from embedding_assets.embedding.folder import read_layout
from embedding_assets.embedding.model import DEFAULT_MODEL, resolve_model
from embedding_assets.embedding.sentence import load_sentence_transformer
from embedding_assets.embedding.transformer import build_encoder
from embedding_assets.embedding.windows import read_tokenizer


def packaged():
    return resolve_model(DEFAULT_MODEL, Path("unused")).folder


def sentence_transformer(folder):
    return load_sentence_transformer(folder, "cpu")


def encoder(folder, precision, backend, **options):
    return build_encoder(read_layout(folder), precision, backend, "fingerprint", **options)


def tokenizer(folder):
    return read_tokenizer(folder)


def copied(tmp_path, pooling=None, *, normalize=True, prompt=""):
    """The packaged model with another pooling, without its Normalize module, or with a prompt."""
    folder = tmp_path / "copied"
    shutil.copytree(packaged(), folder)
    if pooling:
        flags = {"word_embedding_dimension": 384, "pooling_mode_mean_tokens": False, **pooling}
        (folder / "1_Pooling" / "config.json").write_text(json.dumps(flags))
    if not normalize:
        modules = json.loads((folder / "modules.json").read_text())[:2]
        (folder / "modules.json").write_text(json.dumps(modules))
    if prompt:
        settings = {"prompts": {"query": prompt}, "default_prompt_name": "query"}
        (folder / "config_sentence_transformers.json").write_text(json.dumps(settings))
    return folder


def tiny(tmp_path, kind):
    """A random model of another architecture, saved by Sentence Transformers; window 30."""
    import torch
    import transformers
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    torch.manual_seed(1)
    source = tmp_path / "source"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "wine", "and", "fish", "rice"]
    source.mkdir()
    (source / "vocab.txt").write_text("\n".join(words))
    transformers.BertTokenizer(str(source / "vocab.txt")).save_pretrained(source)
    if kind == "distilbert":
        config = transformers.DistilBertConfig(
            vocab_size=len(words), dim=32, n_layers=2, n_heads=2, hidden_dim=64
        )
        transformers.DistilBertModel(config).save_pretrained(source)
    else:
        config = transformers.MPNetConfig(
            vocab_size=len(words),
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            pad_token_id=0,
        )
        transformers.MPNetModel(config).save_pretrained(source)
    network = Transformer(str(source))
    network.max_seq_length = 32
    model = SentenceTransformer(modules=[network, Pooling(32, "mean")], device="cpu")
    model.save(str(tmp_path / kind))
    return tmp_path / kind
