"""A small index of apps: literal rows, and a folder that it is published in."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from embedding_assets.apps.index import AppSource, VectorSource, build_app_index
from embedding_assets.apps.listing import listed_apps
from embedding_assets.apps.service import SimilarityService
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.storage.slices import digest_of

ENCODER = HashingEncoder(64)
APPS = [
    ("chess", "Chess Puzzle", "Games", "ios", 90, 1_000),
    ("checkers", "Checkers Puzzle", "Games", "android", 60, 1_000),
    ("sudoku", "Sudoku", "games", "ios", 0, 0),
    ("weather", "Weather", "Tools", "ios", 10, 1_000),
    ("radio", None, None, None, None, None),
]
V1 = {
    "chess": [3.0, 0.0, 0.0],
    "checkers": [2.0, 1.0, 0.0],
    "sudoku": [1.0, 1.0, 0.0],
    "weather": [0.0, 0.0, 5.0],
    "radio": [0.0, 1.0, 1.0],
}
V2 = {"weather": [1.0, 0.0], "chess": [0.0, 1.0], "only-v2": [0.6, 0.8]}
CATALOGUE = pa.schema(
    [(name, pa.string()) for name in ("app_id", "app_name", "super_category", "app_platform")]
)


def tables(apps=APPS):
    """The catalogue and the performance of apps."""
    catalogue = pa.Table.from_pylist(
        [dict(zip(CATALOGUE.names, app[:4], strict=True)) for app in apps], CATALOGUE
    )
    performance = pa.Table.from_pylist(
        [
            {"app_id": app[0], "clicks": app[4], "impressions": app[5]}
            for app in apps
            if app[5] is not None
        ],
        pa.schema([("app_id", pa.string()), ("clicks", pa.int64()), ("impressions", pa.int64())]),
    )
    return catalogue, performance


def vectors(rows, model=None):
    def read():
        return [*rows], np.array([*rows.values()], dtype=np.float32)

    return VectorSource(digest_of(sorted(rows.items())), read, model)


def source(apps=APPS, v1=V1, v2=V2, **changes):
    encode = changes.pop("encode", lambda texts: ENCODER.encode(texts).vectors)
    made = AppSource(
        digest=digest_of(apps),
        apps=lambda: listed_apps(*tables(apps)),
        versions={"v1": vectors(v1), "v2": vectors(v2)},
        predicts=None,
        encode=encode,
        text_model=ENCODER.fingerprint,
    )
    return replace(made, **changes)


def published(snapshots, **changes):
    return build_app_index(snapshots, source(**changes))


def service(snapshots, encoder=ENCODER):
    return SimilarityService(snapshots, lambda fingerprint: encoder)
