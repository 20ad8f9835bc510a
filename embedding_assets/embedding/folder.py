"""What the files of a Sentence Transformers folder say, read without loading a network."""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedding_assets.errors import ModelDamagedError, ModelLoadError

_MEND = "Set model.name to a complete Sentence Transformers folder, or copy or unpack it again."
_POOLING_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_PAD_OFFSET = {"roberta", "xlm-roberta", "camembert", "mpnet"}
_STATIC = "StaticEmbedding"
_STATIC_WINDOW = 512
_STATIC_WEIGHTS = {"embedding.weight", "embeddings"}


@dataclass(frozen=True)
class Layout:
    """The shape of a model, as its configuration files and the header of its weights give it.

    folder: the whole model.
    modules: class names in order, such as Transformer, Pooling, Normalize.
    transformer: the folder of the Transformer module, or of the StaticEmbedding.
    config: its `config.json`; of a StaticEmbedding nothing.
    prompt: what Sentence Transformers puts before every text by default.
    """

    folder: Path
    modules: tuple[str, ...]
    transformer: Path
    config: dict[str, Any]
    dimension: int
    window: int
    pooling: str
    normalize: bool
    prompt: str
    lowercase: bool

    @property
    def is_static(self) -> bool:
        """Whether the model has one vector per token and nothing else."""
        return self.modules[0] == _STATIC


def read_layout(folder: Path) -> Layout:
    """The layout of the model in `folder`, its weights' size and shapes checked.

    Raises ModelLoadError when a file is missing or unreadable or two files contradict each other,
    ModelDamagedError when the weights are truncated.
    """
    modules = read_json(folder / "modules.json")
    kinds = tuple(str(module["type"]).rsplit(".", 1)[-1] for module in modules)
    if kinds in ((_STATIC,), (_STATIC, "Normalize")):
        return _static_layout(folder, kinds, folder / modules[0]["path"])
    if not kinds or kinds[0] != "Transformer" or "Pooling" not in kinds:
        raise ModelLoadError(
            f"{folder} holds the modules {', '.join(kinds) or 'none'}, "
            "not a Transformer with a Pooling.",
            "Choose a Sentence Transformers text model.",
        )
    folders = {kind: folder / module["path"] for kind, module in zip(kinds, modules, strict=True)}
    transformer = folders["Transformer"]
    config = read_json(transformer / "config.json")
    text = _transformer_settings(transformer)
    pooling, width = _pooling(folders["Pooling"])
    _check_weights(transformer, config, width)
    return Layout(
        folder=folder.resolve(),
        modules=kinds,
        transformer=transformer.resolve(),
        config=config,
        dimension=_dimension(folders, pooling, width),
        window=_window(transformer, config, text),
        pooling=pooling,
        normalize=kinds[-1] == "Normalize",
        prompt=_prompt(folder),
        lowercase=bool(text.get("do_lower_case", False)),
    )


def _static_layout(folder: Path, kinds: tuple[str, ...], inner: Path) -> Layout:
    """The layout of a model of one vector per token.

    It reads texts of any length; the window, by which texts are cut, is that of its settings, such
    as the model has that it was distilled from.
    """
    path = inner / "model.safetensors"
    shapes = weight_shapes(path) if path.exists() else {}
    if len(shapes) != 1 or not shapes.keys() <= _STATIC_WEIGHTS:
        raise ModelLoadError(
            f"{path} holds {', '.join(shapes) or 'nothing'}, not one vector per token.",
            "Save the model with Sentence Transformers, without quantized vocabulary.",
        )
    [(_, dimension)] = shapes.values()
    text = _transformer_settings(inner)
    return Layout(
        folder=folder.resolve(),
        modules=kinds,
        transformer=inner.resolve(),
        config={},
        dimension=dimension,
        window=int(text.get("max_seq_length") or _STATIC_WINDOW),
        pooling="mean",
        normalize=kinds[-1] == "Normalize",
        prompt=_prompt(folder),
        lowercase=False,
    )


