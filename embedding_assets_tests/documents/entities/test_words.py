import unicodedata

import pytest

from embedding_assets.documents.entities.words import (
    LONGEST,
    UNKNOWN_LETTER,
    find_sentences,
    find_words,
    letter_ids,
    shape,
    widened,
)


def words(text):
    return [text[start:end] for start, end in find_words(text)]


def sentences(text):
    return [text[start:end].strip() for start, end in find_sentences(text)]


def test_numbers_and_abbreviations_stay_whole():
    text = "U.S. loans of $1,000.50 (27/1/1999) at 12:30, Smith's."
    assert words(text) == [
        "U.S.", "loans", "of", "$", "1,000.50", "(", "27/1/1999", ")", "at", "12:30", ",",
        "Smith", "'", "s", ".",
    ]  # fmt: skip


def test_marks_stay_with_their_letters():
    text = "Socie\u0301te\u0301 Ge\u0301ne\u0301rale, E\u0301.U. नमस्ते दुनिया \u0301!"
    assert words(text) == [
        "Socie\u0301te\u0301", "Ge\u0301ne\u0301rale", ",", "E\u0301.U.", "नमस्ते", "दुनिया",
        "\u0301", "!",
    ]  # fmt: skip


def test_a_word_is_the_same_however_its_accents_are_stored():
    for word in ("É", "É.U.", "Société", "SOCIÉTÉ", "été", "Č4"):
        apart = unicodedata.normalize("NFD", word)
        assert apart != word and words(apart) == [apart]
        assert (shape(apart), letter_ids(apart)) == (shape(word), letter_ids(word))


def test_sentences_end_at_stops_lines_and_bars():
    text = "Mr. Bell pays. He lives in No. 5.\nA | B\nend"
    expected = ["Mr. Bell pays.", "He lives in No. 5.", "A |", "B", "end"]
    assert sentences(text) == expected


def test_sentences_leave_no_letter_out():
    text = "One. Two! | three\n\nFour? yes"
    assert "".join(text[start:end] for start, end in find_sentences(text)) == text


@pytest.mark.parametrize(
    ("word", "expected"),
    [("A4", 1), ("44", 2), ("--", 3), ("bank", 4), ("BANK", 5), ("A", 6), ("Bank", 7), ("McC", 8)],
)
def test_shapes(word, expected):
    assert shape(word) == expected


def test_letters_keep_their_case_and_lose_their_accents():
    assert letter_ids("Ab") != letter_ids("ab")
    assert letter_ids("Café") == letter_ids("Cafe")
    assert letter_ids("寿") == [UNKNOWN_LETTER]
    assert len(letter_ids("x" * 500)) == LONGEST


def test_a_stretch_is_widened_to_the_words_it_touches():
    places = find_words("one two three")
    assert widened(places, 5, 9) == (1, 3)
    assert widened(places, 3, 4) is None


def test_a_stretch_is_found_among_many_words_with_few_looks():
    looked = []

    class Places(list):
        def __getitem__(self, place):
            looked.append(place)
            return super().__getitem__(place)

    places = Places((3 * number, 3 * number + 2) for number in range(10_000))
    assert widened(places, 15_001, 15_007) == (5_000, 5_003)
    assert len(looked) < 40


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"one{' ' * 200_000}two | three", ["one" + " " * 200_000 + "two |", "three"]),
        (f"He said.{' ' * 100_000}\n | Yes", ["He said." + " " * 100_000 + "\n |", "Yes"]),
        ("Then Mr. Bell, e.g. Ann, " * 4_000 + "left. Bye", None),
        ("| \n|  A.  | b\n  c", ["|", "|", "A.  |", "b", "c"]),
    ],
    ids=["blanks", "blanks and a line", "abbreviations", "bars"],
)
def test_sentences_of_long_texts(text, expected):
    if expected is None:
        assert [len(each) for each in sentences(text)] == [len(text) - 4, 3]
    else:
        assert sentences(text) == expected
