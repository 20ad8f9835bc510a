"""What each model folder held when it first made vectors in a data folder."""

import hashlib
import json
from pathlib import Path

from embedding_assets.embedding.model import ModelFiles
from embedding_assets.errors import ModelDamagedError, StoreDamagedError
from embedding_assets.storage.files import published


def require_unchanged(model: ModelFiles, models_dir: Path) -> None:
    """Refuse a folder whose files are not those that made vectors here before.

    Raises ModelDamagedError.
    """
    known = _known_content(_path(model, models_dir))
    if known not in (None, model.content_sha256):
        raise ModelDamagedError(
            f"The files in {model.folder} have the fingerprint {model.content_sha256[:12]}, not "
            f"{known[:12]} as when they were first used here: they are damaged or were replaced.",
            "Restore the model's files; a new version needs a folder of its own.",
        )


def remember(model: ModelFiles, models_dir: Path) -> None:
    """Note what the folder of a model that works holds."""
    path = _path(model, models_dir)
    if not path.exists():
        entry = {"folder": str(model.folder), "content_sha256": model.content_sha256}
        with published(path) as staged:
            staged.write_text(json.dumps(entry, indent=2) + "\n")


def _path(model: ModelFiles, models_dir: Path) -> Path:
    name = hashlib.sha256(str(model.folder).encode("utf-8", "surrogateescape")).hexdigest()
    return models_dir / "folders" / f"{name}.json"


def _known_content(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_bytes())["content_sha256"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreDamagedError(
            f"{path} cannot be read.", "Delete the file; the model is then taken as it is now."
        ) from error
