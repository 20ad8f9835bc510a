from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.outcomes import AppOutcomes
from embedding_assets.apps.predictions import (
    PREDICTION_SCHEMA,
    AppTables,
    arrival_row,
    arrivals,
    prediction_keys,
    prediction_slices,
)
from embedding_assets.apps.slices import APP_VECTOR_SCHEMA, model_slice
from embedding_assets.apps.tables import CATALOGUE_SCHEMA, PERFORMANCE_SCHEMA
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import digest_of, table_slice

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPS = [f"app {n}" for n in range(60)]
RATES = np.repeat([0.02, 0.1, 0.2], 20)


@pytest.fixture
def tables(tmp_path):
    names = ("app_catalogue", "app_vectors", "app_performance", "performance_model")
    return AppTables(*(ParquetTable.at(tmp_path / name) for name in (*names, "app_predictions")))


def store(table, rows, schema, key=None):
    table.write(table_slice(pa.table(rows, schema=schema), digest_of(str(rows)), key))


def shown(clicks, impressions):
    nothing = [None] * len(APPS)
    return [APPS, np.asarray(clicks), np.asarray(impressions), nothing, nothing]


def outcomes_arrive(tables, clicks, impressions, hours):
    """Outcomes are summed, the model fitted anew, and its expectations kept."""
    store(tables.performance, shown(clicks, impressions), PERFORMANCE_SCHEMA)
    part = model_slice("v1", tables.catalogue, tables.vectors, tables.performance)
    tables.models.write(part)
    for each in prediction_slices(tables, NOW + timedelta(hours=hours)):
        tables.predictions.write(each)


@pytest.fixture
def live(tables):
    """A model that knows 1,000 impressions of each app."""
    kinds = [f"kind {n // 20}" for n in range(60)]
    store(tables.catalogue, [APPS, APPS, kinds, ["ios"] * 60], CATALOGUE_SCHEMA)
    vectors = [*np.eye(3, dtype=np.float32)[np.repeat([0, 1, 2], 20)]]
    store(tables.vectors, [APPS, vectors, [None] * 60, ["v1"] * 60], APP_VECTOR_SCHEMA, "v1")
    outcomes_arrive(tables, RATES * 1_000, [1_000] * 60, hours=0)
    return tables


def test_what_a_model_expects_is_kept_once_with_the_counts_of_that_moment(live):
    [key] = prediction_keys(live.predictions, "v1")
    kept = live.predictions.read(key)
    assert kept.schema == PREDICTION_SCHEMA
    assert kept["impressions"].to_pylist() == [1_000] * 60
    assert np.corrcoef(kept["rate"], RATES)[0, 1] > 0.9
    assert list(prediction_slices(live, NOW + timedelta(hours=1))) == []
    assert list(arrivals(live.predictions, "v1")) == []


def test_outcomes_that_come_as_expected_are_fine(live):
    more = np.random.default_rng(0).binomial(1_000, RATES)
    outcomes_arrive(live, RATES * 1_000 + more, [2_000] * 60, hours=5)
    [arrival] = arrivals(live.predictions, "v1")
    assert arrival.clicks.tolist() == more.tolist()
    assert arrival.at == NOW + timedelta(hours=5)
    row = arrival_row(arrival, 0.05)
    assert row["verdict"] == "fine"
    assert row["observed"] == pytest.approx(row["expected"], rel=0.1)
    assert (row["day"], row["trials"]) == (NOW.date(), 60_000)


def test_outcomes_far_from_what_was_expected_are_worse(live):
    outcomes_arrive(live, RATES * 1_500, [2_000] * 60, hours=5)
    [arrival] = arrivals(live.predictions, "v1")
    row = arrival_row(arrival, 0.05)
    assert (row["verdict"], arrival.number) == ("worse", 1)
    assert row["observed"] == pytest.approx(row["expected"] / 2, rel=0.1)


def test_arrivals_are_numbered_on_though_the_oldest_expectations_go(live, monkeypatch):
    """Else each one would be judged at the level of the last that is kept, for ever."""
    monkeypatch.setattr("embedding_assets.apps.predictions._KEPT", 3)
    for number in range(1, 6):
        shown_in_all = 1_000 * (number + 1)
        outcomes_arrive(live, RATES * shown_in_all + number, [shown_in_all] * 60, hours=number)
    assert [each.number for each in arrivals(live.predictions, "v1")] == [4, 5]


def test_counts_that_were_corrected_downwards_say_nothing(live):
    clicks, impressions = RATES * 1_000, np.full(60, 2_000)
    impressions[:5] = 500
    clicks[:5] = 0
    outcomes_arrive(live, clicks, impressions, hours=5)
    [arrival] = arrivals(live.predictions, "v1")
    assert (arrival.corrected, len(arrival.clicks)) == (5, 55)


def test_few_apps_are_not_judged(live):
    impressions = np.full(60, 1_000)
    impressions[:3] = 1_200
    outcomes_arrive(live, RATES * 1_000, impressions, hours=5)
    [arrival] = arrivals(live.predictions, "v1")
    row = arrival_row(arrival, 0.05)
    assert (row["verdict"], row["p_value"]) == ("not judged", None)
    assert "3 apps" in row["reason"]


def test_expectations_of_apps_as_if_their_own_clicks_were_not_known(live):
    """One app unlike its kind is expected to be like its kind."""
    clicks = RATES * 1_000
    clicks[0] = 900
    outcomes_arrive(live, clicks, [1_001] * 60, hours=5)
    newest = live.predictions.read(prediction_keys(live.predictions, "v1")[-1])
    assert newest["rate"][0].as_py() < 0.3
    assert AppOutcomes.from_tables(
        live.catalogue.read(), live.vectors.read("v1"), live.performance.read()
    ).clicks[0] == 900  # fmt: skip
