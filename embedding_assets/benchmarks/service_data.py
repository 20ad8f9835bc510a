"""Indexes for the service to answer from, and requests that no cache has seen."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from embedding_assets.apps.index import AppSource, VectorSource, build_app_index
from embedding_assets.apps.listing import INDEXED_SCHEMA
from embedding_assets.benchmarks.load import Request
from embedding_assets.benchmarks.passages import make_passages
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.search.build import IndexSource, build_index
from embedding_assets.search.manifest import IndexModel
from embedding_assets.settings import load_settings
from embedding_assets.workspace import Workspace

_CATEGORIES = 25
_PLATFORMS = ("android", "ios", "web")
_DIMENSIONS = {"v1": 64, "v2": 128}


@dataclass
class Data:
    """What can be asked for. queries: words of passages; asked: how many of them were used."""

    apps: int
    queries: list[str]
    asked: int = 0

    def requests(self, endpoint: str, count: int) -> Iterator[Request]:
        """`count` requests to an endpoint, each with a text of its own."""
        for _ in range(count):
            self.asked += 1
            yield self._request(endpoint, self.asked)

    def _request(self, endpoint: str, number: int) -> Request:
        # The number keeps a text from being one that was asked before.
        text = f"{self.queries[number % len(self.queries)]} {number}"
        if endpoint == "find-similar":
            app_id = f"APP_{number * 7919 % self.apps:05}"
            return _post("/find-similar", {"app_id": app_id, "version": "v2", "k": 20})
        if endpoint == "search hybrid":
            return _post("/search", {"query": text, "mode": "hybrid", "k": 10})
        if endpoint == "embed":
            return _post("/embed", {"texts": [text]})
        return Request("/health/live")


def prepare(data_dir: Path, apps: int, passages: int) -> Data:
    """Build both indexes below `data_dir` with vectors around topics, by the settings' model."""
    workspace = Workspace(load_settings(data_dir=data_dir)).ensure()
    model = IndexModel(
        workspace.settings.model.name, "1", workspace.fingerprint, workspace.model.dimension
    )
    made = make_passages(passages, queries=min(1_000, passages), seed=0)
    digests = dict.fromkeys(made.doc_ids, "1")
    build_index(workspace.library.snapshots, IndexSource(model, digests, lambda _: made.batches()))
    workspace.switch_model()
    build_app_index(workspace.catalogue.snapshots, _apps(workspace, apps))
    return Data(apps, made.queries)


def _apps(workspace: Workspace, count: int) -> AppSource:
    chance = np.random.default_rng(0)
    topics = chance.integers(_CATEGORIES, size=count)
    ids = [f"APP_{number:05}" for number in range(count)]
    columns = {
        "app_id": ids,
        "app_name": [f"App {number}" for number in range(count)],
        "super_category": [f"Category {topic}" for topic in topics],
        "app_platform": [_PLATFORMS[number % 3] for number in range(count)],
    }
    empty = {name: [None] * count for name in INDEXED_SCHEMA.names if name not in columns}
    table = pa.Table.from_pydict({**columns, **empty}, INDEXED_SCHEMA)
    return AppSource(
        digest="generated",
        apps=lambda: table,
        versions={
            name: VectorSource(name, partial(_vectors, ids, topics, dimension))
            for name, dimension in _DIMENSIONS.items()
        },
        predicts=None,
        encode=lambda texts: workspace.encoder.encode(texts).vectors,
        text_model=workspace.fingerprint,
    )


def _vectors(ids: list[str], topics: np.ndarray, dimension: int) -> tuple[list[str], Vectors]:
    """Vectors around the centres of topics."""
    chance = np.random.default_rng(dimension)
    centres = chance.standard_normal((_CATEGORIES, dimension))
    noise = chance.standard_normal((len(topics), dimension))
    return ids, np.asarray(centres[topics] + noise, dtype=np.float32)


def _post(path: str, body: object) -> Request:
    return Request(path, json.dumps(body).encode())
