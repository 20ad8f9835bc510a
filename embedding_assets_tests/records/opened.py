"""The data folder of a shop as a workspace, with an encoder that needs no model."""

from dataclasses import dataclass
from types import SimpleNamespace

from embedding_assets.settings import Settings
from embedding_assets.workspace import Workspace, open_workspace


@dataclass(frozen=True)
class Precision:
    precision: str = "float32"
    backend: str = "none"
    min_cosine: float = 1.0


def environment(shop):
    """The settings of the shop's workspace as variables."""
    return {
        "EMBEDDING_ASSETS_DATA_DIR": str(shop.out),
        "EMBEDDING_ASSETS_RECORDS__SOURCE": str(shop.source),
        "EMBEDDING_ASSETS_RECORDS__START_DATE": str(shop.days.start),
        "EMBEDDING_ASSETS_RECORDS__HISTORY_DAYS": str(shop.days.history_days),
        "EMBEDDING_ASSETS_SIMILARITY__TOP": "3",
        "EMBEDDING_ASSETS_STORAGE__LOCK_TIMEOUT_SECONDS": "0.1",
    }


def open_shop(shop, monkeypatch, encoder=None) -> Workspace:
    """The workspace that this process's settings name too: the command line opens the same."""
    for name, value in environment(shop).items():
        monkeypatch.setenv(name, value)
    encoder = encoder or shop.encoder
    workspace = open_workspace(Settings())
    workspace.__dict__.update(
        encoder=encoder,
        fingerprint=encoder.fingerprint,
        model=SimpleNamespace(dimension=encoder.dimension, window=encoder.window),
        precision=Precision(),
        count_tokens=encoder.count_tokens,
    )
    workspace.__dict__.pop("vectors", None)
    return workspace
