import numpy as np
import pytest

from embedding_assets.embedding.encoder import HashingEncoder
from embedding_assets.embedding.store import VectorStore
from embedding_assets.quality import self_retrieval as module
from embedding_assets.quality.pairs import Pairs
from embedding_assets.quality.retrieval import compare
from embedding_assets.quality.self_retrieval import SelfRetrieval, self_retrieval

PAIRS = Pairs(("red wine", "white fish", "green tea"), ("wine red", "fish white", "tea green"))


def unit(*shape, seed=0):
    vectors = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def test_halves_with_the_same_words_find_each_other():
    found = self_retrieval(PAIRS, HashingEncoder())
    assert found.reciprocal_ranks.tolist() == [1.0, 1.0, 1.0]
    assert (found.mrr, found.recall_at_1, found.recall_at_10) == (1.0, 1.0, 1.0)


def test_the_rank_counts_the_answers_that_are_as_near():
    queries = np.eye(3, dtype=np.float32)
    answers = np.float32([[0.8, 0.6, 0], [1, 0, 0], [0, 0.6, 0.8]])
    found = SelfRetrieval.of_vectors(queries, answers)
    assert found.reciprocal_ranks.tolist() == [1 / 2, 1 / 3, 1.0]
    assert found.mrr == pytest.approx((1 / 2 + 1 / 3 + 1) / 3)
    assert found.recall_at_1 == pytest.approx(1 / 3)
    assert found.score.low <= found.mrr <= found.score.high


def test_a_model_that_gives_each_text_the_same_vector_finds_nothing():
    same = np.ones((20, 4), dtype=np.float32) / 2
    found = SelfRetrieval.of_vectors(same, same)
    assert found.mrr == pytest.approx(1 / 20)
    assert found.recall_at_10 == 0.0


def test_blocks_change_nothing(monkeypatch):
    queries, answers = unit(50, 8), unit(50, 8, seed=1)
    whole = SelfRetrieval.of_vectors(queries, answers)
    cosines = queries @ answers.T
    ranks = 1 + (cosines > np.diag(cosines)[:, None]).sum(axis=1)
    assert whole.reciprocal_ranks == pytest.approx(1 / ranks)
    monkeypatch.setattr(module, "_QUERIES_AT_ONCE", 7)
    monkeypatch.setattr(module, "_ANSWERS_AT_ONCE", 11)
    assert np.array_equal(
        SelfRetrieval.of_vectors(queries, answers).reciprocal_ranks, whole.reciprocal_ranks
    )


def test_the_tenth_place_counts_as_found_and_the_eleventh_not():
    found = SelfRetrieval(1 / np.array([1.0, 10.0, 11.0, 49.0]))
    assert (found.recall_at_1, found.recall_at_10) == (0.25, 0.5)


def test_without_pairs_there_is_no_measure():
    none = self_retrieval(Pairs((), ()), HashingEncoder())
    assert len(none) == 0
    assert np.isnan([none.mrr, none.recall_at_1, none.recall_at_10]).all()


def test_vectors_are_kept_and_taken_from_the_store(tmp_path):
    encoder = HashingEncoder()
    store = VectorStore.of(tmp_path, encoder)
    assert self_retrieval(PAIRS, encoder, store).mrr == 1.0
    assert len(store) == 6


def test_two_models_are_compared_on_the_same_pairs():
    answers = unit(60, 16)
    noise = unit(60, 16, seed=1)
    good, bad = (
        SelfRetrieval.of_vectors(answers + share * noise, answers).reciprocal_ranks
        for share in (0.2, 2.0)
    )
    assert compare("challenger", bad, "champion", good).is_worse
    assert not compare("challenger", good, "champion", bad).is_worse


def test_vectors_of_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 4\) but answers of \(3, 4\)"):
        SelfRetrieval.of_vectors(unit(2, 4), unit(3, 4))
