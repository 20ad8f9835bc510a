import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.documents.split import split_table, split_texts


def words(texts):
    return np.array([len(text.split()) for text in texts], dtype=np.int32)


def letters(texts):
    return np.array([sum(not letter.isspace() for letter in text) for text in texts])


def split(text, budget, count=words):
    pieces = split_texts([(text, int(count([text])[0]))], [budget], count)[0]
    assert [tokens for _, tokens in pieces] == count([piece for piece, _ in pieces]).tolist()
    return [piece for piece, _ in pieces]


@pytest.mark.parametrize(
    ("text", "budget", "pieces"),
    [
        ("Short.", 5, ["Short."]),
        ("One two. Three four. Five six.", 4, ["One two. Three four.", "Five six."]),
        ("One two.\n\nThree four. Five.", 4, ["One two.", "Three four. Five."]),
        ("Ask e.g. the vendor. Then wait.", 4, ["Ask e.g. the vendor.", "Then wait."]),
        ('He said "no." She left.', 3, ['He said "no."', "She left."]),
        ("one two\nthree four\nfive", 4, ["one two\nthree four", "five"]),
        ("one two three four five", 2, ["one two", "three four", "five"]),
        ("  padded   words here ", 2, ["padded   words", "here"]),
    ],
)
def test_texts_are_cut_where_a_reader_pauses(text, budget, pieces):
    assert split(text, budget) == pieces


def test_words_are_cut_only_where_one_alone_is_too_long():
    assert split("ab abcdefgh cd", 4, letters) == ["ab", "abcd", "efgh", "cd"]


def test_sentences_without_spaces_are_cut_after_their_stops():
    assert split("今日は。明日は。昨日", 8, letters) == ["今日は。明日は。", "昨日"]


def test_each_text_keeps_its_own_budget():
    texts = [("a b c", 3), ("d e f", 3), ("g h i", 3)]
    pieces = split_texts(texts, [1, 3, 2], words)
    assert [[piece for piece, _ in some] for some in pieces] == [
        ["a", "b", "c"],
        ["d e f"],
        ["g h", "i"],
    ]


@given(st.text(alphabet="ab .\n!。", min_size=1), st.integers(1, 8))
def test_pieces_are_stretches_of_the_text_within_the_budget_and_lose_no_letter(text, budget):
    end = 0
    for piece in split(text, budget, letters):
        end = text.index(piece, end) + len(piece)
        assert letters([piece])[0] <= budget
    kept = "".join(split(text, budget, letters))
    assert "".join(kept.split()) == "".join(text.split())


TABLE = "| dish | price |\n|---|---|\n| soup | 4 |\n| rice | 5 |\n| fish | 9 |"


def table(markdown, budget):
    return [text for text, _ in split_table(markdown, words, budget)]


def test_table_is_cut_between_rows_and_repeats_its_header():
    assert table(TABLE, 16) == [
        "| dish | price |\n|---|---|\n| soup | 4 |\n| rice | 5 |",
        "| dish | price |\n|---|---|\n| fish | 9 |",
    ]


def test_table_without_a_header_row_is_cut_between_lines():
    assert table("| a | b |\n| c | d |\n| e | f |", 10) == ["| a | b |\n| c | d |", "| e | f |"]


def test_row_that_is_too_long_is_cut_under_the_header_too():
    head = "|x|y|\n|-|-|\n"
    assert table(head + "| a b c d |\n| e |", 6) == [head + "| a b c", head + "d |", head + "| e |"]


def test_header_that_takes_half_of_the_budget_is_not_repeated():
    assert table(TABLE, 8) == [
        "| dish | price |\n|---|---|",
        "| soup | 4 |",
        "| rice | 5 |",
        "| fish | 9 |",
    ]
