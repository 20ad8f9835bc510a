"""Known apps with their vectors, metadata and what came of showing them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from embedding_assets.apps.rates import Rows
from embedding_assets.embedding.encoder import Vectors
from embedding_assets.errors import InputError


@dataclass(frozen=True)
class AppOutcomes:
    """What is known of n apps; None is unknown, and 0 impressions say nothing of the clicks.

    vectors: float32 [n, d], of any length. clicks, impressions: int64 [n].
    Raises InputError when an app has more clicks than impressions or a vector that is not finite,
    or when an id stands twice.
    """

    app_ids: tuple[str, ...]
    vectors: Vectors
    categories: tuple[str | None, ...]
    platforms: tuple[str | None, ...]
    clicks: Rows
    impressions: Rows

    def __post_init__(self) -> None:
        lengths = {name: len(value) for name, value in vars(self).items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"Not as many values of each: {lengths}")
        if len(set(self.app_ids)) < len(self.app_ids):
            raise InputError("An app's id stands twice.", "Give each app once, its counts summed.")
        wrong = np.flatnonzero((self.clicks < 0) | (self.clicks > self.impressions))
        self._refuse(wrong, "clicks below 0 or above their impressions", "Correct them.")
        wrong = np.flatnonzero(~np.isfinite(self.vectors).all(axis=1))
        self._refuse(wrong, "a vector that is not finite", "Compute it again.")

    @classmethod
    def from_tables(
        cls, catalogue: pa.Table, vectors: pa.Table, performance: pa.Table
    ) -> "AppOutcomes":
        """The apps that have a vector, in the order of `vectors`.

        What the other tables do not hold of an app is unknown, its counts are 0.
        """
        app_ids = tuple(vectors["app_id"].to_pylist())
        flat = vectors["vector"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        clicks, impressions = (_column(performance, name) for name in ("clicks", "impressions"))
        return cls(
            app_ids,
            flat.astype(np.float32).reshape(len(app_ids), -1 if len(app_ids) else 0),
            _looked_up(_column(catalogue, "super_category"), app_ids),
            _looked_up(_column(catalogue, "app_platform"), app_ids),
            np.array([clicks.get(app_id) or 0 for app_id in app_ids], dtype=np.int64),
            np.array([impressions.get(app_id) or 0 for app_id in app_ids], dtype=np.int64),
        )

    def observed(self) -> "AppOutcomes":
        """Those with impressions, by id: equal apps in any order are equal data."""
        order = sorted(
            np.flatnonzero(self.impressions > 0).tolist(), key=lambda row: self.app_ids[row]
        )
        return AppOutcomes(
            tuple(self.app_ids[row] for row in order),
            self.vectors[order],
            tuple(self.categories[row] for row in order),
            tuple(self.platforms[row] for row in order),
            self.clicks[order],
            self.impressions[order],
        )

    def _refuse(self, wrong: Rows, what: str, mend: str) -> None:
        if len(wrong):
            raise InputError(
                f"{len(wrong)} of {len(self.app_ids)} apps have {what}; the first is "
                f"{self.app_ids[wrong[0]]!r}.",
                mend,
            )


def unit(vectors: Vectors) -> Vectors:
    """float32 [n, d]: the directions of vectors; zeros stay zeros."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    directions: Vectors = np.asarray(vectors / np.where(lengths > 0, lengths, 1), dtype=np.float32)
    return directions


def _column(table: pa.Table, name: str) -> dict[str, Any]:
    return dict(zip(table["app_id"].to_pylist(), table[name].to_pylist(), strict=True))


def _looked_up(column: Mapping[str, str | None], app_ids: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(column.get(app_id) for app_id in app_ids)
