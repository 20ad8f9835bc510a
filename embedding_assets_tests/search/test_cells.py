import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.search.cells import (
    cell_count,
    cells_to_read,
    nearest_cells,
    train_centroids,
)


def unit(seed, n, d=4):
    vectors = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_centroids_stand_in_the_middle_of_separate_groups():
    middles = np.eye(4, dtype=np.float32)
    near = np.repeat(middles, 100, axis=0) + unit(0, 400) * 0.1
    vectors = near / np.linalg.norm(near, axis=1, keepdims=True)
    centroids = train_centroids(vectors, 16)
    assert (centroids @ middles.T).max(axis=1).min() > 0.9
    assert set(nearest_cells(middles, centroids)) <= set(range(16))


@given(seed=st.integers(0, 1_000), n=st.integers(1, 30), cells=st.integers(1, 40))
def test_there_are_as_many_centroids_as_asked_for_all_of_unit_length(seed, n, cells):
    vectors = unit(seed, n)
    centroids = train_centroids(vectors, cells)
    assert centroids.shape == (cells, 4)
    np.testing.assert_allclose(np.linalg.norm(centroids, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(centroids, train_centroids(vectors, cells))


def test_equal_vectors_do_not_stop_training():
    assert train_centroids(np.repeat(unit(0, 1), 50, axis=0), 5).shape == (5, 4)


def test_opposite_vectors_in_one_cell_leave_finite_centroids():
    one = unit(0, 1)
    assert np.isfinite(train_centroids(np.concatenate([one, -one]), 1)).all()


def test_each_vector_belongs_to_its_nearest_centroid():
    vectors, centroids = unit(1, 5_000), unit(2, 7)
    expected = np.argmax(vectors @ centroids.T, axis=1)
    np.testing.assert_array_equal(nearest_cells(vectors, centroids), expected)


def test_the_nearest_cells_are_read_until_they_hold_enough():
    scores = np.array([0.1, 0.9, 0.5, 0.7], dtype=np.float32)
    sizes = np.array([5, 2, 4, 3])
    assert cells_to_read(scores, sizes, 1).tolist() == [1]
    assert cells_to_read(scores, sizes, 2).tolist() == [1]
    assert cells_to_read(scores, sizes, 3).tolist() == [1, 3]
    assert cells_to_read(scores, sizes, 9).tolist() == [1, 3, 2]
    assert cells_to_read(scores, sizes, 99).tolist() == [1, 3, 2, 0]


def test_cells_without_allowed_vectors_are_passed_over():
    scores = np.array([0.9, 0.5, 0.7], dtype=np.float32)
    assert cells_to_read(scores, np.array([0, 5, 0]), 1).tolist() == [1]


def test_more_rows_have_more_cells():
    counts = [cell_count(rows) for rows in (1, 100, 10_000, 1_000_000)]
    assert counts == sorted(set(counts)) and counts[0] >= 1
