import base64

import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.defs import pictures
from embedding_assets.defs.pictures import cuisine_map, length_histogram
from embedding_assets.storage.parquet import ParquetTable
from embedding_assets.storage.slices import table_slice

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def table(tmp_path):
    return ParquetTable.at(tmp_path / "latest")


@pytest.fixture
def drawn(monkeypatch):
    """The figures as they are handed over to become pictures."""
    figures = []
    markdown = pictures._markdown

    def seen(figure, title):
        figures.append(figure)
        return markdown(figure, title)

    monkeypatch.setattr(pictures, "_markdown", seen)
    return figures


def lengths(table, key, *tokens):
    table.write(table_slice(pa.table({"tokens": pa.array(tokens, pa.int32())}), "d", key))


def embedded(table, cuisines):
    vectors = np.random.default_rng(0).normal(size=(len(cuisines), 3)).astype(np.float32)
    columns = {f"embedding_{i}": vectors[:, i] for i in range(3)}
    ids = [f"a{i}" for i in range(len(cuisines))]
    rows = pa.table({"account_id": ids, **columns, "main_cuisine": pa.array(cuisines, pa.string())})
    table.write(table_slice(rows, "d"))


def png_of(value):
    text = value.md_str
    assert text.startswith("![") and text.endswith(")")
    return base64.b64decode(text.split("base64,")[1][:-1])


def shown(axes):
    return {each.get_label(): len(each.get_offsets()) for each in axes.collections}


def test_text_lengths_are_counted_over_the_days_asked_for(table, drawn):
    lengths(table, "a", 10, 20, 300, 400)
    lengths(table, "b", 30)
    assert png_of(length_histogram(table, ["a"], 254)).startswith(PNG)
    length_histogram(table, None, 254)
    one_day, all_days = (figure.axes[0] for figure in drawn)
    assert one_day.get_title(loc="left").startswith("4 texts; 50.0% longer than the window of 254")
    assert all_days.get_title(loc="left").startswith("5 texts; 40.0% longer")
    assert sum(bar.get_height() for bar in all_days.patches) == 5
    assert [line.get_xdata()[0] for line in all_days.lines] == [254]


def test_without_texts_there_is_no_picture(table):
    assert length_histogram(table, ["a"], 254).md_str == "No texts."
    lengths(table, "a")
    assert length_histogram(table, ["a"], 254).md_str == "No texts."


def test_a_map_has_one_point_per_account_coloured_by_cuisine(table, drawn):
    embedded(table, ["Thai"] * 5 + ["Italian"] * 3 + [None])
    assert png_of(cuisine_map(table)).startswith(PNG)
    [axes] = drawn[0].axes
    assert axes.get_title(loc="left") == "9 of 9 accounts by their latest embedding"
    found = shown(axes)
    assert {name: found[name] for name in ("Thai", "Italian", "none")} == {
        "Thai": 5, "Italian": 3, "none": 1,
    }  # fmt: skip
    assert sum(found.values()) == 9


def test_cuisines_beyond_the_named_ones_are_the_others(table, drawn):
    embedded(table, [f"Cuisine {n}" for n in range(pictures._NAMED_CUISINES) for _ in (0, 1)]
             + ["Rare", "Rarer"])  # fmt: skip
    cuisine_map(table)
    found = shown(drawn[0].axes[0])
    assert found.pop("others") == 2
    assert found == {f"Cuisine {n}": 2 for n in range(pictures._NAMED_CUISINES)}


def test_a_map_of_many_accounts_shows_a_fixed_sample(table, drawn, monkeypatch):
    monkeypatch.setattr(pictures, "_MOST_POINTS", 6)
    embedded(table, [f"C{n}" for n in range(9)])
    maps = [cuisine_map(table).md_str for _ in (0, 1)]
    assert maps[0] == maps[1]
    assert drawn[0].axes[0].get_title(loc="left").startswith("6 of 9 accounts")
    assert sum(shown(drawn[0].axes[0]).values()) == 6


@pytest.mark.parametrize("accounts", [0, 4])
def test_too_few_accounts_make_no_map(table, accounts):
    embedded(table, ["Thai"] * accounts)
    assert cuisine_map(table).md_str == "Too few embeddings for a map."
