import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.search import exact
from embedding_assets.search.exact import nearest, nearest_of_each


def unit(seed, n, d=4):
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture(params=[(1_024, 8_192), (3, 2)], ids=["one block", "small blocks"])
def _blocks(request, monkeypatch):
    monkeypatch.setattr(exact, "_QUERY_ROWS", request.param[0])
    monkeypatch.setattr(exact, "_VECTOR_ROWS", request.param[1])


sizes = st.integers(0, 12)


@pytest.mark.usefixtures("_blocks")
class TestBlocks:
    @given(seed=st.integers(0, 10_000), n=sizes, m=sizes, top=st.integers(0, 15))
    def test_the_nearest_are_those_of_a_full_sort(self, seed, n, m, top):
        queries, vectors = unit(seed, n), unit(seed + 1, m)
        found = nearest(queries, vectors, top)
        scores = queries @ vectors.T
        expected = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        np.testing.assert_array_equal(found.rows, expected)
        np.testing.assert_allclose(
            found.scores, np.take_along_axis(scores, expected, axis=1), atol=1e-6
        )
        assert found.rows.shape == (n, min(top, m))
        assert (found.rows.dtype, found.scores.dtype) == (np.int64, np.float32)

    @given(seed=st.integers(0, 10_000), n=sizes, top=st.integers(1, 15))
    def test_the_nearest_of_each_are_all_others_without_itself(self, seed, n, top):
        vectors = unit(seed, n)
        seen = []
        for start, found in nearest_of_each(vectors, top):
            for own, rows in enumerate(found.rows, start):
                scores = vectors @ vectors[own]
                scores[own] = -np.inf
                expected = np.argsort(-scores, kind="stable")[: min(top, n - 1)]
                np.testing.assert_array_equal(rows, expected)
                seen.append(own)
        assert seen == list(range(n))

    @given(n=st.integers(1, 12), top=st.integers(1, 15))
    def test_equal_vectors_are_neighbours_and_never_their_own(self, n, top):
        vectors = np.repeat(unit(0, 1), n, axis=0)
        for start, found in nearest_of_each(vectors, top):
            for own, (rows, scores) in enumerate(zip(found.rows, found.scores, strict=True), start):
                assert own not in rows
                assert len(set(rows)) == len(rows) == min(top, n - 1)
                np.testing.assert_allclose(scores, 1, atol=1e-6)

    def test_scores_fall_from_the_first_neighbour_to_the_last(self):
        found = nearest(unit(1, 5), unit(2, 11), 7)
        assert (np.diff(found.scores, axis=1) <= 0).all()

    def test_the_same_search_gives_the_same_answer(self):
        vectors = np.repeat(unit(0, 2), 6, axis=0)
        one, other = nearest(vectors, vectors, 4), nearest(vectors, vectors, 4)
        np.testing.assert_array_equal(one.rows, other.rows)


def test_a_memory_map_is_searched_like_an_array(tmp_path):
    vectors = unit(3, 9)
    mapped = np.memmap(tmp_path / "v", dtype=np.float32, mode="w+", shape=vectors.shape)
    mapped[:] = vectors
    np.testing.assert_array_equal(
        nearest(vectors[:2], mapped, 3).rows, nearest(vectors[:2], vectors, 3).rows
    )
