import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.search.hybrid import fuse, unrelated_cosine


def fused(semantic, keyword, k=10, unrelated=0.0):
    """The fused ranking of two rankings given as {row: score}, as {row: score}."""
    rows, scores = fuse(
        np.array([*semantic], dtype=np.int64),
        np.array([*semantic.values()], dtype=np.float32),
        np.array([*keyword], dtype=np.int64),
        np.array([*keyword.values()], dtype=np.float32),
        k,
        unrelated=unrelated,
    )
    assert (rows.dtype, scores.dtype) == (np.int64, np.float32)
    return dict(zip(rows.tolist(), scores.tolist(), strict=True))


def test_a_score_is_the_mean_of_both_scaled_by_their_best():
    found = fused({7: 0.8, 3: 0.6, 5: 0.4}, {3: 10.0, 9: 5.0})
    assert found == pytest.approx({3: 0.875, 7: 0.5, 9: 0.5, 5: 0.25})
    assert [*found] == [3, 7, 9, 5]


def test_cosines_are_measured_from_what_is_unrelated():
    found = fused({7: 0.9, 3: 0.8}, {3: 1.0}, unrelated=0.7)
    assert found == pytest.approx({3: 0.75, 7: 0.5})


def test_a_row_of_keywords_alone_has_the_lowest_cosine_listed():
    found = fused({7: 0.8, 3: 0.4}, {9: 2.0})
    assert found == pytest.approx({9: 0.75, 7: 0.5, 3: 0.25})


def test_one_search_alone_keeps_its_order():
    assert [*fused({4: 0.5, 2: 0.3, 9: -0.2}, {})] == [4, 2, 9]
    assert [*fused({}, {4: 5.0, 2: 3.0})] == [4, 2]
    assert fused({}, {}) == {}


def test_equal_scores_are_in_the_order_of_rows():
    assert [*fused({5: 0.5, 1: 0.5, 3: 0.5}, {})] == [1, 3, 5]


@pytest.mark.parametrize("cosine", [0.5, 0.0, -0.3])
def test_a_single_row_is_its_own_best(cosine):
    assert fused({5: cosine}, {5: 2.0}, unrelated=0.1) == pytest.approx({5: 1.0})


scores_by_row = st.dictionaries(st.integers(0, 20), st.floats(0.01, 1), max_size=9)


@given(scores_by_row, scores_by_row, st.integers(0, 20), st.floats(-0.5, 0.9))
def test_scores_fall_between_1_and_0_and_no_row_is_lost(semantic, keyword, k, unrelated):
    found = fused(semantic, keyword, k, unrelated)
    assert [*found.values()] == sorted(found.values(), reverse=True)
    assert all(-1e-6 <= score <= 1 + 1e-6 for score in found.values())
    assert len(found) == min(k, len({*semantic, *keyword}))


@given(scores_by_row, scores_by_row)
def test_a_model_with_narrow_cosines_gives_the_same_ranking(semantic, keyword):
    narrow = {row: 0.7 + score / 5 for row, score in semantic.items()}
    assert fused(narrow, keyword, 30, unrelated=0.7) == pytest.approx(
        fused(semantic, keyword, 30, unrelated=0.0), abs=1e-4
    )


def test_the_unrelated_cosine_is_the_mean_of_all_cosines():
    vectors = np.eye(3, dtype=np.float32)[[0, 0, 1, 2]]
    query = np.array([0.6, 0.8, 0.0], dtype=np.float32)
    assert unrelated_cosine(query, vectors.mean(axis=0)) == pytest.approx(
        float((vectors @ query).mean())
    )
