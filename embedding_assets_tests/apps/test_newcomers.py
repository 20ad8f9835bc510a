import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.metadata import AppQuery, Metadata
from embedding_assets.apps.newcomers import (
    NEIGHBOURS,
    PROJECTION,
    fit,
)
from embedding_assets.apps.placing import Known, Weights, unit
from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.errors import InputError

ENCODER = HashingEncoder(128)
WEIGHTS = Weights(8.0, 2.0, 4.0)


def encode(texts):
    return ENCODER.encode(texts).vectors


def known(vectors, names, categories, platforms):
    table = {"app_name": names, "super_category": categories, "app_platform": platforms}
    columns = {name: pa.array(values, pa.string()) for name, values in table.items()}
    return Known(unit(np.array(vectors, dtype=np.float32)), Metadata.of(pa.table(columns)))


def drawn(spread, apps=240, seed=3):
    """Apps whose vectors lie around the centre of their category and that of their word."""
    chance = np.random.default_rng(seed)
    categories, word = chance.integers(4, size=apps), chance.integers(6, size=apps)
    centres, words = chance.normal(size=(4, 16)), chance.normal(size=(6, 16))
    vectors = centres[categories] + words[word] + spread * chance.normal(size=(apps, 16))
    names = [f"word{each} number{row}" for row, each in enumerate(word)]
    platforms = ["ios" if each else None for each in chance.integers(2, size=apps)]
    return known(vectors, names, [f"category{each}" for each in categories], platforms)


SMALL = known(
    [[1, 0, 0], [0.8, 0.6, 0], [0, 0, 1]],
    ["Chess", "Checkers", "Weather"],
    ["Games", "Games", "Tools"],
    ["ios", "android", "ios"],
)


def test_an_app_that_shares_only_its_category_is_placed_at_its_middle():
    vector = SMALL.by_neighbours(AppQuery(category="games"), WEIGHTS)
    assert vector == pytest.approx(unit(np.array([[1.8, 0.6, 0]]))[0], abs=2e-3)


def test_an_app_that_shares_all_is_placed_next_to_that_app():
    vector = SMALL.by_neighbours(AppQuery("Chess", "Games", "ios"), WEIGHTS)
    assert vector @ SMALL.vectors[0] > 0.99


def test_an_app_that_shares_nothing_is_refused_with_the_categories_there_are():
    with pytest.raises(InputError, match=r"No app shares.*Games, Tools"):
        SMALL.by_neighbours(AppQuery("Radio", "Music", "web"), WEIGHTS)


def test_both_ways_find_more_than_the_baselines_where_metadata_tells_something():
    newcomers, projection = fit(drawn(0.2), encode, "model")
    placing = newcomers.listed
    figures = placing.figures
    assert set(figures) == {PROJECTION, NEIGHBOURS, "category_mean", "random"}
    for way in (PROJECTION, NEIGHBOURS):
        assert figures[way].recall > figures["category_mean"].recall > figures["random"].recall
        assert figures[way].cosine > 0.8
    best = max((PROJECTION, NEIGHBOURS), key=lambda way: figures[way].recall)
    assert placing.method == best
    methods = {newcomers.listed.method, newcomers.unlisted.method}
    assert (projection is not None) == (PROJECTION in methods)
    assert (placing.apps, placing.among, newcomers.text_model) == (240, 192, "model")


def test_an_app_of_an_unknown_category_is_placed_by_what_else_is_known_of_it():
    apps = drawn(0.2)
    newcomers, _ = fit(apps, encode, "model")
    figures = newcomers.unlisted.figures
    assert figures[newcomers.unlisted.method].recall > 2 * figures["random"].recall
    for way in (PROJECTION, NEIGHBOURS):
        assert figures[way].recall < newcomers.listed.figures[way].recall


def test_a_projection_is_chosen_where_only_the_text_tells_where_an_app_stands():
    chance = np.random.default_rng(0)
    names = [" ".join(f"w{each}" for each in chance.integers(12, size=4)) for _ in range(300)]
    plan = chance.normal(size=(128, 12))
    apps = known(encode([f"name: {name}" for name in names]) @ plan, names, [None] * 300,
                 [None] * 300)  # fmt: skip
    newcomers, projection = fit(apps, encode, "model")
    assert newcomers.listed.method == PROJECTION
    placed = projection.apply(encode([AppQuery(names[0]).text]))
    assert placed[0] @ apps.vectors[0] > 0.95


def test_metadata_that_tells_nothing_finds_no_more_than_chance():
    apps = drawn(0.2)
    shuffled = np.random.default_rng(1).permutation(len(apps.vectors))
    newcomers, _ = fit(Known(apps.vectors[shuffled], apps.metadata), encode, "model")
    placing = newcomers.listed
    chance = placing.figures["random"].recall
    assert placing.figures[placing.method].recall < 2 * chance + 0.05


@pytest.mark.parametrize("apps", [0, 1, 2])
def test_too_few_apps_are_not_measured_but_placed(apps):
    few = known(np.eye(3)[:apps].reshape(apps, 3), ["a"] * apps, ["Games"] * apps, [None] * apps)
    newcomers, _ = fit(few, encode, "model")
    for placing in (newcomers.listed, newcomers.unlisted):
        assert placing.method in (NEIGHBOURS, PROJECTION)
        assert (placing.figures == {}) == (apps < 2)
