import numpy as np
import pytest

from embedding_assets.quality.overlap import neighbour_overlap


def unit(n, dimension, seed=0):
    vectors = np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_a_turned_model_has_the_same_neighbours():
    vectors = unit(200, 16)
    turn, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))
    assert neighbour_overlap(vectors, (vectors @ turn).astype(np.float32)) == 1.0


def test_models_without_anything_in_common_overlap_by_chance():
    assert neighbour_overlap(unit(400, 32), unit(400, 8, seed=1)) == pytest.approx(
        10 / 399, abs=0.01
    )


def test_the_share_of_common_neighbours_is_counted():
    angles = np.deg2rad([0, 1, 3, 90, 92])
    moved = np.deg2rad([0, 1, 89, 90, 92])
    one, other = (
        np.stack([np.cos(each), np.sin(each)], axis=1).astype(np.float32)
        for each in (angles, moved)
    )
    # Nearest two: {1,2},{0,2},{1,0},{4,2},{3,2} and {1,2},{0,2},{3,4},{2,4},{3,2}.
    assert neighbour_overlap(one, other, k=2) == pytest.approx((1 + 1 + 0 + 1 + 1) / 5)


def test_a_sample_is_always_the_same_and_never_counts_a_text_as_its_own_neighbour():
    one, other = unit(300, 8), unit(300, 8, seed=1)
    assert neighbour_overlap(one, other, sample=40) == neighbour_overlap(one, other, sample=40)
    assert neighbour_overlap(one, other, sample=40) < 0.2


def test_fewer_texts_than_neighbours_are_all_neighbours():
    assert neighbour_overlap(unit(3, 4), unit(3, 5, seed=1)) == 1.0
    assert np.isnan(neighbour_overlap(unit(1, 4), unit(1, 4)))


def test_other_numbers_of_texts_are_refused():
    with pytest.raises(ValueError, match="3 vectors but 2"):
        neighbour_overlap(unit(3, 4), unit(2, 4))
