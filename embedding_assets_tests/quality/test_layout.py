import numpy as np
import pytest

from embedding_assets.quality.layout import (
    LayoutError,
    LayoutProcess,
    neighbourhood_plane,
    principal_plane,
)


@pytest.fixture
def clusters():
    """Three groups of 15 around far apart directions."""
    chance = np.random.default_rng(1)
    centres = np.eye(3, 20)[np.repeat(range(3), 15)]
    vectors = centres + 0.05 * chance.standard_normal((45, 20))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def purity(points):
    """The share of points whose nearest other one is of their own group."""
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return (distances.argmin(axis=1) // 15 == np.arange(45) // 15).mean()


def test_the_principal_plane_shows_the_directions_of_most_variance():
    line = np.array([[3, 0, 1], [-3, 0, 1], [0, 1, 1], [0, -1, 1]], np.float32)
    points, explained = principal_plane(line)
    assert np.allclose(points, [[3, 0], [-3, 0], [0, 1], [0, -1]], atol=1e-6)
    assert explained == pytest.approx((0.9, 0.1))


def test_the_principal_plane_keeps_groups_apart(clusters):
    points, explained = principal_plane(clusters)
    assert purity(points) == 1.0 and sum(explained) > 0.8


@pytest.mark.parametrize("shape", [(0, 4), (1, 4), (3, 4), (4, 1), (5, 0)])
def test_few_or_equal_vectors_have_a_plane_too(shape):
    points, explained = principal_plane(np.ones(shape, np.float32))
    assert points.shape == (shape[0], 2) and np.allclose(points, 0, atol=1e-6)
    assert explained == pytest.approx((0.0, 0.0))


def test_the_plane_of_neighbourhoods_keeps_groups_apart_and_is_the_same_every_time(clusters):
    process = LayoutProcess()
    points = process.plane(clusters)
    process.close()
    assert points.shape == (45, 2) and purity(points) == 1.0
    assert np.array_equal(points, neighbourhood_plane(clusters))


@pytest.mark.parametrize("count", [5, 6, 40])
def test_equal_vectors_have_a_plane_of_neighbourhoods_too(count):
    assert np.isfinite(neighbourhood_plane(np.ones((count, 8), np.float32))).all()


def test_a_process_that_fails_is_named_with_its_last_words(clusters):
    with pytest.raises(LayoutError, match=r"900 vectors failed \(1\)"):
        LayoutProcess().plane(clusters.reshape(-1))


def test_nothing_is_started_after_closing(clusters):
    process = LayoutProcess()
    process.close()
    with pytest.raises(LayoutError, match="any more"):
        process.plane(clusters)
