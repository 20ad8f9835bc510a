import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedding_assets.errors import StoreDamagedError
from embedding_assets.search import tuning, vectors
from embedding_assets.search.tuning import VectorReport, store_vectors
from embedding_assets.search.vectors import VectorIndex, best, open_vectors


def unit(seed, n, d=8):
    found = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def grouped(n, groups=20, d=8):
    """Vectors in groups, as texts about topics are."""
    spread = unit(0, groups, d)[np.arange(n) % groups] + 0.3 * unit(1, n, d)
    return (spread / np.linalg.norm(spread, axis=1, keepdims=True)).astype(np.float32)


def stored(folder, found, exact_up_to_rows, known=None):
    folder.mkdir(exist_ok=True)
    found.tofile(folder / "vectors.f32")
    opened = open_vectors(folder / "vectors.f32", *found.shape)
    report = store_vectors(folder, opened, exact_up_to_rows, known)
    return VectorIndex.load(folder, *found.shape), report


def truth(found, query, k, allowed):
    rows = np.arange(len(found)) if allowed is None else np.flatnonzero(allowed)
    scores = found[rows] @ query
    order = np.lexsort((rows, -scores))[:k]
    return rows[order], scores[order]


@pytest.fixture
def _few_candidates(monkeypatch):
    monkeypatch.setattr(tuning, "_FIRST_CANDIDATES", 20)
    monkeypatch.setattr(vectors, "_CANDIDATES_PER_HIT", 2)
    monkeypatch.setattr(vectors, "BLOCK", 64)


@pytest.mark.usefixtures("_few_candidates")
@pytest.mark.parametrize("share", [None, 0.0, 0.02, 0.2, 0.9, 1.0])
@pytest.mark.parametrize("k", [1, 10, 3_000])
def test_exact_search_finds_what_a_full_sort_finds(tmp_path, share, k):
    found = unit(3, 500)
    index, report = stored(tmp_path, found, 500)
    assert index.is_exact and report == VectorReport(True, report.recall)
    assert set(report.recall.values()) == {1.0}
    allowed = None if share is None else np.random.default_rng(0).random(500) < share
    for query in unit(4, 5):
        rows, scores = index.search(query, k, allowed)
        expected, cosines = truth(found, query, k, allowed)
        np.testing.assert_array_equal(rows, expected)
        np.testing.assert_allclose(scores, cosines, atol=1e-6)


