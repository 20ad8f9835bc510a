from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.outcomes import AppOutcomes, unit
from embedding_assets.errors import InputError

APPS = AppOutcomes(
    ("b", "a", "c"),
    np.array([[1, 0], [0, 2], [3, 4]], dtype=np.float32),
    ("Games", None, "News"),
    ("ios", "android", None),
    np.array([1, 0, 2]),
    np.array([10, 0, 20]),
)


def test_tables_are_joined_by_id_in_the_order_of_the_vectors():
    catalogue = pa.table(
        {
            "app_id": ["a", "b"],
            "super_category": [None, "Games"],
            "app_platform": ["android", "ios"],
        }
    )
    vectors = pa.table(
        {
            "app_id": ["b", "a", "c"],
            "vector": pa.array([[1, 0], [0, 2], [3, 4]], pa.list_(pa.float32())),
        }
    )
    performance = pa.table(
        {"app_id": ["c", "b", "x"], "clicks": [2, 1, 9], "impressions": [20, 10, 9]}
    )
    found = AppOutcomes.from_tables(catalogue, vectors, performance)
    assert found.app_ids == ("b", "a", "c")
    assert found.vectors.dtype == np.float32
    assert found.vectors.tolist() == [[1, 0], [0, 2], [3, 4]]
    assert found.categories == ("Games", None, None)
    assert found.platforms == ("ios", "android", None)
    assert (found.clicks.tolist(), found.impressions.tolist()) == ([1, 0, 2], [10, 0, 20])


def test_empty_tables_are_no_apps():
    text, count = pa.string(), pa.int64()
    found = AppOutcomes.from_tables(
        pa.schema({"app_id": text, "super_category": text, "app_platform": text}).empty_table(),
        pa.schema({"app_id": text, "vector": pa.list_(pa.float32())}).empty_table(),
        pa.schema({"app_id": text, "clicks": count, "impressions": count}).empty_table(),
    )
    assert found.app_ids == ()


def test_only_apps_with_impressions_were_observed_and_they_are_in_the_order_of_their_ids():
    found = replace(APPS, impressions=np.array([10, 5, 0]), clicks=np.array([1, 0, 0])).observed()
    assert found.app_ids == ("a", "b")
    assert found.categories == (None, "Games")
    assert found.vectors.tolist() == [[0, 2], [1, 0]]
    assert found.impressions.tolist() == [5, 10]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"clicks": np.array([1, 0, 21])},
            "1 of 3 apps have clicks below 0 or above.*the first is 'c'",
        ),
        ({"clicks": np.array([-1, 0, 21])}, "2 of 3 apps have clicks.*the first is 'b'"),
        ({"app_ids": ("a", "a", "c")}, "id stands twice"),
        (
            {"vectors": np.array([[1, 0], [np.nan, 2], [3, 4]], dtype=np.float32)},
            "1 of 3 apps have a vector that is not finite; the first is 'a'",
        ),
    ],
)
def test_apps_that_contradict_themselves_are_refused(change, problem):
    with pytest.raises(InputError, match=problem):
        replace(APPS, **change)


def test_columns_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="'categories': 2"):
        replace(APPS, categories=("Games", None))


def test_directions_have_the_length_1_and_zeros_stay():
    found = unit(np.array([[3, 4], [0, 0]], dtype=np.float32))
    assert found == pytest.approx(np.array([[0.6, 0.8], [0, 0]]))
