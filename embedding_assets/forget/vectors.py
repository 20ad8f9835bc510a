"""The computed vectors of forgotten texts, in the stores of all models."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from embedding_assets.embedding.store import VectorStore, text_keys
from embedding_assets.storage.files import published
from embedding_assets.storage.lock import locked

_KEY_TYPE = "S32"


@dataclass(frozen=True)
class DoomedVectors:
    """The vectors that are to go, remembered in a file until they are gone.

    The texts are gone before their vectors, as nobody must find them meanwhile; whoever is killed
    in between leaves the file, and the next one finishes.

    root: the stores, one folder for each model fingerprint. path: where the keys are remembered;
    a key is a hash of fingerprint and text.
    """

    root: Path
    path: Path

    def add(self, texts: Sequence[str]) -> None:
        """Doom the vectors of some texts under every model."""
        if not texts or not (models := self._models()):
            return
        doomed = self._read()
        for model in models:
            keys = text_keys(texts, model).tolist()
            doomed[model] = doomed.get(model, set()) | set(keys)
        entries = {
            model: sorted(key.ljust(32, b"\0").hex() for key in keys)
            for model, keys in doomed.items()
        }
        with published(self.path) as staged:
            staged.write_text(json.dumps(entries))

    def remove(self, used: Iterable[Sequence[str]], timeout_seconds: float) -> int:
        """Remove the doomed vectors but for those of texts that are still `used`; how many went.

        Raises StoreLockedError, StoreDamagedError, OutputError subclasses.
        """
        doomed = self._read()
        if not doomed:
            return 0
        for texts in used:
            for model, keys in doomed.items():
                keys.difference_update(text_keys(texts, model).tolist())
        with locked(self.root / "upkeep.lock", timeout_seconds):
            removed = sum(
                VectorStore(self.root, model, 0).remove(np.array(sorted(keys), dtype=_KEY_TYPE))
                for model, keys in doomed.items()
                if keys
            )
        self.path.unlink()
        return removed

    def _models(self) -> list[str]:
        return sorted(folder.name for folder in self.root.glob("*") if folder.is_dir())

    def _read(self) -> dict[str, set[bytes]]:
        """The keys by model, as NumPy has them: without trailing zeros."""
        if not self.path.exists():
            return {}
        entries: dict[str, list[str]] = json.loads(self.path.read_text())
        return {
            model: set(np.array([bytes.fromhex(key) for key in keys], dtype=_KEY_TYPE).tolist())
            for model, keys in entries.items()
        }