@pytest.mark.usefixtures("_few_candidates")
class TestApproximate:
    def test_reads_part_of_the_vectors_and_finds_nearly_all(self, tmp_path):
        found = grouped(4_000)
        index, report = stored(tmp_path, found, 3_999)
        assert not index.is_exact and not report.exact
        assert report.candidates < 4_000 // 3 and report.cells > 1
        assert min(report.recall.values()) >= 0.98
        assert set(report.recall) == {"unfiltered", "filter_10_percent", "filter_1_percent"}
        hits = [
            np.isin(truth(found, q, 10, None)[0], index.search(q, 10)[0]).mean()
            for q in grouped(4_100)[4_000:]
        ]
        assert np.mean(hits) >= 0.95

    def test_few_allowed_rows_are_searched_exactly(self, tmp_path):
        found = grouped(4_000)
        index, _ = stored(tmp_path, found, 3_999)
        allowed = np.random.default_rng(0).random(4_000) < 0.01
        for query in unit(5, 50):
            rows, scores = index.search(query, 10, allowed)
            expected, cosines = truth(found, query, 10, allowed)
            np.testing.assert_array_equal(rows, expected)
            np.testing.assert_allclose(scores, cosines, atol=1e-6)

    def test_a_filter_far_from_the_query_is_reached(self, tmp_path):
        found = grouped(4_000)
        index, _ = stored(tmp_path, found, 3_999)
        allowed = np.arange(4_000) % 20 >= 10
        hits = []
        for query in found[:100][~allowed[:100]]:
            rows, _ = index.search(query, 10, allowed)
            assert allowed[rows].all() and len(rows) == 10
            hits.append(np.isin(truth(found, query, 10, allowed)[0], rows).mean())
        assert np.mean(hits) >= 0.95

    def test_scores_are_the_cosines_and_fall(self, tmp_path):
        found = grouped(4_000)
        index, _ = stored(tmp_path, found, 3_999)
        rows, scores = index.search(found[7], 25)
        assert rows[0] == 7 and len(set(rows)) == 25
        np.testing.assert_allclose(scores, found[rows] @ found[7], atol=1e-6)
        assert (np.diff(scores) <= 0).all()

    def test_vectors_are_taken_by_row(self, tmp_path):
        found = grouped(4_000)
        index, _ = stored(tmp_path, found, 3_999)
        chosen = np.array([3_999, 0, 17, 17])
        np.testing.assert_array_equal(index.take(chosen), found[chosen])

    def test_known_centroids_are_used_again(self, tmp_path, monkeypatch):
        found = grouped(4_000)
        index, _ = stored(tmp_path / "old", found[:3_900], 100)
        monkeypatch.setattr(tuning, "train_centroids", None)
        other, report = stored(tmp_path / "new", found, 100, index.cells.centroids)
        np.testing.assert_array_equal(other.cells.centroids, index.cells.centroids)
        assert min(report.recall.values()) >= 0.98

    def test_centroids_of_another_size_are_trained_anew(self, tmp_path):
        few = unit(0, 3)
        index, _ = stored(tmp_path, grouped(4_000), 100, few)
        assert len(index.cells.centroids) > 3

    def test_vectors_without_neighbourhoods_stay_exact(self, tmp_path):
        found = unit(6, 3_000, 64)
        index, report = stored(tmp_path, found, 100)
        assert index.is_exact and report.exact and report.candidates == 0
        assert {path.name for path in tmp_path.iterdir()} == {"vectors.f32", "mean.npy"}
        np.testing.assert_array_equal(index.take(np.arange(3_000)), found)

    def test_equal_vectors_count_as_found(self, tmp_path):
        found = np.repeat(grouped(40), 100, axis=0)
        _, report = stored(tmp_path, found, 100)
        assert not report.exact


def test_the_mean_is_that_of_all_vectors(tmp_path):
    found = unit(7, 300)
    index, _ = stored(tmp_path, found, 1_000)
    np.testing.assert_allclose(index.mean, found.mean(axis=0), atol=1e-6)


def test_an_index_without_vectors_finds_nothing(tmp_path):
    index, report = stored(tmp_path, np.empty((0, 8), dtype=np.float32), 100)
    assert report.exact
    assert [len(part) for part in index.search(unit(0, 1)[0], 10)] == [0, 0]
    assert index.mean.tolist() == [0] * 8


@pytest.mark.parametrize("damage", ["short", "long", "missing", "mean", "cells"])
def test_a_torn_file_is_a_named_error(tmp_path, damage):
    stored(tmp_path, unit(0, 100), 1_000)
    file = tmp_path / "vectors.f32"
    match damage:
        case "short":
            file.write_bytes(file.read_bytes()[:-1])
        case "long":
            file.write_bytes(file.read_bytes() + b"1234")
        case "missing":
            file.unlink()
        case "mean":
            (tmp_path / "mean.npy").write_bytes(b"")
        case "cells":
            (tmp_path / "cells.npz").write_bytes(b"PK\x03\x04")
    with pytest.raises(StoreDamagedError, match="Build the index again"):
        VectorIndex.load(tmp_path, 100, 8)


@given(
    scores=st.lists(st.sampled_from([0.0, 0.5, 1.0]), max_size=12),
    k=st.integers(0, 14),
)
def test_the_best_are_those_of_a_full_sort_with_ties_by_row(scores, k):
    rows = np.arange(len(scores))[::-1].copy()
    values = np.array(scores, dtype=np.float32)
    expected = sorted(zip(-values, rows, strict=True))[:k]
    found, kept = best(rows, values, k)
    assert found.tolist() == [row for _, row in expected]
    assert kept.tolist() == [-score for score, _ in expected]
