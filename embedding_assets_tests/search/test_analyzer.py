import pytest

from embedding_assets.search.analyzer import STOP_WORDS, terms, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        (" \n…!? 😀", []),
        ("Two wings, TWO tails.", ["two", "wings", "two", "tails"]),
        ("wing-body and/or wing", ["wing", "body", "and", "or", "wing"]),
        ("APP_29786", ["app", "29786", "app-29786"]),
        ("pi is 3.14.", ["pi", "is", "3", "14", "3.14"]),
        ("on 2024-01-31", ["on", "2024", "01", "31", "2024-01-31"]),
        ("the “smart” – quotes", ["the", "smart", "quotes"]),
        ("Straße Café naïve İstanbul", ["strasse", "cafe", "naive", "istanbul"]),
        ("ＡＢＣ ﬁne hy\u00adphen", ["abc", "fine", "hyphen"]),
        ("крыла «винта» №3-а", ["крыла", "винта", "no3", "а", "no3-а"]),
        ("السَّلَامُ", ["السلام"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어", ["한", "국", "어", "한국", "국어"]),
        ("東京に A4サイズ", ["a4", *"東京に", "東京", "京に", *"サイズ", "サイ", "イズ"]),
        ("\ud800 lone", ["lone"]),
    ],
)
def test_words_of_any_script_are_found(text, found):
    assert words(text) == found


def test_accents_composed_and_decomposed_are_the_same_word():
    assert words("caf\u00e9") == words("cafe\u0301") == words("CAFE\u0301") == ["cafe"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x" * 300_000, 1),
        ("x" * 300_000 + "é", 1),
        ("a-" * 150_000, 150_000),
        ("a1-" * 100_000, 100_001),
        ("é-1" * 100_000, 100_002),
        ("東" * 300_000, 599_999),
    ],
)
def test_an_endless_word_is_read(text, count):
    assert len(words(text)) == count


def test_forms_of_an_english_word_are_one_term():
    assert len(set(terms(["wing", "wings", "winged"]))) == 1
    assert terms(["experiments", "heating"]) == ["experi", "heat"]


def test_words_of_other_languages_stay_apart():
    found = ["haus", "häuser", "крыло", "крыла", "東京", "29786", "app-29786"]
    assert len(set(terms(found))) == len(found)


def test_an_endless_term_is_cut():
    assert terms(["q" * 1_000]) == ["q" * 64]


def test_stop_words_are_words_as_they_are_found():
    assert all(words(word) == [word] for word in STOP_WORDS)
