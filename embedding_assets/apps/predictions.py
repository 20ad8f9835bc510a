"""What each model of performance expected while it was live, and what came of it.

A model is fitted anew when outcomes arrive, so that its own expectations would be gone just when
they could be compared. They are kept with the counts of that moment: the next ones less these are
what arrived while it was live.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from embedding_assets.apps.outcomes import AppOutcomes
from embedding_assets.apps.performance import PerformanceModel
from embedding_assets.apps.slices import write_model
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import Footer, Slice

PREDICTION_SCHEMA = pa.schema(
    [
        pa.field("version", pa.string(), nullable=False),
        pa.field("app_id", pa.string(), nullable=False),
        pa.field("rate", pa.float64(), nullable=False),
        pa.field("low", pa.float64(), nullable=False),
        pa.field("high", pa.float64(), nullable=False),
        pa.field("clicks", pa.int64(), nullable=False),
        pa.field("impressions", pa.int64(), nullable=False),
    ]
)
"""Of each app the click rate that was expected, as if its own were not known, and its counts."""
FEWEST_SHOWN = 20
"""Apps with new impressions that a judgement needs."""
_KEPT = 60
_TOLERATED = 0.05
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AppTables:
    """What is stored of apps, and what the models before expected."""

    catalogue: ParquetTable
    vectors: ParquetTable
    performance: ParquetTable
    models: ParquetTable
    predictions: ParquetTable


def prediction_slices(tables: AppTables, now: datetime) -> Iterator[Slice]:
    """What the model of each version expects, where it is not the one whose expectations were
    kept last; the oldest go."""
    for version in tables.models.keys():
        model, kept = tables.models.footer(version), prediction_keys(tables.predictions, version)
        last = tables.predictions.footer(kept[-1]) if kept else None
        if model is None or not tables.vectors.footer(version):
            continue
        if last is None or last.digest != model.digest:
            for key in kept[: max(0, len(kept) + 1 - _KEPT)]:
                tables.predictions.remove(key)
            number = _number(last, len(kept) - 1) + 1 if last else 0
            yield _slice(tables, Kept(version, model.digest, number), now)


@dataclass(frozen=True)
class Kept:
    """What a model expects. number: of the models of that version that were kept before it, those
    included that are gone since."""

    version: str
    digest: str
    number: int


def _number(footer: Footer, place: int) -> int:
    """place: of what was kept before numbers were."""
    return int(footer.stats.get("number", place))


def prediction_keys(table: ParquetTable, version: str) -> list[str]:
    """The keys of what was kept of a version, the oldest first."""
    return [key for key in table.keys() if key.rpartition("@")[0] == version]


def _slice(tables: AppTables, kept: Kept, now: datetime) -> Slice:
    version = kept.version

    def made() -> list[pa.RecordBatch]:
        apps = AppOutcomes.from_tables(
            tables.catalogue.read(), tables.vectors.read(version), tables.performance.read()
        )
        with tempfile.TemporaryDirectory(prefix="embedding_assets-") as name:
            write_model(tables.models, version, Path(name))
            model = PerformanceModel.load(Path(name))
        found = model.predict_many(apps.vectors, apps.categories, apps.platforms, apps.app_ids)
        columns = {
            "version": [version] * len(found),
            "app_id": [*apps.app_ids],
            **{name: [getattr(each, name) for each in found] for name in ("rate", "low", "high")},
            "clicks": apps.clicks,
            "impressions": apps.impressions,
        }
        batches: list[pa.RecordBatch] = pa.table(columns, schema=PREDICTION_SCHEMA).to_batches()
        return batches

    key = f"{version}@{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"
    stats = {
        "version": version, "model": kept.digest[:12], "since": now.isoformat(),
        "number": kept.number,
    }  # fmt: skip
    return Slice(key, kept.digest, PREDICTION_SCHEMA, made, stats)


@dataclass(frozen=True)
class Arrival:
    """Outcomes that arrived while a model was live. number: of its version, from 1 since it is
    known, and not since the first that is still kept.

    expected: float64 [n], the clicks of each app by the model; plain: by the mean rate that was
    known; clicks, impressions: what came. corrected: apps whose counts were made smaller, which
    say nothing.
    """

    version: str
    model: str
    number: int
    at: datetime
    expected: Floats
    plain: Floats
    clicks: Floats
    impressions: Floats
    corrected: int


def arrivals(table: ParquetTable, version: str) -> Iterator[Arrival]:
    """What arrived between the models of a version that were live, in their order."""
    keys = prediction_keys(table, version)
    for place, both in enumerate(zip(keys, keys[1:], strict=False), start=1):
        found = _arrival(table, version, both, place)
        if found is not None:
            yield found


def _arrival(
    table: ParquetTable, version: str, keys: tuple[str, str], place: int
) -> Arrival | None:
    before, after = (table.read(key) for key in keys)
    footers = [table.footer(key) for key in keys]
    assert footers[0] is not None and footers[1] is not None
    rows = {app_id: row for row, app_id in enumerate(after["app_id"].to_pylist())}
    both = [(n, rows[a]) for n, a in enumerate(before["app_id"].to_pylist()) if a in rows]
    old, new = (np.array(each, dtype=np.int64) for each in zip(*both, strict=True)) if both else (
        np.empty(0, np.int64), np.empty(0, np.int64)
    )  # fmt: skip
    clicks, impressions = (
        after[name].to_numpy()[new].astype(float) - before[name].to_numpy()[old]
        for name in ("clicks", "impressions")
    )
    usable = (impressions > 0) & (clicks >= 0) & (clicks <= impressions)
    if not usable.any():
        return None
    shown = impressions[usable]
    known = float(before["clicks"].to_numpy().sum()), float(before["impressions"].to_numpy().sum())
    mean = known[0] / known[1] if known[1] else 0.5
    return Arrival(
        version, str(footers[0].stats["model"]), _number(footers[1], place),
        datetime.fromisoformat(footers[1].stats["since"]),
        before["rate"].to_numpy()[old][usable] * shown, np.asarray(mean * shown), clicks[usable],
        shown, int(((impressions < 0) | (clicks < 0)).sum()),
    )  # fmt: skip


def arrival_row(arrival: Arrival, level: float) -> dict[str, Any]:
    """How an arrival stands to what was expected (LIVE_SCHEMA): observed and expected click rates.

    Apps are the units: their clicks are compared with their expectations by a t-test that allows
    each app its own spread. `worse` is what is off by more than a twentieth, by a p-value below
    the part of `level` that belongs to this arrival, 6 / (pi n)^2, so that all arrivals together
    are wrong with the probability `level` at most.
    """
    from scipy.stats import t

    shown, apps = float(arrival.impressions.sum()), len(arrival.clicks)
    observed, expected = (float(each.sum()) / shown for each in (arrival.clicks, arrival.expected))
    row = {
        "domain": "apps", "measure": "click rate against the model's prediction",
        "model": f"{arrival.version} {arrival.model}", "day": arrival.at.date(),
        "trials": int(shown), "observed": observed, "expected": expected,
        "p_value": None, "verdict": "not judged", "reason": None, "proposal": None,
        "current": False,
    }  # fmt: skip
    if apps < FEWEST_SHOWN:
        few = f"too few to judge: {apps} apps were shown, of at least {FEWEST_SHOWN}"
        return row | {"reason": few}
    gaps = arrival.clicks - arrival.expected
    error = float(np.sqrt(np.square(gaps).sum()))
    score = abs(float(gaps.sum())) / error if error > 0 else 0.0
    p_value = float(2 * t.sf(score, apps - 1))
    share = 6.0 * level / (np.pi * arrival.number) ** 2
    is_off = abs(observed / expected - 1.0) > _TOLERATED if expected > 0 else observed > 0
    verdict = "worse" if is_off and p_value <= share else "watch" if p_value <= level else "fine"
    said = f"log loss {_loss(arrival, arrival.expected):.5f}, of the mean rate alone "
    said += f"{_loss(arrival, arrival.plain):.5f}"
    return row | {"p_value": p_value, "verdict": verdict, "reason": said}


def _loss(arrival: Arrival, expected: Sequence[float] | Floats) -> float:
    """Per impression."""
    rates = np.clip(np.asarray(expected) / arrival.impressions, 1e-9, 1 - 1e-9)
    missed = arrival.impressions - arrival.clicks
    total = arrival.clicks * np.log(rates) + missed * np.log1p(-rates)
    return float(-total.sum() / arrival.impressions.sum())