def read_json(path: Path) -> Any:
    """The content of a JSON file of a model; ModelLoadError names the file when it has none."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError as error:
        problem = f"{path.parent} is no Sentence Transformers folder: {path.name} is missing."
        raise ModelLoadError(problem, _MEND) from error
    except (OSError, ValueError) as error:
        raise ModelLoadError(f"{path} cannot be read: {error}.", _MEND) from error


def weight_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of each tensor in a safetensors file, from its header alone.

    Raises ModelDamagedError when the file is shorter or longer than its header says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        length = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size
        header = file.read(length) if length <= size - 8 else b""
    try:
        tensors = {name: entry for name, entry in json.loads(header).items() if name[0] != "_"}
        end = 8 + length + max(entry["data_offsets"][1] for entry in tensors.values())
    except ValueError as error:
        raise ModelDamagedError(f"The weights {path} are truncated or damaged.", _MEND) from error
    if end != size:
        raise ModelDamagedError(
            f"The weights {path} have {size} bytes, but their header says {end}.", _MEND
        )
    return {name: tuple(entry["shape"]) for name, entry in tensors.items()}


def _transformer_settings(transformer: Path) -> dict[str, Any]:
    paths = sorted(transformer.glob("sentence_*_config.json"))
    return dict(read_json(paths[0])) if paths else {}


def _pooling(folder: Path) -> tuple[str, int]:
    config = read_json(folder / "config.json")
    modes = config.get("pooling_mode")
    if modes is None:
        modes = [mode for flag, mode in _POOLING_FLAGS.items() if config.get(flag)] or "mean"
    if not config.get("include_prompt", True):
        raise ModelLoadError(
            f"{folder} leaves the prompt out of the pooling, which is not supported.",
            "Choose a model whose pooling includes the prompt.",
        )
    width = config.get("embedding_dimension") or config.get("word_embedding_dimension")
    if not isinstance(width, int):
        raise ModelLoadError(f"{folder / 'config.json'} names no embedding dimension.", _MEND)
    return modes if isinstance(modes, str) else "+".join(modes), width


def _dimension(folders: dict[str, Path], pooling: str, width: int) -> int:
    if "Dense" in folders:
        return int(read_json(folders["Dense"] / "config.json")["out_features"])
    return width * len(pooling.split("+"))


def _window(transformer: Path, config: dict[str, Any], text: dict[str, Any]) -> int:
    path = transformer / "tokenizer_config.json"
    tokenizer = read_json(path) if path.exists() else {}
    positions = config.get("max_position_embeddings", math.inf)
    if config.get("model_type") in _PAD_OFFSET:
        positions -= config.get("pad_token_id", 1) + 1
    asked = text.get("max_seq_length") or tokenizer.get("model_max_length") or math.inf
    window = min(asked, positions) - _special_tokens(transformer)
    if not 1 <= window < 1e6:
        raise ModelLoadError(
            f"{transformer} gives no usable window: max_seq_length {asked}, positions {positions}.",
            "Set max_seq_length in its sentence_bert_config.json.",
        )
    return int(window)


def _special_tokens(transformer: Path) -> int:
    from embedding_assets.embedding.windows import read_tokenizer

    return int(read_tokenizer(transformer).num_special_tokens_to_add(is_pair=False))


def _prompt(folder: Path) -> str:
    path = folder / "config_sentence_transformers.json"
    config = read_json(path) if path.exists() else {}
    name = config.get("default_prompt_name")
    return str(config.get("prompts", {}).get(name) or "") if name else ""


def _check_weights(transformer: Path, config: dict[str, Any], width: int) -> None:
    hidden = config.get("hidden_size", config.get("dim", width))
    if hidden != width:
        raise ModelLoadError(
            f"The pooling of {transformer} expects {width} dimensions, its network has {hidden}.",
            _MEND,
        )
    weights = sorted(transformer.glob("*.safetensors"))
    if not weights and not list(transformer.glob("*.bin")):
        raise ModelLoadError(f"{transformer} holds no weights (model.safetensors).", _MEND)
    for path in weights:
        for name, shape in weight_shapes(path).items():
            if name.endswith("word_embeddings.weight") and "hidden_size" in config:
                _check_width(path, shape[-1], config.get("embedding_size", hidden))


def _check_width(path: Path, found: int, expected: int) -> None:
    if found != expected:
        raise ModelLoadError(
            f"The weights {path} have {found} dimensions, but config.json says {expected}.", _MEND
        )
