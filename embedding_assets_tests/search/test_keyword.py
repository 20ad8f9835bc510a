import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.errors import StoreDamagedError, StoreVersionError
from embedding_assets.search import postings
from embedding_assets.search.analyzer import STOP_WORDS, terms, words
from embedding_assets.search.keyword import K1, B, KeywordIndex

TEXTS = [
    "The wing of an aeroplane in a slipstream.",
    "Heat conduction in composite slabs: conduction, conduction!",
    "",
    "Invoice APP_29786 for wings, 3.14 EUR",
    "서울에서 한국어를 배우다",
    "Who are The Who?",
]
ALPHABET = ["wing", "wings", "heat", "slab", "the", "of", "app-1", "東京"]
some_texts = st.lists(st.lists(st.sampled_from(ALPHABET), max_size=9).map(" ".join), max_size=9)


def reference(texts, query):
    """BM25 of each text, term by term from its formula."""
    said = [Counter(terms(words(text))) for text in texts]
    lengths = [sum(word not in STOP_WORDS for word in words(text)) for text in texts]
    mean = max(1.0, sum(lengths) / max(1, len(texts)))
    asked = [word for word in words(query) if word not in STOP_WORDS] or words(query)
    scores = [0.0] * len(texts)
    for term, times in Counter(terms(asked)).items():
        held = sum(term in one for one in said)
        rarity = math.log(1 + (len(texts) - held + 0.5) / (held + 0.5))
        for row, one in enumerate(said):
            damping = K1 * (1 - B + B * lengths[row] / mean)
            scores[row] += math.sqrt(times) * rarity * one[term] / (one[term] + damping)
    return scores


@pytest.mark.parametrize("at_once", [1, 7, 1_000_000])
@given(texts=some_texts, query=st.lists(st.sampled_from(ALPHABET), max_size=4).map(" ".join))
def test_scores_are_those_of_the_formula(at_once, texts, query):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postings, "_WORDS_AT_ONCE", at_once)
        index = KeywordIndex.build(texts)
    expected = reference(texts, query)
    rows, scores = index.search(query, len(texts) + 1)
    assert set(rows) == {row for row, score in enumerate(expected) if score > 0}
    np.testing.assert_allclose(scores, [expected[row] for row in rows], rtol=1e-5)
    assert (np.diff(scores) <= 0).all()
    assert (rows.dtype, scores.dtype) == (np.int64, np.float32)


@given(texts=some_texts, k=st.integers(0, 5))
def test_the_best_rows_are_the_first_of_all_rows(texts, k):
    index = KeywordIndex.build(texts)
    every, _ = index.search("wing heat slab", len(texts))
    best, scores = index.search("wing heat slab", k)
    assert best.tolist() == every[:k].tolist()
    assert len(scores) == len(best)


def test_equal_scores_are_in_the_order_of_rows():
    rows, _ = KeywordIndex.build(["one wing", "two", "a wing one"] * 3).search("wing", 4)
    assert rows.tolist() == [0, 2, 3, 5]


@pytest.mark.parametrize(
    ("query", "row"),
    [
        ("WINGS in slipstreams", 0),
        ("conducting heat", 1),
        ("app_29786", 3),
        ("29786", 3),
        ("3.14", 3),
        ("한국어", 4),
        ("국", 4),
        ("The Who", 5),
    ],
)
def test_a_query_finds_the_text_that_says_it(query, row):
    rows, _ = KeywordIndex.build(TEXTS).search(query, 1)
    assert rows.tolist() == [row]


@pytest.mark.parametrize("query", ["", " ?!", "zebra", "'; DROP TABLE chunks; --"])
def test_a_query_without_a_known_word_finds_nothing(query):
    rows, scores = KeywordIndex.build(TEXTS).search(query, 5)
    assert (len(rows), len(scores)) == (0, 0)


def test_only_allowed_rows_are_ranked():
    index = KeywordIndex.build(["wing wing", "wing", "tail", "wing heat"])
    allowed = np.array([False, True, True, True])
    rows, scores = index.search("wing", 2, allowed)
    assert rows.tolist() == [1, 3]
    assert allowed.tolist() == [False, True, True, True]
    every, every_scores = index.search("wing", 4)
    assert (
        dict(zip(rows, scores, strict=True)).items()
        <= dict(zip(every, every_scores, strict=True)).items()
    )
    assert len(index.search("wing", 2, np.zeros(4, dtype=np.bool_))[0]) == 0


def test_a_query_of_100_000_characters_is_answered():
    index = KeywordIndex.build(TEXTS)
    rows, _ = index.search(("slab zebra% " * 9_000)[:100_000], 3)
    assert rows.tolist() == [1]


def test_a_rare_word_counts_more_than_a_frequent_one():
    index = KeywordIndex.build(["wing", "wing", "wing", "slab"])
    assert index.search("wing slab", 1)[0].tolist() == [3]


def test_a_saved_index_answers_as_the_built_one(tmp_path):
    built = KeywordIndex.build(TEXTS)
    built.save(tmp_path / "keywords")
    loaded = KeywordIndex.load(tmp_path / "keywords")
    assert isinstance(loaded.rows, np.memmap)
    assert (loaded.documents, loaded.vocabulary) == (built.documents, built.vocabulary)
    for query in ("wing heat 한국어", "the who"):
        for one, other in zip(built.search(query, 9), loaded.search(query, 9), strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("texts", [[], ["", " "]], ids=["no text", "no word"])
def test_an_index_without_words_is_stored_and_finds_nothing(tmp_path, texts):
    KeywordIndex.build(texts).save(tmp_path)
    loaded = KeywordIndex.load(tmp_path)
    assert loaded.documents == len(texts)
    assert len(loaded.search("wing", 3)[0]) == 0


@pytest.mark.parametrize(
    "name", ["keyword.json", "vocabulary.txt", "starts.npy", "rows.npy", "impacts.npy"]
)
@pytest.mark.parametrize("fault", ["missing", "torn"])
def test_a_missing_or_torn_file_is_named(tmp_path, name, fault):
    KeywordIndex.build(TEXTS).save(tmp_path)
    path = tmp_path / name
    content = path.read_bytes()
    path.unlink()
    if fault == "torn":
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(StoreDamagedError, match="keyword index"):
        KeywordIndex.load(tmp_path)


def test_an_index_of_other_terms_or_weights_is_refused(tmp_path):
    KeywordIndex.build(TEXTS).save(tmp_path)
    about = json.loads((tmp_path / "keyword.json").read_text())
    (tmp_path / "keyword.json").write_text(json.dumps({**about, "format": "BM25 of old"}))
    with pytest.raises(StoreVersionError, match="BM25 of old"):
        KeywordIndex.load(tmp_path)
