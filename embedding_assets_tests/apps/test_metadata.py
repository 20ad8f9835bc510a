import numpy as np
import pyarrow as pa
import pytest

from embedding_assets.apps.metadata import AppQuery, Labels, Metadata, Names, shared
from embedding_assets.errors import InputError

CHESS = AppQuery("Chess Masters", "Games", "iOS")


def apps(*rows):
    names, categories, platforms = zip(*rows, strict=True)
    return Metadata.of(
        pa.table({"app_name": names, "super_category": categories, "app_platform": platforms})
    )


@pytest.mark.parametrize(
    ("app", "text"),
    [
        (CHESS, "name: Chess Masters. category: Games. platform: iOS"),
        (AppQuery(category=" Games "), "category: Games"),
        (AppQuery(), ""),
    ],
)
def test_the_text_of_an_app_labels_what_is_known(app, text):
    assert app.text == text


def test_blank_metadata_is_no_metadata():
    with pytest.raises(InputError, match="Nothing is known"):
        AppQuery(" ", "", "\t").require_any()


def test_labels_are_compared_without_letter_case_and_shown_as_first_written():
    labels = Labels.of(["Games", None, "games", "Tools", ""])
    assert labels.codes.tolist() == [0, -1, 0, 1, -1]
    assert labels.is_one_of(["GAMES"]).tolist() == [True, False, True, False, False]
    assert labels.is_one_of(["unknown"]).tolist() == [False] * 5
    assert labels.close_to("gmaes") == ["Games"]
    assert labels.close_to("zzz") == ["Games", "Tools"]


def test_names_that_say_the_same_have_a_cosine_of_1():
    names = Names.of(["Chess Masters", "Weather", None, "Chess"])
    cosines = names.cosines("chess master")
    assert cosines[0] == pytest.approx(1.0)
    assert cosines[1:3].tolist() == [0.0, 0.0]
    assert 0.0 < cosines[3] < 1.0


def test_a_rare_word_counts_for_more_than_a_frequent_one():
    names = Names.of(["Chess Pro", "Weather Pro", "Notes Pro", "Radio Pro"])
    assert names.cosines("Chess")[0] > names.cosines("Pro")[0]


def test_words_that_no_name_has_lower_the_cosine():
    names = Names.of(["Chess", "Weather"])
    assert names.cosines("Chess of quokkas")[0] < names.cosines("Chess")[0]
    assert names.cosines("quokka").tolist() == [0.0, 0.0]
    assert Names.of([]).cosines("chess").tolist() == []


def test_parts_are_category_platform_and_name():
    known = apps(("Chess", "games", "android"), ("Atlas", "Travel", "ios"), (None, None, None))
    expected = [[1, 0, 0], [0, 1, 0], [1, 0, 0]]
    parts = known.parts(AppQuery("Chess", "Games", "iOS"))
    assert np.round(parts, 5).tolist() == expected


def test_some_apps_keep_their_metadata():
    known = apps(("Chess", "Games", None), ("Atlas", None, "ios"), (None, "Games", "ios"))
    some = known.take(np.array([2, 0]))
    assert [some.app(row) for row in range(2)] == [
        AppQuery(None, "Games", "ios"), AppQuery("Chess", "Games", None),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("other", "reasons"),
    [
        (
            AppQuery("Chess for Kids", "GAMES", "ios"),
            ("same category GAMES", "same platform ios", "name shares 'chess'"),
        ),
        (AppQuery("The master of chess", None, "android"), ("name shares 'master', 'chess'",)),
        (AppQuery("Weather", "Tools", None), ()),
        (AppQuery(), ()),
    ],
)
def test_reasons_say_what_two_apps_share(other, reasons):
    assert shared(CHESS, other) == reasons


def test_stop_words_are_no_reason():
    assert shared(AppQuery("The Game of Life"), AppQuery("The Art of War")) == ()
