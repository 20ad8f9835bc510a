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
