import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.search.highlight import find_highlights, query_terms


def marked(query, text):
    return [text[first:last] for first, last in find_highlights(query_terms(query), text)]


@pytest.mark.parametrize(
    ("query", "text", "expected"),
    [
        ("baking", "Bake it. It baked well, said the baker.", ["Bake", "baked"]),
        ("CAKE", "a cake, cakes", ["cake", "cakes"]),
        ("hot soup", "The hot soup is hot; soup-like", ["hot soup", "hot", "soup"]),
        ("the cake of the day", "the cake of the house", ["cake"]),
        ("the who", "The Who sang", ["The Who"]),
        ("APP_29786", "APP_29786 is 29786", ["APP_29786", "29786"]),
        ("3.14", "it is 3.14.", ["3.14"]),
        ("cafe", "Café, cafe\u0301 and CAFÉS", ["Café", "cafe\u0301", "CAFÉS"]),
        ("GRÖSSE", "Die Größe zählt", ["Größe"]),
        ("chocolate", "choco\u00adlate bar", ["choco\u00adlate"]),
        ("ﬁne", "a fine ﬁne day", ["fine ﬁne"]),
        ("東京都", "今日は東京都です", ["東京都"]),
        ("京", "東京都", ["京"]),
        ("हिन्दी", "यह हिन्दी है", ["हिन्दी"]),
        ("“soup”", "“Soup” — hot", ["Soup"]),
        ("zebra", "the cake", []),
        ("", "the cake", []),
        ("?!", "what?!", []),
        ("cake", "", []),
    ],
)
def test_words_with_a_stem_of_the_query_are_marked_as_they_stand(query, text, expected):
    assert marked(query, text) == expected


def test_offsets_count_code_points_not_bytes_or_utf_16():
    assert find_highlights(query_terms("soup"), "😀é soup") == [(3, 7)]


@given(st.text(max_size=40), st.text(max_size=200))
def test_ranges_lie_in_the_text_in_order_and_apart(query, text):
    ranges = find_highlights(query_terms(query), text)
    edges = [edge for each in ranges for edge in each]
    assert edges == sorted(edges) and all(first < last for first, last in ranges)
    assert not edges or (edges[0] >= 0 and edges[-1] <= len(text))


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x9FFF), min_size=1, max_size=20))
def test_a_text_is_marked_wherever_it_asks_for_itself(text):
    wanted = query_terms(text)
    assert bool(find_highlights(wanted, text)) == bool(wanted)
